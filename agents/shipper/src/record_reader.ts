// Why: between bytes and batches stands one reading of one input: its head, its format, then record after record.
// Enforces: nothing is mapped before the format is known, and everything that waited for it comes first; errors carry their place; at any time
//   there is a point from which another reading may go on.
// Forbids: I/O; whoever reads pushes chunks and takes batches.

import { printable } from "ransomeye-ingestion/protocol";
import type { Telemetry } from "ransomeye-kernel";
import {
  detectLines,
  detectName,
  detectRecord,
  detectText,
  foreignEncoding,
  recognise,
  supportedFormats,
  textHeadBytes,
} from "./detect.ts";
import { type InputCode, ShipError } from "./errors.ts";
import type { Format } from "./formats.ts";
import { framingOf } from "./framings.ts";
import { type Framing, inputStart, type RawRecord } from "./input/framing.ts";
import type { Mapped } from "./mapping/draft.ts";
import { asObject } from "./mapping/json.ts";
import { type MapOptions, mapRecord, parseJson } from "./mapping/map_record.ts";
import type { Batch, Item, Place, ResumePoint } from "./records.ts";

/** How to read an input. */
export interface ReadOptions extends MapOptions {
  /** Overrides detection. */
  readonly format?: Format | undefined;
  /** Records at the beginning that were shipped before: read and counted, not mapped. */
  readonly skipRecords?: number;
  /** Goes on where an earlier reading was; the bytes begin at its `byteOffset`, unpacked, and have its format. */
  readonly resume?: ResumePoint | undefined;
  readonly recordBytesMax?: number;
  readonly telemetry?: Telemetry;
}

