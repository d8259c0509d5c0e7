/** Why: bugs planted in the index of observables. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const protocol = "core/ingestion/dist/protocol";
const walk = "core/ingestion/dist/test/observables.test.js";
const room = "core/engine/dist/src/observables";
const postings = "core/engine/dist/test/observable_index.test.js";
const pivot = "cli/dist/test/pivot.test.js";
const histories = "DP-40 R-31 in random histories an answer";

export const observableMutants: readonly Mutant[] = [
  {
    rule: "DP-41",
    bug: "an IPv4-mapped address is another value than the address that it maps",
    patches: [
      {
        file: `${protocol}/observables.js`,
        find: "            const ip = canonicalIp(text);\n            return ip === null",
        replace: "            const ip = canonicalIp(text) && text;\n            return ip === null",
      },
    ],
    check: named(walk, "DP-41 R-31 one value has one canonical text"),
  },
  {
    rule: "DP-41",
    bug: "an escape in a field's name hides the field",
    patches: [
      {
        file: `${protocol}/observable_scan.js`,
        find: 'found = number(textOf(bytes, from, at, written.escaped) ?? "");',
        replace: "found = 0;",
      },
    ],
    check: named(walk, "DP-41 R-31 the walk over a line's bytes"),
  },
  {
    rule: "DP-41",
    bug: "the walk goes on beyond the end of its line",
    patches: [
      {
        file: `${protocol}/observable_scan.js`,
        find: "byte === 0x0d; byte = bytes[++at])",
        replace: "byte === 0x0d || byte === 0x0a; byte = bytes[++at])",
      },
    ],
    check: named(walk, "DP-41 R-31 no bytes make the walk fail"),
  },
  {
    rule: "DP-40",
    bug: "a text of the same hash as another of its batch is left out",
    patches: [
      {
        file: `${room}/frame_keys.js`,
        find: "if (bytes[start + i] !== bytes[from + i])",
        replace: "if (bytes[start + i] !== bytes[from + i] && false)",
      },
      { file: `${room}/frame_keys.js`, find: "hash = (Math.imul(hash, 31) + bytes[at]) | 0;", replace: "hash = (hash + bytes[at]) | 0;" },
    ],
    check: named(postings, "DP-40 R-31 a batch's keys are those of all its values"),
  },
  {
    rule: "DP-40",
    bug: "a key that does not fit its block is cut there",
    patches: [{ file: `${room}/segment.js`, find: "from += taken;", replace: "from = to;" }],
    check: named(postings, "DP-40 R-31 a segment gives each key's batches back"),
  },
  {
    rule: "DP-40",
    bug: "of blocks that begin before a key any may be the last",
    patches: [
      {
        file: `${room}/index_reader.js`,
        find: "ORDER BY p.first_key DESC, p.number DESC LIMIT 1",
        replace: "ORDER BY p.first_key, p.number LIMIT 1",
      },
    ],
    check: named(pivot, "DP-40 R-31 in a segment of many blocks"),
  },
  {
    rule: "DP-40",
    bug: "what is not indexed yet is not looked at",
    patches: [
      {
        file: `${room}/index_reader.js`,
        find: 'this.#places("views.observable_unindexed p")',
        replace: 'this.#places("views.observable_unindexed p WHERE false")',
      },
    ],
    check: named(pivot, "DP-40 R-31 a batch that is not indexed is read directly"),
  },
  {
    rule: "DP-40",
    bug: "an index by other rules is believed",
    patches: [{ file: `${room}/index_reader.js`, find: "rows[0]?.rules === OBSERVABLE_RULES ?", replace: "rows[0] !== undefined ?" }],
    check: named(pivot, "DP-40 R-31 a batch that is not indexed is read directly"),
  },
  {
    rule: "DP-40",
    bug: "keys are believed, and documents not asked",
    patches: [{ file: "cli/dist/src/queries/pivot.js", find: "return this.#values.every(", replace: "return true || this.#values.every(" }],
    check: named(pivot, histories),
  },
  {
    rule: "DP-42",
    bug: "a mark moves wherever it stands",
    patches: [
      { file: `${room}/index_store.js`, find: "AND m.off = $5 AND m.received_at = ", replace: "AND $5::bigint >= 0 AND m.received_at > " },
    ],
    check: named(pivot, "DP-42 R-31"),
  },
  {
    rule: "DP-42",
    bug: "sorted summaries stay",
    patches: [
      {
        file: `${room}/index_store.js`,
        find: "`DELETE FROM observable.summary s WHERE ${range}`",
        replace: "`SELECT FROM observable.summary s WHERE ${range}`",
      },
    ],
    check: named(pivot, "DP-42 R-31 X-6 an indexer that is killed"),
  },
  {
    rule: "DP-43",
    bug: "a search that ran out of time looks complete",
    patches: [
      { file: "cli/dist/src/queries/pivot.js", find: "return this.#answer(this.#reachedUs);", replace: "return this.#answer(null);" },
    ],
    check: named(pivot, "DP-43 R-31 an answer that runs out of time"),
  },
  {
    rule: "DP-43",
    bug: "a search by text passes a slice over that it had no time for",
    patches: [
      {
        file: "cli/dist/src/queries/text_search.js",
        find: "if (leftMs <= 0)\n                return { rows, reachedUs };",
        replace: "if (leftMs <= 0)\n                return { rows, reachedUs: reachedUs - sliceUs };",
      },
    ],
    check: named(pivot, "DP-43 R-31 a search by text tells its cost"),
  },
  {
    rule: "DP-44",
    bug: "pages of the sink's heads are filled to the brim",
    patches: [{ file: "core/db/migrations/0003_data.sql", find: ") WITH (fillfactor = 50);", replace: ");" }],
    check: named("core/db/dist/test/storage.test.js", "DP-44 every table is stored as the page says"),
  },
];
