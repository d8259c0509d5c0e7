/**
 * Why: JSONTestSuite holds the corner cases that parsers disagree on; each must end in a stated verdict.
 * Enforces: as a line, what must be accepted (`y_`) is JSON to us, what must be refused (`n_`) is not, and what is left open (`i_`) has the verdict
 * that our table states; carried inside an event, an accepted value makes no event invalid, and scanning a payload gives the parser's verdict; nothing throws.
 * Forbids: judging files that are not one line: a line feed ends a line before any parser sees it; and an open file that the table does not name.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { invalidName, type InvalidName, validateLine, validatePayload } from "ransomeye-ingestion/protocol";
import { openVerdicts } from "./json_suite_verdicts.ts";

/** What a line that is no JSON may be told: a bound may end the reading before the first fault of its grammar is met. */
const refusals: ReadonlySet<string> = new Set<InvalidName>([
  "EVENT_NOT_JSON",
  "EVENT_NOT_UTF8",
  "EVENT_TOO_DEEP",
  "EVENT_TOO_LONG",
  "EVENT_TOO_MANY_KEYS",
  "EVENT_STRING_TOO_LONG",
]);

/** An event with `value` where anything may stand. */
function eventWith(value: Buffer): Buffer {
  const event = {
    class_uid: 0,
    category_uid: 0,
    activity_id: 0,
    type_uid: 0,
    severity_id: 0,
    time: 0,
    metadata: { version: "1.9.0", product: {} },
  };
  const opening = JSON.stringify(event).slice(0, -1);
  return Buffer.concat([Buffer.from(`${opening},"x":`), value, Buffer.from("}")]);
}

const valid = "valid";

/** What a producer is told of a line before it signs. */
function lineVerdict(line: Buffer): string {
  const fault = validateLine(line);
  return fault === null ? valid : invalidName(fault.code);
}

/** The same as the gate sees it, with its line feed; there it is scanned first. */
function payloadVerdict(line: Buffer): string {
  const check = validatePayload(Buffer.concat([line, Buffer.from("\n")]), 1);
  const code = check.kind === "lines" ? check.invalid[0]?.code : check.code;
  return code === undefined ? valid : invalidName(code);
}

function verdictFaults(name: string, line: Buffer): string[] {
  const alone = lineVerdict(line);
  const carried = lineVerdict(eventWith(line));
  const inPayload = payloadVerdict(eventWith(line));
  if (carried !== inPayload) return [`${name} in an event: the parser says ${carried}, the gate ${inPayload}`];
  const isJson = !refusals.has(alone);
  if (name.startsWith("n_")) return isJson ? [`${name} must not be JSON, got ${alone}`] : [];
  if (name.startsWith("i_")) return openFaults(name, isJson ? "json" : alone, isJson && carried === valid ? "json" : carried);
  if (name.startsWith("y_") && !isJson) return [`${name} must be JSON, got ${alone}`];
  return isJson && carried !== valid ? [`${name} makes an event invalid: ${carried}`] : [];
}

/** Holds both verdicts over an open text to the table. */
function openFaults(name: string, alone: string, carried: string): string[] {
  const stated = openVerdicts[name];
  if (stated === undefined) return [`${name} has no stated verdict; it is ${alone}`];
  return alone === stated && carried === stated ? [] : [`${name} is stated to be ${stated}, is ${alone}, and ${carried} inside an event`];
}

/** Runs every file of the suite through the line checker. True if all verdicts are as stated. */
export async function checkJsonSuite(corpus: string, print: (line: string) => void): Promise<boolean> {
  const root = join(corpus, "8-robustness", "JSONTestSuite");
  const faults: string[] = [];
  let lines = 0;
  let spread = 0;
  let open = 0;
  for (const folder of await readdir(root)) {
    for (const name of await readdir(join(root, folder))) {
      const bytes = await readFile(join(root, folder, name));
      const body = bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
      // Whatever it is, a payload of it is decided upon without an exception.
      validatePayload(Buffer.concat([body, Buffer.from("\n")]), 1);
      if (body.includes(0x0a)) {
        spread++;
        continue;
      }
      lines++;
      if (name.startsWith("i_")) open++;
      faults.push(...verdictFaults(name, body));
    }
  }
  for (const fault of faults) print(`    FAULT: ${fault}`);
  print(
    `json suite: ${lines} lines judged, ${open} of them open, ${spread} files of several lines passed through: ${faults.length === 0 ? "well" : "FAULTS"}`,
  );
  return faults.length === 0;
}
