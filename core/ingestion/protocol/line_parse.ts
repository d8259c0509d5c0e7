// Why: JSON.parse costs most when called once a line, and both the gate and the engine parse every frame.
// Enforces: one parse for a whole payload, with a proof that element n of the answer is line n of the bytes.
// Forbids: trusting a join that a producer can fool. Joined by `,` alone, `{"a":1},{"b":2}` in one line and one object split over two others
//   still give the right number of elements, of the wrong lines; so a number that no producer knows stands between lines and must come back
//   at every odd place. What does not come back exactly so is parsed line by line.

import { isAscii, isUtf8 } from "node:buffer";
import { systemRandom } from "ransomeye-kernel";
import { INVALID_CODES, type InvalidCode } from "./invalid_codes.ts";

/** Stands for a line that is not JSON, or not UTF-8. JSON itself has no value that is `undefined`. */
export const unparsed: undefined = undefined;

/** Where the lines of a payload start, or why it has not the lines that its header promises. */
export type LineSplit =
  | { readonly kind: "lines"; readonly lineStarts: Uint32Array }
  | { readonly kind: "undecodable"; readonly code: InvalidCode; readonly reason: string };

const lineFeed = 10;

/** Finds `count` lines, each ended by a line feed. `lineStarts` are byte offsets; a line ends one byte before the next one starts. */
export function splitLines(payload: Buffer, count: number): LineSplit {
  if (payload.length === 0 || payload[payload.length - 1] !== lineFeed) {
    return { kind: "undecodable", code: INVALID_CODES.PAYLOAD_UNTERMINATED.number, reason: `${payload.length} bytes without a line feed at the end` };
  }
  // A header may claim any count up to 2^32; a payload has no more lines than bytes.
  const lineStarts = new Uint32Array(Math.min(count, payload.length));
  let found = 0;
  for (let at = 0; at < payload.length; at = payload.indexOf(lineFeed, at) + 1) {
    if (found < lineStarts.length) lineStarts[found] = at;
    found++;
  }
  if (found !== count) return { kind: "undecodable", code: INVALID_CODES.PAYLOAD_LINE_COUNT.number, reason: `${found} lines, the header says ${count}` };
  return { kind: "lines", lineStarts };
}

/** 48 random bits, so exact in a double; drawn once a process and never sent anywhere. */
const separator = systemRandom.uint32() * 65_536 + (systemRandom.uint32() & 0xffff) + 1;
const joint = `,${separator},`;

/**
 * Parses every line of a payload that `splitLines` has accepted. Element n belongs to line n; `undefined` where the line is not JSON or not
 * UTF-8. `lineStarts` spares a second search for lines where the caller has them. Objects are JSON.parse's own: `__proto__` is an own property, of duplicate keys the last one counts.
 */
export function parseLines(payload: Buffer, count: number, lineStarts?: Uint32Array): unknown[] {
  if (isUtf8(payload)) {
    // One-byte strings parse faster; ASCII decodes to them without looking at it twice.
    const text = isAscii(payload) ? payload.toString("latin1", 0, payload.length - 1) : payload.toString("utf8", 0, payload.length - 1);
    const joined = parseJoined(text, count);
    if (joined !== null) return joined;
  }
  return parseEach(payload, count, lineStarts);
}

function parseJoined(text: string, count: number): unknown[] | null {
  let values: unknown[];
  try {
    values = JSON.parse(`[${text.split("\n").join(joint)}]`) as unknown[];
  } catch {
    return null;
  }
  if (values.length !== 2 * count - 1) return null;
  for (let i = 1; i < values.length; i += 2) if (values[i] !== separator) return null;
  for (let i = 1; i < count; i++) values[i] = values[2 * i];
  values.length = count;
  return values;
}

function parseEach(payload: Buffer, count: number, known?: Uint32Array): unknown[] {
  const values: unknown[] = new Array<unknown>(count).fill(unparsed);
  const split = known === undefined ? splitLines(payload, count) : { kind: "lines" as const, lineStarts: known };
  if (split.kind === "undecodable") return values;
  const { lineStarts } = split;
  for (let line = 0; line < count; line++) {
    const end = (line + 1 < count ? (lineStarts[line + 1] as number) : payload.length) - 1;
    values[line] = parseOne(payload.subarray(lineStarts[line] as number, end));
  }
  return values;
}

/** One line; `undefined` where it is not UTF-8 or not JSON. */
export function parseOne(line: Buffer): unknown {
  if (!isUtf8(line)) return unparsed;
  try {
    return JSON.parse(line.toString("utf8")) as unknown;
  } catch {
    return unparsed;
  }
}
