/** Why: bugs planted where frames are admitted: producer, gate and bus. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named, type Patch, simulation } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const security = "core/ingestion/dist/security";
/** The real gateway over TLS, against hostile clients. */
const hostileTests = "core/tests/dist";
const bus = "core/pipeline/dist/src";
const busTests = "core/pipeline/dist/test";
const migration = "core/db/migrations/0002_bus.sql";
/** The newest `bus.append`. */
const appendMigration = "core/db/migrations/0025_retention.sql";
const sdk = "agents/sdk/dist/src";

/** A receipt for a frame that has only been queued. */
export const earlyReceipt: Patch = {
  file: `${gate}/session_frame.js`,
  find: "return become(held, { expected, inFlight: held.inFlight + 1 }, [",
  replace: `const early = { epoch: trusted.header.epoch, durableSeq: lastSeqOf(trusted.header), chainHash: trusted.header.hash, storedEpoch: 0, storedSeq: 0, receivedUs: 0, invalid: [], invalidMore: 0 };
    return become(held, { expected, inFlight: held.inFlight + 1 }, [
        { kind: "send", message: { kind: "receipt", ...early, signature: context.seal(held.identity.producer, early) } },`,
};

/** A receipt for what stands in a refused frame's own header. */
const refusedReceipt = `case "gap":
                tally.accepted += 1;
                session = become(session, { durable: { epoch: frame.header.epoch, seq: frame.header.firstSeq + frame.header.count - 1 }, durableHash: frame.header.hash }).session;
                break;`;

