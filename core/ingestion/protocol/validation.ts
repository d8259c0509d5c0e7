// Why: a genuine frame is never refused for what it holds, so each line gets a verdict here, once, and verdicts travel with the frame.
// Enforces: exactly `count` lines; each line UTF-8, bounded, one JSON object, valid by the schema; every fault with code and reason.
// Forbids: parsing a line beyond a bound, changing the payload, throwing for anything a producer can send, and reasons that carry unescaped bytes of the producer.
//
// Stated rules: NUL and lone surrogates are accepted (the document stays byte for byte; columns are the normaliser's matter), numbers beyond
// 2^53 are accepted where the schema asks for no integer within a range, of duplicate keys the last counts, a byte order mark is no JSON,
// `__proto__` is a key like any other, a carriage return before the line feed is white space.

import { isUtf8 } from "node:buffer";
import { limits as kernelLimits } from "ransomeye-kernel";
import { boundsFault, type EventLimits, lengthFault } from "./event_bounds.ts";
import { checkEvent, type EventFault } from "./event_check.ts";
import { scanEvent, scanned } from "./event_scan.ts";
import { type EventSchema, newestSchema } from "./event_schema.ts";
import { EventValues } from "./event_values.ts";
import { INVALID_CODES, type InvalidCode } from "./invalid_codes.ts";
import { lineEnd, parseLine, splitLines, unparsed } from "./line_parse.ts";
import { jsonFault } from "./json_fault.ts";
import { type ScanRules, scanRules } from "./scan_plan.ts";

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

const values = new EventValues();
const noFaults: readonly LineFault[] = Object.freeze([]);

/** By what a line is judged. */
interface Judgement {
  readonly schema: EventSchema;
  readonly rules: ScanRules;
  readonly limits: EventLimits;
}

/** Checks a frame's payload against the count and the schema version in its signed header. One walk over the bytes of a valid line, which leaves nothing behind; what
 * that walk is not sure of is held to its bounds, then parsed and checked. */
export function validatePayload(
  payload: Buffer,
  count: number,
  schema: EventSchema = newestSchema,
  limits: EventLimits = kernelLimits,
): PayloadCheck {
  const by: Judgement = { schema, rules: scanRules(schema), limits };
  const split = splitLines(payload, count);
  if (split.kind === "undecodable") return split;
  const { lineStarts } = split;
  const clean = isUtf8(payload);
  let invalid: LineFault[] | null = null;
  for (let line = 0; line < count; line++) {
    const fault = lineFault(payload, lineStarts[line] as number, lineEnd(payload, lineStarts, line), clean, by);
    if (fault !== null) (invalid ??= []).push({ line, code: fault.code, reason: fault.reason });
  }
  return { kind: "lines", lineStarts, invalid: invalid ?? noFaults };
}

/** The verdict over one line, the bytes [start, end); `null` means valid. `clean` says that they are known to be UTF-8. */
function lineFault(payload: Buffer, start: number, end: number, clean: boolean, by: Judgement): EventFault | null {
  const { limits } = by;
  const tooLong = lengthFault(end - start, limits);
  if (tooLong !== null) return tooLong;
  if (!clean && !isUtf8(payload.subarray(start, end))) return { code: INVALID_CODES.EVENT_NOT_UTF8.number, reason: "is not UTF-8" };
  const sure = scanEvent(payload, start, end, limits, by.rules, values);
  if (sure === scanned.valid) return null;
  const beyond = sure === scanned.bounded ? null : boundsFault(payload, start, end, limits);
  if (beyond !== null) return beyond;
  const value = parseLine(payload, start, end);
  if (value === unparsed) return { code: INVALID_CODES.EVENT_NOT_JSON.number, reason: jsonFault(payload.toString("utf8", start, end)) };
  return checkEvent(value, by.schema);
}

/** The verdict over one line by itself, without its line feed: what a producer asks before it signs. */
export function validateLine(line: Buffer, schema: EventSchema = newestSchema, limits: EventLimits = kernelLimits): EventFault | null {
  return lineFault(line, 0, line.length, false, { schema, rules: scanRules(schema), limits });
}
