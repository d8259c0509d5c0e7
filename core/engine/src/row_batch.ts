// Why: a frame becomes rows here, before any transaction is open, so that PostgreSQL never waits for our parsing.
// Enforces: R-8 by construction: each signed sequence number of a frame becomes a row, a dead letter or part of a gap.
//   the gate's verdicts decide which lines are events; nothing is validated a second time.
// Forbids: throwing for anything that a bus entry may hold, and one object per row: rows go straight into COPY's bytes.

import { BinaryCopyEncoder } from "ransomeye-db";
import {
  type ColumnText,
  type RowColumns,
  NORMALISER_VERSION,
  decodeVerdicts,
  deriveLine,
  invalidName,
  lineEnd,
  newRowColumns,
  reasonOfGap,
  uuidBytes,
  validatePayload,
} from "ransomeye-ingestion/protocol";
import type { BusEntry, Message } from "ransomeye-pipeline";
import { attackMessage } from "./attack_messages.ts";
import type { EngineCode } from "./codes.ts";
import type { FrameFact } from "./sink_machine.ts";
import { type DeadLetter, type EventTable, type Gap, eventColumns, tableOfKind } from "./tables.ts";

/** A frame whose rows lie ready in a batch. */
export interface PreparedFrame extends FrameFact {
  readonly table: EventTable;
  /** Its rows' bytes in the batch's stream of `table`. */
  readonly from: number;
  readonly to: number;
  readonly deadLetters: readonly DeadLetter[];
  readonly gap: Gap | null;
  /** What the message streams hear of it, written with its rows. */
  readonly messages: readonly Message[];
  /** Bytes of payload that were read for it. */
  readonly payloadBytes: number;
  /** The entry itself, where frames are to be archived with their rows; else it is let go. */
  readonly entry: BusEntry | null;
}

/** Frames of one commit group, encoded. Use: `add` …, `seal`, `rows` …, and `reset` when the group is settled. */
export class RowBatch {
  readonly #encoders = new Map<EventTable, BinaryCopyEncoder>();
  readonly #sealed = new Map<EventTable, Buffer>();
  readonly #columns: RowColumns<ColumnText> = newRowColumns();
  readonly #keepsEntries: boolean;
  #headerBytes = 0;

  /** `keepsEntries`: frames will be archived with their rows. */
  constructor(keepsEntries = false) {
    this.#keepsEntries = keepsEntries;
  }

  /** Prepares one bus entry. Never throws for its content. */
  add(entry: BusEntry): PreparedFrame {
    const { link } = entry;
    const table = tableOfKind[entry.producerKind];
    const encoder = this.#encoder(table);
    const from = encoder.bytes;
    const settled = link.kind === "gap" ? declaredLost(entry) : this.#encodeLines(entry, encoder);
    const to = encoder.bytes;
    return {
      position: entry.position,
      producerKind: entry.producerKind,
      link,
      table,
      from,
      to,
      payloadBytes: entry.payload.length,
      entry: this.#keepsEntries ? entry : null,
      ...settled,
    };
  }

  /** Ends the encoding; now `rows` may be asked. */
  seal(): void {
    for (const [table, encoder] of this.#encoders) {
      if (encoder.rows > 0) this.#sealed.set(table, encoder.finish());
    }
  }

  /** The whole COPY stream of these frames' rows in one table: header, rows in the frames' order, end mark. */
  stream(table: EventTable, frames: readonly PreparedFrame[]): Buffer[] {
    return this.wrap(table, this.rows(table, frames));
  }

  /** Rows of these frames in one table, as few pieces of bytes as their places allow. */
  rows(table: EventTable, frames: readonly PreparedFrame[]): Buffer[] {
    const bytes = this.#sealed.get(table);
    const pieces: Buffer[] = [];
    if (bytes === undefined) return pieces;
    let from = 0;
    let to = 0;
    for (const frame of frames) {
      if (frame.table !== table || frame.from === frame.to) continue;
      if (frame.from !== to) {
        if (to > from) pieces.push(bytes.subarray(from, to));
        from = frame.from;
      }
      to = frame.to;
    }
    if (to > from) pieces.push(bytes.subarray(from, to));
    return pieces;
  }