export const gateMutants: readonly Mutant[] = [
  {
    rule: "promise 1, R-4",
    bug: "the receipt leaves before the append",
    named: "receipt before append",
    patches: [earlyReceipt],
    check: simulation(50),
  },
  {
    rule: "R-4",
    bug: "a frame that the bus has refused as out of order earns a receipt",
    patches: [{ file: `${gate}/session_settle.js`, find: `case "gap":`, replace: refusedReceipt }],
    check: named("core/ingestion/dist/test/gate.test.js", "R-37 a wrong expectation"),
  },
  {
    rule: "R-4",
    bug: "a commit need not be flushed: the barrier under accepted and duplicate is gone",
    patches: [{ file: migration, find: `    PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);`, replace: "    NULL;" }],
    check: named(`${busTests}/postgres_only.test.js`, "R-4 an append and its duplicate"),
  },
  {
    rule: "promise 4",
    bug: "identity comes from the payload: the header may name any producer",
    named: "identity from the payload",
    patches: [{ file: `${security}/signature.js`, find: "header.producer !== identity.producer", replace: "false" }],
    check: named(`${hostileTests}/auth_failure_tests.test.js`, "P-4 ING-7 another producer's id"),
  },
  {
    rule: "promise 4",
    bug: "the signature is not checked",
    patches: [
      { file: `${security}/signature.js`, find: "!checks.verify(frame.header, frame.signature, found.key.publicKey)", replace: "false" },
    ],
    check: simulation(200),
  },
  {
    rule: "promise 4",
    bug: "the payload need not be the one that was signed",
    patches: [
      { file: `${security}/signature.js`, find: "!checks.payloadHash(frame.payload).equals(header.payloadHash)", replace: "false" },
    ],
    check: named(`${hostileTests}/auth_failure_tests.test.js`, "ING-7 a payload other than the signed one"),
  },
  {
    rule: "promise 3, R-37",
    bug: "no sequence check, neither at the gate nor at the bus",
    named: "no sequence check",
    patches: [
      { file: `${gate}/ordering.js`, find: `return link.firstSeq > expected.seq ? "ahead" : "behind";`, replace: `return "next";` },
      { file: `${bus}/append_machine.js`, find: `if (link.firstSeq > head.seq + 1)`, replace: "if (false)" },
      { file: `${bus}/append_machine.js`, find: `if (link.firstSeq <= head.seq)`, replace: "if (false)" },
      { file: `${bus}/append_machine.js`, find: `if (!continues(head, link))`, replace: "if (false)" },
    ],
    check: simulation(100),
  },
  {
    rule: "promise 3, R-2",
    bug: "bus.append takes a frame after a hole",
    patches: [{ file: appendMigration, find: "WHEN p_numbers[v_k + 2] > v_head.seq + 1 THEN 'gap'", replace: "WHEN false THEN 'gap'" }],
    check: named(`${busTests}/history.test.js`, "EB-1 R-2 R-6 R-7 R-13"),
  },
  {
    rule: "R-2",
    bug: "the bus stores a frame again that it has already",
    patches: [{ file: `${bus}/append_machine.js`, find: `if (link.firstSeq <= head.seq)`, replace: "if (false)" }],
    check: named(`${busTests}/append_machine.test.js`, "R-2"),
  },
  {
    rule: "R-6",
    bug: "a sealed epoch still takes frames",
    patches: [
      {
        file: `${bus}/append_machine.js`,
        find: `return isSame(known, link) ? "duplicate" : "fenced";`,
        replace: `return isSame(known, link) ? "duplicate" : "accepted";`,
      },
    ],
    check: named(`${busTests}/memory.test.js`, "R-6 opening seals"),
  },
  {
    rule: "R-6",
    bug: "an epoch is opened whatever the caller believes to be the current one",
    patches: [{ file: `${bus}/append_machine.js`, find: "if (facts.expectedEpoch !== head.epoch)", replace: "if (false)" }],
    check: named(`${busTests}/append_machine.test.js`, "R-6 an opening"),
  },
  {
    rule: "R-7",
    bug: "a frame may go to any partition",
    patches: [
      { file: `${bus}/append_machine.js`, find: `return part === head.part ? "accepted" : "misrouted";`, replace: `return "accepted";` },
    ],
    check: named(`${busTests}/memory.test.js`, "R-7 a frame that is next"),
  },
  {
    rule: "R-10",
    bug: "a payload read from the bus is not compared with its hash",
    patches: [
      { file: `${bus}/postgres/entry.js`, find: `|| !createHash("sha256").update(payload).digest().equals(payloadHash)`, replace: "" },
    ],
    check: named(`${busTests}/postgres_only.test.js`, "R-10"),
  },
  {
    rule: "R-13",
    bug: "a gate with an outdated registry may append",
    patches: [
      {
        file: appendMigration,
        find: "ELSIF p_registry_version < (SELECT r.version FROM bus.registry_version r) THEN",
        replace: "ELSIF false THEN",
      },
    ],
    check: named(`${busTests}/postgres.test.js`, "R-13"),
  },
  {
    rule: "R-14",
    bug: "a frame beyond its credit is taken",
    patches: [
      {
        file: `${gate}/session_frame.js`,
        find: "if (claim.cost.bytes > free.bytes || claim.cost.events > free.events)",
        replace: "if (false)",
      },
      {
        file: `${gate}/session_frame.js`,
        find: "const account = hold(session.account, trusted.cost);",
        replace: "const account = hold(session.account, trusted.cost) ?? session.account;",
      },
    ],
    check: named(`${hostileTests}/overload_tests.test.js`, "BP more events than credited"),
  },
  {
    rule: "R-6, X-6",
    bug: "the spool is not synced before a frame is sent",
    patches: [{ file: `${sdk}/outbox.js`, find: " || !entry.batchDurable || !entry.linkDurable", replace: "" }],
    check: simulation(200),
  },
  {
    rule: "R-5",
    bug: "the producer forgets frames at their receipt instead of when they are stored",
    patches: [
      {
        file: `${sdk}/settlement.js`,
        find: "this.stored(receipt.storedEpoch, receipt.storedSeq)",
        replace: "this.stored(receipt.epoch, receipt.durableSeq)",
      },
    ],
    check: named("agents/sdk/dist/test/producer_machine.test.js", "R-5"),
  },
  {
    rule: "X-6",
    bug: "a spool segment is deleted although an older one still needs it",
    patches: [
      {
        file: `${sdk}/spool.js`,
        find: "const needed = this.#segments.findIndex((segment) => segment.users > 0);",
        replace: "return this.#segments.slice(0, -1).filter((segment) => segment.users === 0);\n        const needed = 0;",
      },
    ],
    check: named("agents/sdk/dist/test/spool_deletion.test.js", "X-6 a link's segment"),
  },
  {
    rule: "TL-20",
    bug: "who is quarantined may flood each of its connections before it hears so",
    patches: [{ file: `${gate}/connections.js`, find: "|| !this.#ports.barred(identified.identity.producer))", replace: "|| true)" }],
    check: named("core/tests/dist/flood_tests.test.js", "TL-20"),
  },
  {
    rule: "TL-8",
    bug: "of a few connections, too, one look sees only a tenth",
    patches: [{ file: `${gate}/connections.js`, find: "Math.min(size, lookedAtMin)", replace: "0" }],
    check: named("core/ingestion/dist/test/connections.test.js", "TL-8"),
  },
  {
    rule: "TL-20",
    bug: "who is quarantined is never told when to come back",
    patches: [{ file: `${gate}/quarantine.js`, find: ">= wordsMax", replace: ">= 0" }],
    check: named("core/ingestion/dist/test/quarantine.test.js", "TL-20"),
  },
  {
    rule: "X-6, R-5",
    bug: "with a segment goes what became free while the state was written, which does not tell it",
    patches: [{ file: `${sdk}/state_keeper.js`, find: "this.#spool.remove(free)", replace: "this.#spool.remove(this.#spool.free)" }],
    check: named("agents/sdk/dist/test/spool_deletion.test.js", "X-6 R-5 whenever"),
  },
  {
    rule: "R-17",
    bug: "the scanner is sure of an event in which a name comes twice",
    patches: [{ file: "core/ingestion/dist/protocol/event_scan.js", find: "if ((seen & field.bit) !== 0)", replace: "if (false)" }],
    check: named("core/ingestion/dist/test/event_scan.test.js", "what is unusual is left to the parser"),
  },
  {
    rule: "R-17",
    bug: "the scanner takes a text with escapes for a plain one",
    patches: [{ file: "core/ingestion/dist/protocol/event_scan.js", find: "textKind = held.escaped;", replace: "textKind = held.ascii;" }],
    check: named("core/ingestion/dist/test/event_scan.test.js", "scanner and parser agree about whatever"),
  },
  {
    rule: "R-16",
    bug: "only a clock that runs ahead is noticed",
    patches: [
      { file: `${gate}/main.js`, find: "Math.abs(clock.nowUs() - accepted.receivedUs)", replace: "(clock.nowUs() - accepted.receivedUs)" },
    ],
    check: named(`${hostileTests}/clock_tests.test.js`, "R-16 R-27 FM-17"),
  },
  {
    rule: "R-27",
    bug: "a registry that has been silent for too long ends sessions and alarms nobody",
    patches: [{ file: `${gate}/registry_watch.js`, find: "stale && !this.#stale ?", replace: "false ?" }],
    check: named(`${hostileTests}/auth_failure_tests.test.js`, "R-13 an open session ends"),
  },
];
