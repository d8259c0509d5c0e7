/**
 * Why: the gate has already cut a payload into lines and judged each one; the engine must not do it again.
 * Enforces: one compact form that travels beside the frame: where each line starts, and the code of each invalid line;
 *   or, for a genuine frame whose payload is not `count` lines, one code for the whole frame.
 * Forbids: reasons in words and anything derived from an event: rows are derived from the signed bytes.
 *
 * Form, little-endian: u8 version, u32 count, u32 line start × count, u16 invalid, (u32 line, u16 code) × invalid.
 * A frame-level verdict is count 0 with one entry whose line is 2^32-1; a gap frame has count 0 and no entry.
 */

import { limits } from "ransomeye-kernel";
import { ProtocolError, refused, type Decoded } from "./protocol_errors.ts";

/** A line, from 0, and the number of the reason why it is not a valid event. */
export interface InvalidLine {
  readonly line: number;
  readonly code: number;
}

/** The gate's judgement of a payload: of its lines, in order; or of the frame as a whole, which then is one dead letter. */
export type FrameVerdicts =
  | { readonly kind: "lines"; readonly lineStarts: Uint32Array; readonly invalid: readonly InvalidLine[] }
  | { readonly kind: "frame"; readonly code: number };

const version = 1;
const wholeFrame = 0xffff_ffff;
const fixedBytes = 1 + 4 + 2;
const entryBytes = 4 + 2;

/** The bytes that travel. Invalid lines are in ascending order. */
export function encodeVerdicts(verdicts: FrameVerdicts): Buffer {
  const starts = verdicts.kind === "lines" ? verdicts.lineStarts : new Uint32Array(0);
  const invalid = verdicts.kind === "lines" ? verdicts.invalid : [{ line: wholeFrame, code: verdicts.code }];
  if (invalid.length > 0xffff) throw new ProtocolError("PROTOCOL_BOUND", "more invalid lines than a frame may have events");
  const bytes = Buffer.allocUnsafe(fixedBytes + starts.length * 4 + invalid.length * entryBytes);
  let at = bytes.writeUInt8(version, 0);
  at = bytes.writeUInt32LE(starts.length, at);
  for (const start of starts) at = bytes.writeUInt32LE(start, at);
  at = bytes.writeUInt16LE(invalid.length, at);
  for (const { line, code } of invalid) at = bytes.writeUInt16LE(code, bytes.writeUInt32LE(line, at));
  return bytes;
}

/** Reads verdicts strictly: starts ascend from 0, invalid lines ascend and exist, no byte is left over. */
export function decodeVerdicts(bytes: Buffer): Decoded<FrameVerdicts> {
  if (bytes.length < fixedBytes) return refused("PROTOCOL_VERDICTS", "the verdicts are cut");
  if (bytes.readUInt8(0) !== version) return refused("PROTOCOL_VERDICTS", "another version of verdicts");
  const count = bytes.readUInt32LE(1);
  if (count > limits.frameEventsMax || bytes.length < fixedBytes + count * 4) return refused("PROTOCOL_VERDICTS", "more lines than bytes");
  const lineStarts = new Uint32Array(count);
  let at = 5;
  for (let line = 0; line < count; line += 1, at += 4) {
    const start = bytes.readUInt32LE(at);
    if (line === 0 ? start !== 0 : start <= (lineStarts[line - 1] ?? 0))
      return refused("PROTOCOL_VERDICTS", "line starts do not ascend from 0");
    lineStarts[line] = start;
  }
  const entries = bytes.readUInt16LE(at);
  at += 2;
  if (bytes.length !== at + entries * entryBytes) return refused("PROTOCOL_VERDICTS", "not as many invalid lines as announced");
  const invalid: InvalidLine[] = [];
  for (let i = 0; i < entries; i += 1, at += entryBytes) {
    const line = bytes.readUInt32LE(at);
    const code = bytes.readUInt16LE(at + 4);
    if (line === wholeFrame && count === 0 && entries === 1) return { kind: "decoded", value: { kind: "frame", code } };
    if (line >= count || line <= (invalid.at(-1)?.line ?? -1))
      return refused("PROTOCOL_VERDICTS", "an invalid line that is not in the frame");
    invalid.push({ line, code });
  }
  return { kind: "decoded", value: { kind: "lines", lineStarts, invalid } };
}
