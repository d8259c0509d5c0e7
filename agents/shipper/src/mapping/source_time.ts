// Why: sources count time in seconds, nanoseconds and in hundreds of nanoseconds since 1601; the last two lie beyond what a double counts exactly.
// Enforces: microseconds since 1970 as an integer, cut and not rounded; NaN for whatever is no such time.
// Forbids: a long count on its way through a double.

import { parseInstantUs } from "ransomeye-ingestion/protocol";
import { toInteger } from "./json.ts";

/** Years 1 to 9999 in any unit that is read here fit into this many digits. */
const digitsMax = 21;

/** The count as it was written: long ones arrive as texts (see `keepExactNumbers`). */
function exactCount(value: unknown): bigint | undefined {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  return typeof text === "string" && text.length <= digitsMax && /^-?\d+$/.test(text) ? BigInt(text) : undefined;
}

/** Division that goes down also before 1970. */
function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

/** From nanoseconds since 1970. */
export function usOfNanoseconds(value: unknown): number {
  const count = exactCount(value);
  return count === undefined ? Number.NaN : Number(floorDivide(count, 1000n));
}

/** Hundreds of nanoseconds from 1601 to 1970. */
const fileTimeEpoch = 116_444_736_000_000_000n;

/** From a Windows FILETIME: hundreds of nanoseconds since 1601. */
export function usOfFileTime(value: unknown): number {
  const count = exactCount(value);
  return count === undefined ? Number.NaN : Number(floorDivide(count - fileTimeEpoch, 10n));
}

/** From whole seconds since 1970, as a number or as its text. */
export function usOfSeconds(value: unknown): number {
  const seconds = toInteger(value);
  return seconds === undefined ? Number.NaN : seconds * 1_000_000;
}

/** From a text of RFC 3339 or near it; UTC where it does not say its zone. */
export function usOfText(value: unknown): number {
  return typeof value === "string" ? parseInstantUs(value, true) : Number.NaN;
}

/** The first of these that is a time; undefined if none is. */
export function firstTimeUs(...times: readonly number[]): number | undefined {
  return times.find((us) => Number.isFinite(us));
}
