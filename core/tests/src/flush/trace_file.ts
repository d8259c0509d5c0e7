/**
 * Why: strace writes for people; the judge needs calls with their bytes and their place in the order.
 * Enforces: the order is the tracer's own. A call that other calls came in between has two lines, its beginning and its end; one that none came in
 *   between has one, which is both. The tracer prints a beginning before it lets the call go on, and an end after it has ended, so "ends on an earlier line than
 *   the other begins" means "was over before the other could do anything". No clock is compared.
 * Forbids: calls with cut bytes: they would hide what is looked for.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

/** A line of the trace: smaller is earlier. */
export type Moment = number;

/** One system call on a file descriptor. */
export interface Call {
  readonly name: string;
  /** A path, or what else the descriptor is: `socket:[4711]`. */
  readonly file: string;
  /** The bytes that were given and taken; empty for a flush. */
  readonly bytes: Buffer;
  /** Where in the file, for calls that say so. */
  readonly offset: number;
  readonly begins: Moment;
  readonly ends: Moment;
}

interface Begun {
  readonly text: string;
  readonly begins: Moment;
}

/** Calls that succeeded, in the order in which they ended. */
export async function* readTrace(path: string): AsyncGenerator<Call> {
  const begun = new Map<string, Begun>();
  let line: Moment = 0;
  for await (const text of createInterface({ input: createReadStream(path, { highWaterMark: 1_048_576 }) })) {
    line += 1;
    const { task, rest } = /^(?<task>\d+) +[\d.]+ (?<rest>.*)$/.exec(text)?.groups ?? {};
    if (task === undefined || rest === undefined) throw new Error(`line ${line} of the trace has no task`);
    if (rest.startsWith("+++") || rest.startsWith("---")) continue;
    // The last calls of all are left to themselves when the tracer goes.
    const open = / <(?:unfinished|detached) \.\.\.>$/.exec(rest);
    if (open !== null) {
      begun.set(task, { text: rest.slice(0, open.index), begins: line });
      continue;
    }
    const end = /\)\s+= (?<result>-?\d+|\?)[^"]*$/.exec(rest);
    if (end === null) throw new Error(`line ${line} of the trace does not end: …${rest.slice(-200)}`);
    const resumed = rest.startsWith("<... ");
    const beginning = resumed ? begun.get(task) : { text: rest.slice(0, end.index), begins: line };
    if (resumed) begun.delete(task);
    const result = Number(end.groups?.["result"]);
    // Begun before the tracer came, or failed: nothing was written, nothing is durable.
    if (beginning === undefined || !(result >= 0)) continue;
    yield parsedCall(beginning, line, result);
  }
}

function parsedCall({ text, begins }: Begun, ends: Moment, result: number): Call {
  const { name = "", file = "" } = /^(?<name>\w+)\(\d+<(?<file>[^>]*)>/.exec(text)?.groups ?? {};
  if (/"\.\.\./.test(text)) throw new Error(`line ${begins} of the trace has cut bytes`);
  const given = [...text.matchAll(/"([^"]*)"/g)].map(([, hex = ""]) => bytesOf(hex));
  const offset = Number(/, (\d+)$/.exec(text)?.[1] ?? Number.NaN);
  return { name, file: bytesOf(file).toString(), bytes: Buffer.concat(given).subarray(0, result), offset, begins, ends };
}

/** strace's `\x41\x42`. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}
