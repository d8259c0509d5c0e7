// Why: the shipper's one entrance: bytes of any supported format in, canonical OCSF lines out.
// Enforces: every record read is an event or an invalid item with place, code and reason; memory is one chunk and one record; what can be read
//   before an input breaks off is handed over first.
// Forbids: files, sockets and clocks: whoever calls brings the bytes.

import { printable } from "ransomeye-ingestion/protocol";
import { detectRecord, foreignEncoding, recognise, supportedFormats } from "./detect.ts";
import { type InputCode, ShipError } from "./errors.ts";
import type { Format } from "./formats.ts";
import { gunzip, isGzip } from "./input/gunzip.ts";
import { type RawRecord, RecordSplitter } from "./input/record_splitter.ts";
import type { Mapped } from "./mapping/draft.ts";
import { asObject } from "./mapping/json.ts";
import { type MapOptions, mapRecord, parseRecord } from "./mapping/map_record.ts";
import type { Batch, Item, Place } from "./records.ts";

/** How to read an input. */
export interface ReadOptions extends MapOptions {
  /** Overrides detection. */
  readonly format?: Format | undefined;
  /** Records at the beginning that were shipped before: read and counted, not mapped. */
  readonly skipRecords?: number;
  readonly recordBytesMax?: number;
}

/** Longest record that is kept; longer ones are passed over. */
export const recordBytesMax: number = 1024 * 1024;
/** Records that are looked at before the input is given up as unknown. */
const detectRecordsMax = 32;

/** Reads records and hands them over in batches, in order. Throws a ShipError, with place, when the input as a whole cannot be read (on). */
export async function* readRecords(input: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<Batch> {
  const reader = new RecordReader(options);
  try {
    for await (const chunk of unpacked(input)) {
      reader.push(chunk);
      const batch = reader.takeBatch();
      if (batch !== undefined) yield batch;
    }
  } catch (error) {
    const batch = reader.takeBatch();
    if (batch !== undefined) yield batch;
    throw reader.placed(error);
  }
  reader.end();
  const batch = reader.takeBatch();
  if (batch !== undefined) yield batch;
}

/** The input, unpacked if it is gzip by its first bytes. */
async function* unpacked(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = input[Symbol.asyncIterator]();
  try {
    let head = Buffer.alloc(0);
    while (head.length < 2) {
      const next = await source.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const rest = { [Symbol.asyncIterator]: () => prefixed(head, source) };
    yield* isGzip(head) ? gunzip(rest) : rest;
  } finally {
    await source.return?.();
  }
}

async function* prefixed(head: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** One input's reading: looks at its head, finds the format, then maps record after record. */
class RecordReader {
  readonly #options: ReadOptions;
  readonly #splitter: RecordSplitter;
  #format: Format | undefined;
  #head: Buffer = Buffer.alloc(0);
  #headSeen = false;
  /** Records that came before the format was known. */
  #waiting: RawRecord[] = [];
  #items: Item[] = [];
  #markBytes = 0;

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#format = options.format;
    this.#splitter = new RecordSplitter(options.recordBytesMax ?? recordBytesMax, (raw) => this.#take(raw));
  }

  push(chunk: Buffer): void {
    if (this.#headSeen) {
      this.#splitter.push(chunk);
      return;
    }
    // Enough to tell encodings and packings apart; a shorter input is looked at when it ends.
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length >= 16) this.#lookAtHead();
  }

  end(): void {
    if (!this.#headSeen) this.#lookAtHead();
    this.#splitter.end();
    if (this.#format === undefined && this.#waiting.length > 0) throw this.#unknown();
  }

  /** What has been read since the last batch; undefined if nothing has. */
  takeBatch(): Batch | undefined {
    if (this.#items.length === 0 || this.#format === undefined) return undefined;
    const items = this.#items;
    this.#items = [];
    return { format: this.#format, items, bytesRead: this.#splitter.offset + this.#markBytes };
  }

  /** An error with the place where reading stopped. */
  placed(error: unknown): unknown {
    const { offset, line } = this.#splitter;
    const fields = { input: this.#options.name, byteOffset: offset + this.#markBytes, line };
    if (error instanceof ShipError && error.fields["input"] !== undefined) return error;
    const code: InputCode = error instanceof ShipError ? (error.code as InputCode) : "SHIP_INPUT_UNREADABLE";
    const what =
      error instanceof ShipError ? error.message : `reading failed: ${printable(error instanceof Error ? error.message : String(error))}`;
    return new ShipError(code, `${printable(this.#options.name)}: ${what}, at byte ${fields.byteOffset}, line ${line}`, {
      cause: error,
      fields,
    });
  }

  #lookAtHead(): void {
    this.#headSeen = true;
    const encoding = foreignEncoding(this.#head);
    if (encoding !== undefined) throw this.#refusal("SHIP_ENCODING", `this is ${encoding}, only UTF-8 is read`);
    const marked = this.#head.subarray(0, 3).equals(byteOrderMark);
    this.#markBytes = marked ? byteOrderMark.length : 0;
    if (this.#format === undefined) {
      const known = recognise(this.#head);
      if (known !== undefined) throw this.#unsupported(known);
    }
    this.#splitter.push(this.#head.subarray(this.#markBytes));
  }

  #take(raw: RawRecord): void {
    if (this.#format !== undefined) {
      this.#add(raw, this.#format);
      return;
    }
    this.#waiting.push(raw);
    const record = raw.oversize ? undefined : asObject(parseRecord(raw.bytes));
    this.#format = record === undefined ? undefined : detectRecord(record, this.#options.name);
    if (this.#format === undefined) {
      if (this.#waiting.length >= detectRecordsMax) throw this.#unknown();
      return;
    }
    for (const waiting of this.#waiting) this.#add(waiting, this.#format);
    this.#waiting = [];
  }

  #add(raw: RawRecord, format: Format): void {
    if (raw.record <= (this.#options.skipRecords ?? 0)) return;
    const place: Place = { record: raw.record, line: raw.line, byteOffset: raw.byteOffset + this.#markBytes };
    const mapped: Mapped = raw.oversize ? tooLarge(raw, this.#options) : mapRecord(raw.bytes, format, this.#options);
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
