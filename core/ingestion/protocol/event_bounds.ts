// Why: one line must not make a parser build tens of thousands of names or levels out of it; the bounds have to hold before anything is built.
// Enforces: depth, keys and string bytes of a line, in one walk over its bytes that ends at the first bound it meets.
// Forbids: parsing a line that this walk has refused, and judging anything else. It follows no grammar: of JSON it counts exactly what the parser would
//   build, and of anything else at least what a parser meets before it gives up.

import { type Limits, limits as kernelLimits } from "ransomeye-kernel";
import type { EventFault } from "./event_check.ts";
import { INVALID_CODES } from "./invalid_codes.ts";

/** What may lie inside one another and beside one another in one JSON text. */
export type JsonBounds = Pick<Limits, "jsonDepthMax" | "jsonKeysMax" | "jsonStringBytesMax">;

/** The bounds of kernel's `limits` that apply to events. */
export type EventLimits = JsonBounds & Pick<Limits, "lineBytesMax">;

const quote = 0x22;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Why a line of so many bytes is too long; `null` where it is not. */
export function lengthFault(bytes: number, { lineBytesMax }: EventLimits): EventFault | null {
  return bytes > lineBytesMax ? { code: INVALID_CODES.EVENT_TOO_LONG.number, reason: `${bytes} bytes, at most ${lineBytesMax}` } : null;
}

/** Position of the quote that ends the string whose first byte is at `from`; `end` where none does. */
function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (; at < end && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
  return Math.min(at, end);
}

/** The first bound that the bytes [start, end) break; `null` where they keep all of them. Strings count as they are written, names among them. */
export function boundsFault(bytes: Uint8Array, start: number, end: number, bounds: JsonBounds): EventFault | null {
  const { jsonDepthMax, jsonKeysMax, jsonStringBytesMax } = bounds;
  let depth = 0;
  let keys = 0;
  for (let at = start; at < end; at++) {
    switch (bytes[at]) {
      case quote: {
        // One byte beyond the bound is enough to know.
        const limit = Math.min(end, at + jsonStringBytesMax + 2);
        const close = stringEnd(bytes, at + 1, limit);
        if (close - at - 1 > jsonStringBytesMax)
          return { code: INVALID_CODES.EVENT_STRING_TOO_LONG.number, reason: `a string of more than ${jsonStringBytesMax} bytes` };
        at = close;
        break;
      }
      case openBracket:
      case openBrace:
        if (++depth > jsonDepthMax)
          return { code: INVALID_CODES.EVENT_TOO_DEEP.number, reason: `nested deeper than ${jsonDepthMax} levels` };
        break;
      case closeBracket:
      case closeBrace:
        depth--;
        break;
      case colon:
        // Outside of strings JSON has one for each name, and for nothing else.
        if (++keys > jsonKeysMax) return { code: INVALID_CODES.EVENT_TOO_MANY_KEYS.number, reason: `more than ${jsonKeysMax} keys` };
        break;
      default:
    }
  }
  return null;
}

/** Every bound of a line by itself, without its line feed. */
export function lineBoundsFault(line: Buffer, limits: EventLimits = kernelLimits): EventFault | null {
  return lengthFault(line.length, limits) ?? boundsFault(line, 0, line.length, limits);
}
