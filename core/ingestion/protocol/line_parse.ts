// Why: a payload is lines, and both the gate and the engine must mean the same line by "line n".
// Enforces: lines are what lies between line feeds, and each is parsed by itself from its own bytes.
// Forbids: joining lines for one big parse. It was measured and saves nothing (decoding one line at a time costs less than building and
//   splitting a joined text), and it can be fooled: joined by commas, `{"a":1},{"b":2}` in one line and one object split over two others
//   still give the right number of values, of the wrong lines.

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
    return {
      kind: "undecodable",
      code: INVALID_CODES.PAYLOAD_UNTERMINATED.number,
      reason: `${payload.length} bytes without a line feed at the end`,
    };
  }
  // A header may claim any count up to 2^32; a payload has no more lines than bytes.
  const lineStarts = new Uint32Array(Math.min(count, payload.length));
  let found = 0;
  for (let at = 0; at < payload.length; at = payload.indexOf(lineFeed, at) + 1) {
    if (found < lineStarts.length) lineStarts[found] = at;
    found++;
  }
  if (found !== count)
    return { kind: "undecodable", code: INVALID_CODES.PAYLOAD_LINE_COUNT.number, reason: `${found} lines, the header says ${count}` };
  return { kind: "lines", lineStarts };
}

/** Byte offset behind line `line`, its line feed not included. */
export function lineEnd(payload: Buffer, lineStarts: Uint32Array, line: number): number {
  return (line + 1 < lineStarts.length ? (lineStarts[line + 1] as number) : payload.length) - 1;
}

/**
 * Parses the bytes [start, end); `undefined` where they are not JSON. Bytes that are not UTF-8 are the caller's to refuse before: decoding
 * would put U+FFFD in their place. The value is JSON.parse's own: `__proto__` is an own property, of duplicate keys the last one counts.
 */
export function parseLine(payload: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(payload.toString("utf8", start, end)) as unknown;
  } catch {
    return unparsed;
  }
}
