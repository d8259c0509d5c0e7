/** Why: bugs planted where an event is attested, and where its attestation is judged. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const room = "core/evidence/dist/src";
const evidence = "core/evidence/dist/test/attestation.test.js";
const strictJson = "core/evidence/dist/test/strict_json.test.js";
const sealing = "cli/dist/src/sealing";
const questions = "cli/dist/src/registry/question_socket.js";
const sealer = "cli/dist/test/attestation.test.js";
const schema = "core/tests/dist/test/attestation_schema.test.js";

export const attestationMutants: readonly Mutant[] = [
  {
    rule: "DP-70",
    bug: "a line with a name twice has a canonical form",
    patches: [{ file: `${room}/strict_json.js`, find: "if (names?.has(string) === true)", replace: "if (false)" }],
    check: named(strictJson, "DP-70 a line that two parsers may read"),
  },
  {
    rule: "DP-70",
    bug: "a number that a double does not hold is rounded",
    patches: [{ file: `${room}/strict_json.js`, find: "!isExact(token)", replace: "!Number.isFinite(Number(token))" }],
    check: named(strictJson, "DP-70 a line that two parsers may read"),
  },
  {
    rule: "DP-70",
    bug: "the fingerprint does not cover who attests",
    patches: [{ file: `${room}/ocsf_attestation.js`, find: "update(canonical(attestation), ", replace: "update(canonical({ uid: id }), " }],
    check: named(evidence, "DP-70 an event's document is the signed line's own"),
  },
  {
    rule: "DP-70",
    bug: "what the producer attested himself is left out",
    patches: [{ file: `${room}/ocsf_attestation.js`, find: "[...own, attested]", replace: "[attested]" }],
    check: named(evidence, "DP-70 what the producer attested stays"),
  },
  {
    rule: "DP-70",
    bug: "a line that the gateway called invalid is attested",
    patches: [{ file: `${room}/ocsf_attestation.js`, find: "if (invalid !== undefined)", replace: "if (false)" }],
    check: named(evidence, "DP-70 what is no event"),
  },
  {
    rule: "DP-70",
    bug: "a signature says nothing of its algorithm",
    patches: [{ file: `${room}/ocsf_attestation.js`, find: "algorithm_id: 99,", replace: "" }],
    check: named(schema, "DP-70 an attestation, signed or not"),
  },
  {
    rule: "DP-71",
    bug: "of a document only the fingerprint is compared",
    patches: [
      {
        file: `${room}/attestation_check.js`,
        find: "else if (record.document !== expected.document(signedUs))",
        replace: "else if (!record.document.includes(expected.fingerprint))",
      },
    ],
    check: named(evidence, "DP-71 one character of the document"),
  },
  {
    rule: "DP-71",
    bug: "a note over another fingerprint counts",
    patches: [{ file: `${room}/attestation_check.js`, find: "note.fingerprint !== fingerprint", replace: "note.fingerprint === ''" }],
    check: named(evidence, "DP-71 a batch that was changed"),
  },
  {
    rule: "DP-71",
    bug: "a note of another event counts",
    patches: [{ file: `${room}/attestation_check.js`, find: "note.event !== id", replace: "note.event === ''" }],
    check: named(evidence, "DP-71 a note of another event"),
  },
  {
    rule: "DP-71",
    bug: "a note may name any checkpoint",
    patches: [
      { file: `${room}/attestation_check.js`, find: "leaf === null || note.checkpoint !== leaf.statement", replace: "leaf === null" },
    ],
    check: named(evidence, "DP-71 a note of another event"),
  },
  {
    rule: "DP-71",
    bug: "whoever signs, it counts",
    patches: [{ file: `${room}/attestation_check.js`, find: "!isSignedBy(parseNote(text), parseVerifierKey(key))", replace: "key === ''" }],
    check: named(evidence, "DP-71 a note of another event"),
  },
  {
    rule: "DP-71",
    bug: "a signature may be spelled in four ways",
    patches: [{ file: `${room}/signed_note.js`, find: 'bytes.toString("base64") !== base64', replace: "false" }],
    check: named(evidence, "DP-71 one character of the document"),
  },
  {
    rule: "DP-71",
    bug: "only the newest key counts, also for what was signed before it",
    patches: [{ file: `${room}/attestation_check.js`, find: "chain.keyAt(note.statement)", replace: "chain.keys.at(-1)" }],
    check: named(evidence, "DP-71 R-20 an attestation from before"),
  },
  {
    rule: "DP-71",
    bug: "an attestation may stand in a file twice",
    patches: [
      {
        file: `${room}/verifier.js`,
        find: "this.#subject === undefined || this.#attestation !== null",
        replace: "this.#subject === undefined",
      },
    ],
    check: named(evidence, "DP-71 an attestation stands behind its batch"),
  },
  {
    rule: "DP-72",
    bug: "the sealer signs for a payload that is not the signed one",
    patches: [{ file: `${sealing}/attester.js`, find: "!header.payloadHash.equals(payloadHash(batch.payload)) ||", replace: "" }],
    check: named(sealer, "DP-72 R-20 the sealer does not sign for what was changed in the database: one byte of the batch"),
  },
  {
    rule: "DP-72",
    bug: "the sealer does not look whether the batch is what it has signed",
    patches: [{ file: `${sealing}/attester.js`, find: `?.toString("hex") === statement.root`, replace: " !== null" }],
    check: named(sealer, "DP-72 R-20 the sealer does not sign for what was changed in the database: batch, header"),
  },
  {
    rule: "DP-72",
    bug: "the sealer signs behind whatever chain the database holds",
    patches: [{ file: `${sealing}/attester.js`, find: "previous !== end.hash ||", replace: "" }],
    check: named(sealer, "DP-72 R-20 the sealer signs behind no chain but its own"),
  },
  {
    rule: "DP-72",
    bug: "statements need not lead to one another",
    patches: [{ file: `${sealing}/attester.js`, find: "(previous !== undefined && one.previous !== previous)", replace: "false" }],
    check: named(sealer, "DP-72 R-20 the sealer signs behind no chain but its own"),
  },
  {
    rule: "DP-72",
    bug: "the columns' word is taken for what a batch holds",
    patches: [{ file: `${sealing}/attester.js`, find: "producer !== event.producer || epoch !== event.epoch ||", replace: "" }],
    check: named(sealer, "DP-72 R-20 an id that columns claim"),
  },
  {
    rule: "DP-73",
    bug: "anybody may hold as many connections as he likes",
    patches: [{ file: questions, find: "server.maxConnections = bounds.connectionsMax;", replace: ";" }],
    check: named(sealer, "DP-73 who says nothing is let go"),
  },
  {
    rule: "DP-73",
    bug: "questions are answered all at once",
    patches: [
      {
        file: questions,
        find: "last = last.then(async () =>",
        replace: "last = Promise.resolve().then(async () =>",
      },
    ],
    check: named(sealer, "DP-73 who says nothing is let go"),
  },
  {
    rule: "DP-73",
    bug: "a question may be of any length, if its end comes with it",
    patches: [{ file: `${sealing}/attestation_desk.js`, find: "if (line.length > questionBytesMax)", replace: "if (false)" }],
    check: named(sealer, "DP-73 the sealer's socket is its owner's alone"),
  },
];
