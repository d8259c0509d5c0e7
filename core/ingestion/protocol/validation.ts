// Why: a genuine frame is never refused for what it holds, so each line gets a verdict here, once, and verdicts travel with the frame.
// Enforces: exactly `count` lines; each line UTF-8, bounded, one JSON object, valid by the schema; every fault with code and reason.
// Forbids: changing the payload, throwing for anything a producer can send, and reasons that carry unescaped bytes of the producer.
//
// Stated rules: NUL and lone surrogates are accepted (the document stays byte for byte; columns are the normaliser's matter), numbers beyond
// 2^53 are accepted where the schema asks for no integer within a range, of duplicate keys the last counts, a byte order mark is no JSON,
// `__proto__` is a key like any other, a carriage return before the line feed is white space.

import { isUtf8 } from "node:buffer";
import { limits as kernelLimits } from "ransomeye-kernel";
import { checkEvent } from "./event_check.ts";
import { INVALID_CODES, type InvalidCode } from "./invalid_codes.ts";
import { parseLines, splitLines, unparsed } from "./line_parse.ts";
import { jsonFault } from "./json_fault.ts";

/** The bounds of kernel's `limits` that apply to events. */
export interface EventLimits {
  readonly lineBytesMax: number;
  readonly jsonDepthMax: number;
}

/** One invalid line, counted from 0. `reason` is printable ASCII of bounded length. */
export interface LineFault {
  readonly line: number;
  readonly code: InvalidCode;
  readonly reason: string;
}

/** Verdict over a payload: where its lines start and which are invalid, or one dead letter for the whole frame. */
export type PayloadCheck =
  | { readonly kind: "lines"; readonly lineStarts: Uint32Array; readonly invalid: readonly LineFault[] }
  | { readonly kind: "undecodable"; readonly code: InvalidCode; readonly reason: string };

const noInvalid: readonly LineFault[] = Object.freeze([]);

/** Checks a frame's payload against the count in its signed header. Costs one parse and one walk; allocates nothing lasting for valid lines. */
export function validatePayload(payload: Buffer, count: number, limits: EventLimits = kernelLimits): PayloadCheck {
  const split = splitLines(payload, count);
  if (split.kind === "undecodable") return split;
  const { lineStarts } = split;
  const values = parseLines(payload, count, lineStarts);
  let invalid: LineFault[] | null = null;
  for (let line = 0; line < count; line++) {
    const start = lineStarts[line] as number;
    const end = (line + 1 < count ? (lineStarts[line + 1] as number) : payload.length) - 1;
    const value = values[line];
    const found =
      end - start > limits.lineBytesMax ? tooLong(end - start, limits.lineBytesMax)
      : value === unparsed ? notParsed(payload.subarray(start, end))
      : checkEvent(value, limits.jsonDepthMax);
    if (found !== null) (invalid ??= []).push({ line, code: found.code, reason: found.reason });
  }
  return { kind: "lines", lineStarts, invalid: invalid ?? noInvalid };
}

function tooLong(bytes: number, bytesMax: number): { code: InvalidCode; reason: string } {
  return { code: INVALID_CODES.EVENT_TOO_LONG.number, reason: `${bytes} bytes, at most ${bytesMax}` };
}

function notParsed(line: Buffer): { code: InvalidCode; reason: string } {
  if (!isUtf8(line)) return { code: INVALID_CODES.EVENT_NOT_UTF8.number, reason: "not UTF-8" };
  return { code: INVALID_CODES.EVENT_NOT_JSON.number, reason: jsonFault(line.toString("utf8")) };
}
