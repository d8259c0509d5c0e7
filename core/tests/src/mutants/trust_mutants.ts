/** Why: bugs planted where trust is given and taken away. Enforces: each row names a claim and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const cli = "cli/dist/src";
const protocol = "core/ingestion/dist/protocol";
const gate = "core/ingestion/dist/src";
const sdk = "agents/sdk/dist/src";
const enrolment = "cli/dist/test/enrolment.test.js";
const rotation = "agents/sdk/dist/test/key_rotation.test.js";
const trust = "core/tests/dist/trust_tests.test.js";

export const trustMutants: readonly Mutant[] = [
  {
    rule: "TB-3",
    bug: "a certificate's end is looked at in the handshake only",
    patches: [{ file: `${gate}/auth.js`, find: "if (identity.notAfterUs <= nowUs)", replace: "if (false)" }],
    check: named(trust, "trust that changes"),
  },
  {
    rule: "TB-3",
    bug: "a stream outlives its batch key",
    patches: [{ file: `${gate}/session.js`, find: " ?? retiredKeyFault(entry, session.keyId, nowUs)", replace: "" }],
    check: named(trust, "trust that changes"),
  },
  {
    rule: "TB-4",
    bug: "new material is announced and not used",
    patches: [{ file: `${gate}/main.js`, find: "this.#listener?.reload(tls);", replace: "void tls;" }],
    check: named(trust, "trust that changes"),
  },
  {
    rule: "TB-5",
    bug: "a token's uses are counted and not bounded",
    patches: [
      {
        file: `${cli}/registry/token_store.js`,
        find: "WHERE token_id = $1 AND uses < uses_max RETURNING",
        replace: "WHERE token_id = $1 RETURNING",
      },
    ],
    check: named(enrolment, "TB-5 many machines race"),
  },
  {
    rule: "TB-5",
    bug: "any secret opens a token that exists",
    patches: [
      { file: `${protocol}/enrolment_token.js`, find: "return fits && kept !== undefined;", replace: "return kept !== undefined;" },
    ],
    check: named(enrolment, "TB-5 of a token only a hash is kept"),
  },
  {
    rule: "TB-5",
    bug: "a proof is not bound to its connection",
    patches: [
      {
        file: `${protocol}/enrolment_wire.js`,
        find: `signedBytes("ransomeye.enrol.v1", [binding, `,
        replace: `signedBytes("ransomeye.enrol.v1", [Buffer.alloc(binding.length), `,
      },
    ],
    check: named(enrolment, "TB-5 a proof is worth nothing on another connection"),
  },
  {
    rule: "TB-5",
    bug: "a repeated request costs a second use",
    patches: [{ file: `${cli}/registry/token_store.js`, find: "if (token.again)", replace: "if (false)" }],
    check: named(enrolment, "TB-5 a token admits one key once"),
  },
  {
    rule: "TB-6",
    bug: "the pin is not compared",
    patches: [
      { file: `${sdk}/network_enrolment.js`, find: "authorityPin(pem).equals(token.pin)", replace: "authorityPin(pem).length > 0" },
    ],
    check: named(enrolment, "TB-6 a registry with another authority"),
  },
  {
    rule: "TB-7",
    bug: "the grace has no end",
    patches: [
      { file: `${cli}/registry/admissions.js`, find: "if (found.not_after_us + shown.graceUs < shown.nowUs)", replace: "if (false)" },
    ],
    check: named(enrolment, "TB-7 a renewal gives a new certificate"),
  },
  {
    rule: "TB-7",
    bug: "a renewed certificate waits for the next start",
    patches: [{ file: `${sdk}/credentials.js`, find: "this.#identity = identity;\n    }", replace: "void identity;\n    }" }],
    check: named(enrolment, "TB-7 a running producer renews by itself"),
  },
  {
    rule: "TB-8",
    bug: "a second renewal of one certificate is nobody's business",
    patches: [
      { file: `${cli}/registry/admissions.js`, find: "const suspected = other !== undefined &&", replace: "const suspected = false &&" },
    ],
    check: named(enrolment, "TB-8 R-6 one identity renewed from two machines"),
  },
  {
    rule: "TB-8",
    bug: "whoever opens epochs without end only waits",
    patches: [
      {
        file: `${gate}/session.js`,
        find: `{ kind: "alarm", finding: { what: "epochs_limited", epoch: session.expected.epoch } },`,
        replace: "",
      },
    ],
    check: named(trust, "trust that changes"),
  },
  {
    rule: "TB-8",
    bug: "the gate sees too many epochs and tells nobody",
    patches: [{ file: `${gate}/clone_watch.js`, find: "case events.epochsLimited.name:", replace: "case undefined:" }],
    check: named(trust, "trust that changes"),
  },
  {
    rule: "TB-9",
    bug: "a rotated batch key stays good for ever",
    patches: [
      {
        file: `${cli}/registry/admissions.js`,
        find: "SET retired_at = coalesce(retired_at, to_timestamp($2::bigint / 1000000.0))",
        replace: "SET retired_at = CASE WHEN $2::bigint > 0 THEN NULL::timestamptz END",
      },
    ],
    check: named(enrolment, "TB-9 a batch key is rotated by both keys"),
  },
  {
    rule: "TB-9",
    bug: "a replaced batch key waits for the next start",
    patches: [{ file: `${sdk}/producer_machine.js`, find: "this.#chain.useKey(signal.keyId);", replace: "void signal.keyId;" }],
    check: named(rotation, "TB-9 a key takes over between two frames"),
  },
  {
    rule: "TB-13",
    bug: "an ended key stops the producer, whichever it was",
    patches: [{ file: `${sdk}/key_desk.js`, find: "if (keyId === this.#chain.keyId)", replace: "if (keyId !== undefined)" }],
    check: named(rotation, "TB-13 promises 1 and 3"),
  },
  {
    rule: "TB-13",
    bug: "frames of an ended key are sent again and again",
    patches: [{ file: `${sdk}/producer_machine.js`, find: "this.#keys.bars(verdict.position)", replace: "false" }],
    check: named(rotation, "TB-13 promises 1 and 3"),
  },
  {
    rule: "TB-14",
    bug: "a stolen key is given back",
    patches: [{ file: `${cli}/registry/store.js`, find: "if (key.revoked)", replace: "if (false)" }],
    check: named(enrolment, "TB-14 a replaced key is good for longer"),
  },
  {
    rule: "TB-10",
    bug: "anybody may sign the time",
    patches: [
      {
        file: `${protocol}/enrolment_wire.js`,
        find: `authorities.some((authority) => verify("sha256", timeKeyBytes(time.timeKey), authority, time.endorsement))`,
        replace: "authorities.length > 0",
      },
    ],
    check: named("agents/sdk/dist/test/trust.test.js", "TB-10 no registry, a stranger's time"),
  },
  {
    rule: "TB-10",
    bug: "with signed time at hand, nobody looks who signed the chain",
    patches: [
      {
        file: `${sdk}/chain_check.js`,
        find: `if (paths.length === 0)\n        return "untrusted";`,
        replace: `if (paths.length === 0)\n        return undefined;`,
      },
    ],
    check: named("agents/sdk/dist/test/trust.test.js", "TB-10 a chain is judged whole"),
  },
  {
    rule: "TB-11",
    bug: "an address may guess tokens for ever",
    patches: [{ file: `${cli}/enrolment/source_limits.js`, find: "source.wrong >= wrongMax", replace: "false" }],
    check: named("cli/dist/test/source_limits.test.js", "TB-11 wrong tokens lock their address out"),
  },
  {
    rule: "TB-12",
    bug: "keys of mixed order are registered",
    patches: [{ file: `${protocol}/ed25519_keys.js`, find: `isPrimeOrder(raw) ? undefined`, replace: "raw.length === 32 ? undefined" }],
    check: named("core/ingestion/dist/test/ed25519_cases.test.js", "TB-12"),
  },
  {
    rule: "TB-7, FM-18",
    bug: "an agent whose renewals fail says nothing of the end",
    patches: [{ file: `${sdk}/identity_keeper.js`, find: "telemetry.emit(certificateEnding,", replace: "void (certificateEnding," }],
    check: named("agents/sdk/dist/test/certificate_warnings.test.js", "FM-18 TB-7"),
  },
  {
    rule: "TB-7, FM-18",
    bug: "who was warned of one certificate is not warned of the next",
    patches: [
      {
        file: `${sdk}/identity_keeper.js`,
        find: "this.#unit = this.#o.random.float();\n            this.#told = Number.POSITIVE_INFINITY;",
        replace: "this.#unit = this.#o.random.float();",
      },
    ],
    check: named("agents/sdk/dist/test/certificate_warnings.test.js", "FM-18 TB-7"),
  },
  {
    rule: "TB-4, FM-18",
    bug: "where the gateway's certificate cannot be renewed, its end is not told either",
    patches: [{ file: `${cli}/registry/installation_trust.js`, find: "if (gatewayUs > 0)", replace: "if (false)" }],
    check: named("cli/dist/test/trust_warnings.test.js", "FM-18 TB-4 a gateway's certificate that cannot"),
  },
  {
    rule: "TB-4, FM-18",
    bug: "an end is told once for all certificates to come",
    patches: [{ file: `${cli}/registry/installation_trust.js`, find: "told.endUs === endUs && ", replace: "" }],
    check: named("cli/dist/test/trust_warnings.test.js", "FM-18 TB-4 a gateway's certificate that"),
  },
];