/** Longest record that is kept; longer ones are passed over. */
export const recordBytesMax: number = 1024 * 1024;
/** Records that are looked at before the input is given up as unknown. */
const detectRecordsMax = 32;
/** Enough to tell encodings and packings apart; a shorter input is looked at when it ends. */
const headBytesMin = 16;

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** One input's reading: looks at its head, finds the format, then maps record after record. */
export class RecordReader {
  readonly #options: ReadOptions;
  #format: Format | undefined;
  #head: Buffer = Buffer.alloc(0);
  /** Undefined until the head has shown how the input is framed. */
  #framing: Framing | undefined;
  /** Records that came before the format was known. */
  #waiting: RawRecord[] = [];
  /** What they show where none of them shows a format. */
  #trace: Format | undefined;
  #objects = 0;
  #items: Item[] = [];

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#format = options.resume?.format ?? options.format;
    if (options.resume !== undefined) this.#framing = this.#framed(0);
  }

  push(chunk: Buffer): void {
    if (this.#framing !== undefined) {
      this.#framing.push(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length >= headBytesMin) this.#lookAtHead(this.#head.length >= textHeadBytes);
  }

  /** Tells that it is now `nowMs` on any clock that only runs forward: records that wait for more lines do so for a bounded time. */
  flushPending(nowMs: number): void {
    this.#framing?.flushPending(nowMs);
  }

  end(): void {
    if (this.#framing === undefined) this.#lookAtHead(true);
    this.#framing?.end();
    if (this.#format === undefined && this.#waiting.length > 0) this.#begin(this.#lastResort());
  }

  /** What has been read since the last batch; undefined if nothing has. */
  takeBatch(): Batch | undefined {
    const resume = this.resume;
    if (this.#items.length === 0 || resume === undefined) return undefined;
    const items = this.#items;
    this.#items = [];
    return { format: resume.format, items, bytesRead: this.#framing?.offset ?? 0, resume };
  }

  /** From where a later reading may go on, once the items read so far are taken; undefined before the format is known. */
  get resume(): ResumePoint | undefined {
    if (this.#format === undefined || this.#framing === undefined) return undefined;
    return { format: this.#format, ...this.#framing.resumePoint };
  }

  /** An error with the place where reading stopped. */
  placed(error: unknown): unknown {
    const { offset: byteOffset, line } = this.#framing ?? { offset: 0, line: 1 };
    const fields = { input: this.#options.name, byteOffset, line };
    if (error instanceof ShipError && error.fields["input"] !== undefined) return error;
    const code: InputCode = error instanceof ShipError ? (error.code as InputCode) : "SHIP_INPUT_UNREADABLE";
    const what =
      error instanceof ShipError ? error.message : `reading failed: ${printable(error instanceof Error ? error.message : String(error))}`;
    return new ShipError(code, `${printable(this.#options.name)}: ${what}, at byte ${byteOffset}, line ${line}`, { cause: error, fields });
  }

  /** Finds out how the input is framed. `whole`: no more of its head will come. */
  #lookAtHead(whole: boolean): void {
    const encoding = foreignEncoding(this.#head);
    if (encoding !== undefined) throw this.#refusal("SHIP_ENCODING", `this is ${encoding}, only UTF-8 is read`);
    const markBytes = this.#head.subarray(0, 3).equals(byteOrderMark) ? byteOrderMark.length : 0;
    if (this.#format === undefined) {
      const found = detectLines(this.#head.toString("latin1", markBytes, textHeadBytes), whole);
      if (found === undefined) return;
      const known = found === "json" ? recognise(this.#head) : undefined;
      if (known !== undefined) throw this.#unsupported(known);
      if (found !== "json") this.#format = found;
    }
    const framing = this.#framed(markBytes);
    this.#framing = framing;
    framing.push(this.#head.subarray(markBytes));
  }

  #framed(markBytes: number): Framing {
    return framingOf(this.#format, {
      recordBytesMax: this.#options.recordBytesMax ?? recordBytesMax,
      start: this.#options.resume ?? { ...inputStart, byteOffset: markBytes },
      take: (raw) => this.#take(raw),
    });
  }

  #take(raw: RawRecord): void {
    if (this.#format !== undefined) {
      this.#add(raw, this.#format);
      return;
    }
    this.#waiting.push(raw);
    const record = raw.oversize ? undefined : asObject(parseJson(raw.bytes));
    if (record === undefined) this.#trace ??= detectText(raw.bytes.toString("latin1", 0, 8192));
    else this.#objects++;
    const format = record === undefined ? undefined : detectRecord(record, this.#options.name);
    if (format !== undefined) this.#begin(format);
    else if (this.#waiting.length >= detectRecordsMax) this.#begin(this.#lastResort());
  }

  /** The format is known: whatever waited for it comes first. */
  #begin(format: Format): void {
    this.#format = format;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const raw of waiting) this.#add(raw, format);
  }

  /** No record has shown a format. Damaged ones, or a file's name, may still tell; then each record is named with what is wrong with it. */
  #lastResort(): Format {
    const format = this.#trace ?? (this.#objects > 0 ? detectName(this.#options.name) : undefined);
    if (format === undefined) throw this.#unknown();
    return format;
  }

  #add(raw: RawRecord, format: Format): void {
    if (raw.record <= (this.#options.skipRecords ?? 0)) return;
    const { record, line, byteOffset, pieces } = raw;
    const place: Place = pieces === undefined ? { record, line, byteOffset } : { record, line, byteOffset, pieces };
    const mapped: Mapped = raw.oversize ? tooLarge(raw, this.#options) : mapRecord(raw, format, this.#options);
    if (mapped.kind === "event") this.#items.push({ kind: "event", line: mapped.line, place });
    else
      this.#items.push({
        kind: "invalid",
        place,
        code: mapped.code,
        message: mapped.message,
        original: raw.bytes,
        originalBytes: raw.length,
      });
  }

  #unknown(): ShipError {
    const known = recognise(this.#waiting[0]?.bytes ?? this.#head);
    if (known !== undefined) return this.#unsupported(known);
    const first = printable(this.#waiting[0]?.bytes.toString("utf8", 0, 60) ?? "", 60);
    return this.#refusal("SHIP_FORMAT_UNKNOWN", `no format is recognised (it begins with ${first}); supported are ${supportedFormats()}`);
  }

  #unsupported(known: { name: string; advice: string }): ShipError {
    return this.#refusal(
      "SHIP_FORMAT_UNSUPPORTED",
      `this looks like ${known.name}, which has no reader: ${known.advice}; supported are ${supportedFormats()}`,
    );
  }

  #refusal(code: InputCode, message: string): ShipError {
    return new ShipError(code, `${printable(this.#options.name)}: ${message}`, {
      fields: { input: this.#options.name, byteOffset: 0, line: 1 },
    });
  }
}

function tooLarge(raw: RawRecord, options: ReadOptions): Mapped {
  const bytesMax = options.recordBytesMax ?? recordBytesMax;
  return { kind: "invalid", code: "SHIP_RECORD_TOO_LARGE", message: `the record has ${raw.length} bytes, at most ${bytesMax} are taken` };
}
