/** Why: bugs planted where a line is held to its bounds, at the gate and in the shipper. Enforces: each row names a rule or claim and the test that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const protocol = "core/ingestion/dist/protocol";
const mapping = "agents/shipper/dist/src/mapping";
const validation = (name: string): Mutant["check"] => named("core/ingestion/dist/test/validation.test.js", name);
const scan = named("core/ingestion/dist/test/event_scan.test.js", "IF-13 scanner and bounds agree");
const windows = (name: string): Mutant["check"] => named("agents/shipper/dist/test/windows_extremes.test.js", name);
const input = (name: string): Mutant["check"] => named("agents/shipper/dist/test/input.test.js", name);

const bounds: readonly Mutant[] = [
  {
    rule: "IF-13",
    bug: "a line is parsed before its bounds are looked at",
    patches: [
      {
        file: `${protocol}/validation.js`,
        find: "const beyond = sure",
        replace: "parseLine(payload, start, end);\n    const beyond = sure",
      },
    ],
    check: validation("IF-13 what is beyond a bound is never parsed"),
  },
  {
    rule: "IF-13",
    bug: "nobody counts the keys of a line",
    patches: [{ file: `${protocol}/event_bounds.js`, find: "++keys > jsonKeysMax", replace: "false" }],
    check: validation("IF-13 keys beyond json_keys_max"),
  },
  {
    rule: "IF-13",
    bug: "an escaped quote ends a string, so that text counts as keys",
    patches: [{ file: `${protocol}/event_bounds.js`, find: "bytes[at] === backslash", replace: "false" }],
    check: validation("IF-13 keys beyond json_keys_max"),
  },
  {
    rule: "IF-13",
    bug: "a string may be as long as its line",
    patches: [{ file: `${protocol}/event_bounds.js`, find: "close - at - 1 > jsonStringBytesMax", replace: "false" }],
    check: validation("IF-13 strings beyond json_string_bytes_max"),
  },
  {
    rule: "IF-13",
    bug: "a line may be as deep as it is long",
    patches: [{ file: `${protocol}/event_bounds.js`, find: "++depth > jsonDepthMax", replace: "false" }],
    check: validation("IF-13 depth beyond json_depth_max"),
  },
  {
    rule: "IF-13, R-17",
    bug: "the scanner is sure of a line with too many keys of the schema",
    patches: [{ file: `${protocol}/event_scan.js`, find: "if (--keysLeft < 0)", replace: "if (false)" }],
    check: scan,
  },
  {
    rule: "IF-13, R-17",
    bug: "the scanner is sure of a line with too many unknown keys",
    patches: [{ file: `${protocol}/event_scan.js`, find: " || --keysLeft < 0", replace: "" }],
    check: scan,
  },
  {
    rule: "IF-13, R-17",
    bug: "the scanner is sure of a line with a string that is too long",
    patches: [{ file: `${protocol}/event_scan.js`, find: "to - from - 2 > stringBytesMax", replace: "false" }],
    check: scan,
  },
  {
    rule: "IF-13, R-17",
    bug: "the scanner is sure of a line with a name that is too long",
    patches: [{ file: `${protocol}/event_scan.js`, find: " || at - nameStart > stringBytesMax", replace: "" }],
    check: validation("IF-13 strings beyond json_string_bytes_max"),
  },
  {
    rule: "IF-13",
    bug: "a gap's payload is parsed whatever it holds",
    patches: [
      { file: "core/ingestion/dist/protocol/gap_reason.js", find: "if (lineBoundsFault(payload) !== null)", replace: "if (false)" },
    ],
    check: named("core/engine/dist/test/row_batch.test.js", "IF-13 a gap's payload beyond the bounds"),
  },
  {
    rule: "IF-14",
    bug: "a line that is no UTF-8 is read as well as it can be",
    patches: [{ file: `${protocol}/validation.js`, find: "if (!clean && !isUtf8(payload.subarray(start, end)))", replace: "if (false)" }],
    check: named("core/tests/dist/test/json_suite.test.js", "IF-14 every text that JSON leaves open"),
  },
  {
    rule: "FMT-12",
    bug: "the shipper sends what is beyond a bound",
    patches: [{ file: `${mapping}/draft.js`, find: "let beyond = lineBoundsFault(line);", replace: "let beyond = null;" }],
    check: input("FMT-12 an event with too many keys"),
  },
  {
    rule: "FMT-12",
    bug: "a record is parsed before anyone looks how deep it is",
    patches: [
      {
        file: `${mapping}/map_record.js`,
        find: "const tooDeep = boundsFault(",
        replace: "parseJson(bytes);\n    const tooDeep = boundsFault(",
      },
    ],
    check: input("FMT-12 a record that is too deep is not parsed"),
  },
];

const pitfalls: readonly Mutant[] = [
  {
    rule: "FMT-2",
    bug: "the lowest 64-bit integer is rounded by a double",
    patches: [{ file: `${mapping}/json.js`, find: "!Number.isSafeInteger(number)", replace: "Math.abs(number) > 2 ** 63" }],
    check: windows("FMT-2 keywords are exact"),
  },
  {
    rule: "FMT-13",
    bug: "a record of 32 kB is too large for the reader",
    patches: [
      {
        file: "agents/shipper/dist/src/record_reader.js",
        find: "export const recordBytesMax = 1024 * 1024;",
        replace: "export const recordBytesMax = 32 * 1024;",
      },
    ],
    check: windows("FMT-13 a line of 32 kB"),
  },
  {
    rule: "FMT-14",
    bug: "a Suricata record whose time has no offset has no time",
    patches: [
      { file: `${mapping}/suricata/suricata.js`, find: "parseInstantUs(timestamp, true)", replace: "parseInstantUs(timestamp, false)" },
    ],
    check: named("agents/shipper/dist/test/suricata.test.js", "FMT-14 a timestamp with any offset"),
  },
];

export const validationMutants: readonly Mutant[] = [...bounds, ...pitfalls];
