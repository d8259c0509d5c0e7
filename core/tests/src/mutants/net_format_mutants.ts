/** Why: bugs that readers of foreign formats have, ours and others'. Enforces: each breaks one claim of core/docs/formats.md, and a test of the shipper notices. */
import { type Mutant, named } from "./mutant.ts";

const mapping = "agents/shipper/dist/src/mapping";
const tests = "agents/shipper/dist/test";
const zeek = `${tests}/zeek_tsv.test.js`;

export const netFormatMutants: readonly Mutant[] = [
  {
    rule: "FMT-2",
    bug: "nanoseconds on their way through a double",
    patches: [
      { file: `${mapping}/source_time.js`, find: "Number(floorDivide(count, 1000n))", replace: "Math.round(Number(count) / 1000)" },
    ],
    check: named(`${tests}/falco.test.js`, "FMT-2 nanoseconds"),
  },
  {
    rule: "FMT-2",
    bug: "a FILETIME on its way through a double",
    patches: [
      {
        file: `${mapping}/source_time.js`,
        find: "Number(floorDivide(count - fileTimeEpoch, 10n))",
        replace: "Math.round(Number(count - fileTimeEpoch) / 10)",
      },
    ],
    check: named(`${tests}/etw.test.js`, "FMT-2 a FILETIME"),
  },
  {
    rule: "FMT-2",
    bug: "the mask of ETW's keywords keeps its sign",
    patches: [{ file: `${mapping}/etw/keywords.js`, find: "`0x${BigInt.asUintN(bits, mask)", replace: "`0x${mask" }],
    check: named(`${tests}/etw.test.js`, "FMT-2 64-bit"),
  },
  {
    rule: "FMT-3",
    bug: "a counter beyond 2^53 is rounded",
    patches: [{ file: `${mapping}/zeek/tsv.js`, find: "Number.isSafeInteger(number) ? number : value", replace: "number" }],
    check: named(zeek, "FMT-3 a row and a JSON record"),
  },
  {
    rule: "FMT-3",
    bug: "an unset member of a list is the text that marks it",
    patches: [{ file: `${mapping}/zeek/tsv.js`, find: "if (item === header.unsetField)", replace: "if (false)" }],
    check: named(zeek, "FMT-3 a row and a JSON record"),
  },
  {
    rule: "FMT-3",
    bug: "escapes are undone before unset and empty are looked for",
    patches: [
      {
        file: `${mapping}/zeek/tsv.js`,
        find: `const values = bytes.toString("latin1").split(header.separator);`,
        replace: `const values = bytes.toString("latin1").split(header.separator).map((value) => value.replaceAll("\\\\x2d", "-"));`,
      },
    ],
    check: named(zeek, "FMT-3 a row and a JSON record"),
  },
  {
    rule: "FMT-4",
    bug: "what a row has beyond its header is dropped",
    patches: [
      { file: `${mapping}/zeek/tsv.js`, find: "if (values.length !== columns.length)", replace: "if (values.length < columns.length)" },
    ],
    check: named(zeek, "FMT-4 a row with another number"),
  },
  {
    rule: "FMT-4",
    bug: "a later header adds to the one before it",
    patches: [
      {
        file: `${mapping}/zeek/tsv_header.js`,
        find: `if (opens !== null && (before === "" || opens[1] === prefix))`,
        replace: `if (opens !== null && before !== "")\n        return before;\n    if (opens !== null)`,
      },
    ],
    check: named(zeek, "FMT-4 rows without their header"),
  },
  {
    rule: "FMT-4",
    bug: "a reading that goes on has forgotten the header",
    patches: [{ file: "agents/shipper/dist/src/input/header_framing.js", find: "prelude: this.#header", replace: `prelude: ""` }],
    check: named(
      `${tests}/resume.test.js`,
      "FMT-7 from any resume point the rest of the input comes, and nothing twice: rows under headers",
    ),
  },
  {
    rule: "FMT-5",
    bug: "of several rows only the first is looked at",
    patches: [{ file: `${mapping}/osquery/osquery.js`, find: "rows.length === 1 ?", replace: "rows.length >= 1 ?" }],
    check: named(`${tests}/osquery.test.js`, "FMT-5 a snapshot and a batch"),
  },
  {
    rule: "FMT-11",
    bug: "what stands before an event spoils it",
    patches: [
      {
        file: "agents/shipper/dist/src/input/element_framing.js",
        find: "[...text.matchAll(this.#startTag)].at(-1)?.index ?? text.length",
        replace: "0",
      },
    ],
    check: named(`${tests}/windows_xml.test.js`, "P-8 FMT-11 what stands between events"),
  },
];
