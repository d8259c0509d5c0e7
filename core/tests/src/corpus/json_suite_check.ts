/**
 * Why: JSONTestSuite holds the corner cases that parsers disagree on; each must end in a stated verdict.
 * Enforces: as a line, what must be accepted (`y_`) is JSON to us, what must be refused (`n_`) is not, and what is left open (`i_`) gives some
 * verdict; carried inside an event, an accepted value makes no event invalid but by the depth rule, and scanning a payload gives the parser's verdict;
 * nothing throws.
 * Forbids: judging files that are not one line: a line feed ends a line before any parser sees it.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { INVALID_CODES, validateLine, validatePayload } from "ransomeye-ingestion/protocol";

const notJson: ReadonlySet<number> = new Set([INVALID_CODES.EVENT_NOT_JSON.number, INVALID_CODES.EVENT_NOT_UTF8.number]);

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

/** The code of a line as the gate sees it, with its line feed; there it is scanned first. */
function payloadCode(line: Buffer): number | undefined {
  const check = validatePayload(Buffer.concat([line, Buffer.from("\n")]), 1);
  return check.kind === "lines" ? check.invalid[0]?.code : check.code;
}

function verdictFaults(name: string, line: Buffer): string[] {
  const code = validateLine(line)?.code;
  const carried = validateLine(eventWith(line))?.code;
  const inPayload = payloadCode(eventWith(line));
  if (carried !== inPayload) return [`${name} in an event: the parser says ${carried ?? "valid"}, the gate ${inPayload ?? "valid"}`];
  const parsed = code === undefined || !notJson.has(code);
  if (name.startsWith("y_") && !parsed) return [`${name} must be JSON, got ${code}`];
  if (name.startsWith("n_") && parsed) return [`${name} must not be JSON, got ${code ?? "a valid event"}`];
  if (!name.startsWith("n_") && parsed && carried !== undefined) return [`${name} makes an event invalid`];
  return [];
}

/** Runs every file of the suite through the line checker. True if all verdicts are as stated. */
export async function checkJsonSuite(corpus: string, print: (line: string) => void): Promise<boolean> {
  const root = join(corpus, "8-robustness", "JSONTestSuite");
  const faults: string[] = [];
  let lines = 0;
  let spread = 0;
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
      faults.push(...verdictFaults(name, body));
    }
  }
  for (const fault of faults) print(`    FAULT: ${fault}`);
  print(`json suite: ${lines} lines judged, ${spread} files of several lines passed through: ${faults.length === 0 ? "well" : "FAULTS"}`);
  return faults.length === 0;
}