  /** Puts the format's header and end mark around rows of this batch. */
  wrap(table: EventTable, rows: readonly Buffer[]): Buffer[] {
    const bytes = this.#sealed.get(table);
    if (bytes === undefined) return [];
    return [bytes.subarray(0, this.#headerBytes), ...rows, bytes.subarray(bytes.length - endMarkBytes)];
  }

  /** Empties the batch and keeps its memory. Frames prepared before are void. */
  reset(): void {
    this.#sealed.clear();
    for (const encoder of this.#encoders.values()) encoder.reset();
  }

  #encoder(table: EventTable): BinaryCopyEncoder {
    let encoder = this.#encoders.get(table);
    if (encoder === undefined) {
      encoder = new BinaryCopyEncoder();
      this.#headerBytes = encoder.bytes;
      this.#encoders.set(table, encoder);
    }
    return encoder;
  }

  #encodeLines(entry: BusEntry, encoder: BinaryCopyEncoder): Settled {
    const { link, payload } = entry;
    if (link.codec !== identityCodec) return wholeFrame(entry, "ENGINE_FRAME_UNDECODABLE", `codec ${link.codec} is not known`);
    const verdicts = decodeVerdicts(entry.verdicts);
    if (verdicts.kind !== "decoded") return wholeFrame(entry, "ENGINE_FRAME_UNDECODABLE", "the gateway's verdicts cannot be read");
    if (verdicts.value.kind === "frame") return wholeFrame(entry, invalidName(verdicts.value.code), "");
    const { lineStarts, invalid } = verdicts.value;
    if (lineStarts.length !== link.count || !linesBegin(payload, lineStarts)) {
      return wholeFrame(entry, "ENGINE_FRAME_UNDECODABLE", `the payload is not the ${link.count} lines that were signed`);
    }
    const start = encoder.mark();
    const producer = uuidBytes(link.producer);
    const deadLetters: DeadLetter[] = [];
    const messages: Message[] = [];
    let nextInvalid = 0;
    for (let line = 0; line < link.count; line++) {
      const from = lineStarts[line] as number;
      const to = lineEnd(payload, lineStarts, line);
      const verdict = invalid[nextInvalid];
      if (verdict !== undefined && verdict.line === line) {
        nextInvalid += 1;
        deadLetters.push(oneLine(entry, line, from, to, invalidName(verdict.code), reasonOf(payload, from, to)));
        continue;
      }
      if (!deriveLine(payload, from, to, entry.receivedUs, this.#columns)) {
        deadLetters.push(
          oneLine(entry, line, from, to, "ENGINE_LINE_UNREADABLE" satisfies EngineCode, "not JSON, though the gateway read it"),
        );
        continue;
      }
      const before = encoder.mark();
      try {
        this.#encodeRow(entry, producer, line, from, to - from, encoder);
        if (entry.producerKind === "honeypot") messages.push(attackMessage(entry, line, this.#columns));
      } catch (error) {
        encoder.truncate(before);
        deadLetters.push(
          oneLine(entry, line, from, to, "ENGINE_ROW_REFUSED" satisfies EngineCode, error instanceof Error ? error.message : String(error)),
        );
      }
    }
    return { rows: encoder.rows - start.rows, deadLettered: deadLetters.length, gapDeclared: 0, deadLetters, gap: null, messages };
  }

  #encodeRow(entry: BusEntry, producer: Buffer, line: number, byteOffset: number, byteLength: number, encoder: BinaryCopyEncoder): void {
    const { link, position } = entry;
    const columns = this.#columns;
    encoder.row(eventColumns.length);
    encoder.timestamptzUs(entry.receivedUs);
    encoder.timestamptzUs(columns.eventTimeUs);
    encoder.uuidBytes(producer);
    encoder.int8(link.epoch);
    encoder.int8(link.firstSeq + line);
    encoder.int4(position.part);
    encoder.int8(position.off);
    encoder.int4(line);
    encoder.int4(byteOffset);
    encoder.int4(byteLength);
    encoder.int4(columns.classUid);
    encoder.int2(columns.activityId);
    encoder.int2(columns.severityId);
    encoder.int4(columns.flags);
    encoder.int2(link.schemaVersion);
    encoder.int2(link.mappingVersion);
    encoder.int2(NORMALISER_VERSION);
    textOrNull(encoder, columns.host);
    textOrNull(encoder, columns.userName);
    textOrNull(encoder, columns.processName);
    if (columns.processPid === null) encoder.null();
    else encoder.int8(columns.processPid);
    textOrNull(encoder, columns.filePath);
    if (columns.fileSha256 === null) encoder.null();
    else encoder.bytea(columns.fileSha256);
    inetOrNull(encoder, columns.srcIp);
    int4OrNull(encoder, columns.srcPort);
    inetOrNull(encoder, columns.dstIp);
    int4OrNull(encoder, columns.dstPort);
    textOrNull(encoder, columns.domain);
    textOrNull(encoder, columns.message);
  }
}

/** What became of a frame's sequence numbers. */
type Settled = Pick<PreparedFrame, "rows" | "deadLettered" | "gapDeclared" | "deadLetters" | "gap" | "messages">;

const identityCodec = 0;
/** The end mark of binary COPY is one 16-bit -1. */
const endMarkBytes = 2;
const lineFeed = 10;

/** True if every line start but the first follows a line feed and the payload ends with one: the gate looked at these bytes. */
function linesBegin(payload: Buffer, lineStarts: Uint32Array): boolean {
  for (let line = 1; line < lineStarts.length; line++) {
    if (payload[(lineStarts[line] as number) - 1] !== lineFeed) return false;
  }
  return payload[payload.length - 1] === lineFeed;
}

function placeOf(entry: BusEntry): { receivedUs: number; producer: string; epoch: number; part: number; off: number } {
  const { link, position, receivedUs } = entry;
  return { receivedUs, producer: link.producer, epoch: link.epoch, part: position.part, off: position.off };
}

/** all sequence numbers of a frame that does not decode are one dead letter. */
function wholeFrame(entry: BusEntry, code: string, detail: string): Settled {
  const { firstSeq, count } = entry.link;
  const deadLetter = { ...placeOf(entry), firstSeq, count, line: null, byteOffset: null, byteLength: null, code, detail };
  return { rows: 0, deadLettered: count, gapDeclared: 0, deadLetters: [deadLetter], gap: null, messages: [] };
}

function oneLine(entry: BusEntry, line: number, from: number, to: number, code: string, detail: string): DeadLetter {
  return { ...placeOf(entry), firstSeq: entry.link.firstSeq + line, count: 1, line, byteOffset: from, byteLength: to - from, code, detail };
}

/** Words for a code that the gate has given. Only the words are found again, the verdict stands. */
function reasonOf(payload: Buffer, from: number, to: number): string {
  const check = validatePayload(payload.subarray(from, to + 1), 1);
  return check.kind === "lines" ? (check.invalid[0]?.reason ?? "") : check.reason;
}

function declaredLost(entry: BusEntry): Settled {
  const { firstSeq, count } = entry.link;
  const gap = { ...placeOf(entry), firstSeq, count, reason: reasonOfGap(entry.payload) };
  return { rows: 0, deadLettered: 0, gapDeclared: count, deadLetters: [], gap, messages: [] };
}

function textOrNull(encoder: BinaryCopyEncoder, value: ColumnText): void {
  if (value === null) encoder.null();
  else if (typeof value === "string") encoder.text(value);
  else encoder.textBytes(value.bytes, value.from, value.to);
}

function int4OrNull(encoder: BinaryCopyEncoder, value: number | null): void {
  if (value === null) encoder.null();
  else encoder.int4(value);
}

function inetOrNull(encoder: BinaryCopyEncoder, value: string | null): void {
  if (value === null) encoder.null();
  else encoder.inet(value);
}
