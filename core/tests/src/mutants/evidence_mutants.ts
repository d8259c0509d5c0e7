/** Why: bugs planted where evidence is made and judged. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const room = "core/evidence/dist/src";
const merkle = "core/evidence/dist/test/merkle.test.js";
const verifier = "core/evidence/dist/test/verifier.test.js";
const recordFile = "core/evidence/dist/test/record_file.test.js";
const sealing = "cli/dist/src/sealing";
const sealer = "cli/dist/test/sealer.test.js";

export const evidenceMutants: readonly Mutant[] = [
  {
    rule: "DP-4",
    bug: "leaves and inner nodes of a tree are hashed alike",
    patches: [{ file: `${room}/merkle.js`, find: "const leafPrefix = Buffer.from([0]);", replace: "const leafPrefix = Buffer.from([1]);" }],
    check: named(merkle, "DP-4 R-20 trees have the roots of RFC 6962's shared vectors"),
  },
  {
    rule: "DP-4",
    bug: "a path may be longer than its place asks for",
    patches: [
      { file: `${room}/merkle.js`, find: "if (siblingIsLeft.length !== path.length)", replace: "if (siblingIsLeft.length > path.length)" },
    ],
    check: named(merkle, "DP-4 R-20 no other leaf, place, size or path"),
  },
  {
    rule: "DP-4",
    bug: "any key's signature will do for a statement",
    patches: [
      { file: `${room}/statement_chain.js`, find: "!isSignedBy(parsed, this.#verifier)", replace: "parsed.signatures.length === 0" },
    ],
    check: named(verifier, "DP-4 R-20 statements: none can be left out"),
  },
  {
    rule: "DP-4",
    bug: "statements need not name the one before",
    patches: [
      {
        file: `${room}/statement_chain.js`,
        find: "if (statement.previous !== this.#hashes.get(last.number))",
        replace: "if (statement.previous === '')",
      },
    ],
    check: named(verifier, "DP-4 R-20 statements: none can be left out"),
  },
  {
    rule: "DP-4",
    bug: "whoever holds the key may name another that nobody holds",
    patches: [
      {
        file: `${room}/statement_chain.js`,
        find: `if (statement.kind === "key" && !this.#possessed(statement.key, note))`,
        replace: "if (false)",
      },
    ],
    check: named(verifier, "DP-4 R-20 statements: none can be left out"),
  },
  {
    rule: "DP-4",
    bug: "a copy from elsewhere that the chain does not reach is passed over",
    patches: [{ file: `${room}/verifier.js`, find: "if (hash === undefined)", replace: "if (hash === undefined && number < 0)" }],
    check: named(verifier, "DP-4 R-20 statements: none can be left out"),
  },
  {
    rule: "DP-4",
    bug: "verdicts are not under the checkpoint",
    patches: [{ file: `${room}/leaves.js`, find: "hash, verdictHash]", replace: "hash, hash]" }],
    check: named(recordFile, "DP-4 X-3 whatever value of a file is bent"),
  },
  {
    rule: "DP-4",
    bug: "the time of receipt is not under the checkpoint",
    patches: [{ file: `${room}/leaves.js`, find: "u64(receivedUs)", replace: "u64(0)" }],
    check: named(verifier, "DP-4 R-20 tampering is named: the time of receipt"),
  },
  {
    rule: "DP-4",
    bug: "entries that a checkpoint covers may be missing at its end",
    patches: [{ file: `${room}/verifier.js`, find: "if (next === statement.entries)", replace: "if (next > 0)" }],
    check: named(verifier, "DP-4 R-20 tampering is named: the last batch under a checkpoint removed"),
  },
  {
    rule: "DP-4",
    bug: "entries that a checkpoint covers may be missing in its middle",
    patches: [{ file: `${room}/verifier.js`, find: "if (index > next)", replace: "if (false)" }],
    check: named(verifier, "DP-4 R-20 tampering is named: one batch removed"),
  },
  {
    rule: "DP-4",
    bug: "a row that was removed is not missed",
    patches: [
      {
        file: `${room}/entry_check.js`,
        find: "if (!entry.stored)\n            return undefined;",
        replace: "if (true)\n            return undefined;",
      },
    ],
    check: named(verifier, "DP-4 R-20 tampering is named: one row removed"),
  },
  {
    rule: "DP-4",
    bug: "a sealed batch may say that it is not yet stored, and lack its rows",
    patches: [{ file: `${room}/verifier.js`, find: "entry.leaf === null ? entry : { ...entry, stored: true }", replace: "entry" }],
    check: named(verifier, "DP-4 R-20 what a file pretends is found: a sealed batch is not yet stored"),
  },
  {
    rule: "DP-4",
    bug: "a batch without a proof counts as not yet sealed, though a checkpoint covers it",
    patches: [{ file: `${room}/verifier.js`, find: "if (covering !== undefined)", replace: "if (false)" }],
    check: named(verifier, "DP-4 R-20 what a file pretends is found: a sealed batch is not yet sealed"),
  },
  {
    rule: "DP-4",
    bug: "a line counts as unreadable because somebody says so",
    patches: [
      {
        file: `${room}/entry_check.js`,
        find: "if (letter !== unreadableCode)",
        replace: "if (letter === unreadableCode)\n        return undefined;\n    if (letter !== unreadableCode)",
      },
    ],
    check: named(verifier, "DP-4 R-20 what a file pretends is found: a line that is JSON"),
  },
  {
    rule: "DP-4",
    bug: "a row is compared without its texts",
    patches: [
      {
        file: `${room}/derived_row.js`,
        find: "!same(derived[name], row[name])",
        replace: `typeof derived[name] === "number" && !same(derived[name], row[name])`,
      },
    ],
    check: named(verifier, "DP-4 R-20 tampering is named: one column of one row"),
  },
  {
    rule: "DP-4",
    bug: "dead letters stand for whatever they say",
    patches: [{ file: `${room}/entry_check.js`, find: "letters.has(seq) || count !== 1 || !among", replace: "false" }],
    check: named(recordFile, "DP-4 X-3 whatever value of a file is bent"),
  },
  {
    rule: "DP-4",
    bug: "what was cut off at the end of an epoch is not missed",
    patches: [
      {
        file: `${room}/producer_chains.js`,
        find: "if (before.lastSeq < link.prevSeq)",
        replace: "if (before.lastSeq < link.prevSeq) return undefined; if (false)",
      },
    ],
    check: named(verifier, "DP-4 R-20 a producer's chain shows"),
  },
  {
    rule: "DP-5",
    bug: "a day counts as expired because somebody says so, without a statement over it",
    patches: [{ file: `${room}/verifier.js`, find: "root !== statement.root)", replace: "false)" }],
    check: named(verifier, "DP-5 R-20 what retention has removed"),
  },
  {
    rule: "DP-5",
    bug: "a file without its end passes",
    patches: [{ file: `${room}/verifier.js`, find: "if (!this.#ended || ", replace: "if (" }],
    check: named(recordFile, "DP-4 a file that was cut"),
  },
  {
    rule: "DP-5",
    bug: "the sealer signs past an entry that is missing",
    patches: [{ file: `${sealing}/sealer.js`, find: "if (off !== range.upToOff + 1)", replace: "if (off <= range.upToOff)" }],
    check: named(sealer, "DP-5 R-20 an entry that is missing"),
  },
  {
    rule: "DP-5",
    bug: "a checkpoint runs on into the next day",
    patches: [{ file: `${sealing}/sealer.js`, find: "dayStartUs + dayUs", replace: "dayStartUs + 9 * dayUs" }],
    check: named(sealer, "DP-5 R-20 what is stored is sealed once"),
  },
  {
    rule: "DP-5",
    bug: "a day is signed away while a part of it is not sealed",
    patches: [{ file: `${sealing}/sealer.js`, find: "if (!(await store.allSealed(wish.day)))", replace: "if (false)" }],
    check: named(sealer, "DP-5 R-20 R-33 retention takes a day only after"),
  },
  {
    rule: "DP-5",
    bug: "the sealer seals what is not yet stored",
    patches: [
      { file: `${sealing}/seal_store.js`, find: "AND e.off > $2 AND e.off <= $3", replace: "AND e.off > $2 AND $3::bigint IS NOT NULL" },
    ],
    check: named(sealer, "DP-5 R-20 a sealer goes on where the last one ended"),
  },
  {
    rule: "DP-5",
    bug: "a sealer goes on behind a database that has forgotten what it signed",
    patches: [{ file: `${sealing}/sealer.js`, find: "!== last.hash)", replace: "=== null)" }],
    check: named(sealer, "DP-4 R-20 the newest hour removed with its statement"),
  },
  {
    rule: "DP-5",
    bug: "the key before does not sign the handover",
    patches: [{ file: `${sealing}/sealer.js`, find: "[this.#signer, next], next", replace: "[next], next" }],
    check: named(sealer, "DP-5 R-20 keys rotate"),
  },
  {
    rule: "DP-5",
    bug: "a lost key is replaced by a new one without a word",
    patches: [
      {
        file: `${sealing}/sealer_keys.js`,
        find: 'throw new EvidenceError("EVIDENCE_KEY_MISSING"',
        replace: 'if (present === undefined) return this.#make("sealer.key"); throw new EvidenceError("EVIDENCE_KEY_MISSING"',
      },
    ],
    check: named(sealer, "DP-5 R-20 a lost, strange or open key file"),
  },
];
