// Why: a file of any size is cut into records while it streams by, in memory that does not depend on the file (promise 5).
// Enforces: every byte that is not white space between records belongs to exactly one record; a record beyond `recordBytesMax` is passed over
//   and costs only itself; each record knows its line and byte offset.
// Forbids: I/O, and keeping more than one record.
//
// Three layouts are told apart by their first bytes: one value a line (the usual one), one array around all, and objects over several lines one
// after another. Once a record has fitted on a line, lines are trusted: then a broken line costs that line and nothing else.

import { BoundedBytes } from "./bounded_bytes.ts";
import type { Framing, FramingOptions, FramingPoint, RawRecord } from "./framing.ts";
import { isSpace, JsonFrame } from "./json_frame.ts";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const openBrace = 0x7b;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;

/** How records lie in the input; also what a reading that goes on in the middle must know. */
const layouts = ["unknown", "lines", "objects", "array"] as const;

type Layout = (typeof layouts)[number];

/** Records that are JSON values, in any of the layouts. */
export class RecordSplitter implements Framing {
  readonly #take: (record: RawRecord) => void;
  readonly #frame: JsonFrame = new JsonFrame();
  #layout: Layout = "unknown";
  readonly #open: BoundedBytes;
  /** The open record is followed by brackets; otherwise it is a line, or junk up to a separator. */
  #framed = false;
  #inRecord = false;
  #recordLine = 0;
  #recordOffset = 0;
  #recordColumn = 0;
  #records: number;
  #line: number;
  #offset: number;
  #column = 0;

  constructor({ recordBytesMax, start, take }: FramingOptions) {
    this.#open = new BoundedBytes(recordBytesMax);
    this.#take = take;
    this.#records = start.record;
    this.#line = start.line;
    this.#offset = start.byteOffset;
    const [layout, column] = start.prelude.split(" ");
    this.#layout = layouts.find((known) => known === layout) ?? "unknown";
    this.#column = Number(column ?? 0);
  }

  /** Bytes pushed so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Line of the next byte, from 1. */
  get line(): number {
    return this.#line;
  }

  get resumePoint(): FramingPoint {
    const open = this.#inRecord;
    const column = open ? this.#recordColumn : this.#column;
    return {
      byteOffset: open ? this.#recordOffset : this.#offset,
      line: open ? this.#recordLine : this.#line,
      record: this.#records,
      prelude: this.#layout === "unknown" ? "" : `${this.#layout} ${column}`,
    };
  }

  push(chunk: Buffer): void {
    let at = 0;
    const base = this.#offset;
    while (at < chunk.length) {
      if (!this.#inRecord) at = this.#findStart(chunk, at, base);
      if (!this.#inRecord) break;
      at = this.#framed ? this.#followFrame(chunk, at, base) : this.#followLine(chunk, at, base);
    }
    this.#offset = base + chunk.length;
  }

  /** Ends the input; what is open is the last record. */
  end(): void {
    if (this.#inRecord) this.#finish();
  }

  flushPending(): void {
    // A record waits for nothing but its own bytes.
  }

  /** Skips what lies between records; returns where the next one starts, which is then open. */
  #findStart(chunk: Buffer, from: number, base: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte === lineFeed) {
        this.#line++;
        this.#column = 0;
        continue;
      }
      const column = this.#column++;
      if (isSpace(byte)) continue;
      if (this.#layout === "array") {
        if (byte === comma) continue;
        if (byte === closeBracket) {
          this.#layout = "unknown";
          continue;
        }
      } else if (this.#layout === "unknown" && byte === openBracket) {
        this.#layout = "array";
        continue;
      }
      this.#begin(byte, column, base + at);
      return at;
    }
    return chunk.length;
  }

  #begin(byte: number, column: number, offset: number): void {
    this.#inRecord = true;
    this.#framed = this.#layout !== "lines" && (byte === openBrace || byte === openBracket);
    this.#recordLine = this.#line;
    this.#recordOffset = offset;
    this.#recordColumn = column;
    // The first byte is looked at again by whoever follows the record.
    this.#column = column;
    if (this.#framed) this.#frame.begin(column);
  }

  /** Follows a record by its brackets. */
  #followFrame(chunk: Buffer, from: number, base: number): number {
    const frame = this.#frame;
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      const step = frame.step(byte);
      if (step === "cut") {
        this.#open.append(chunk, from, at);
        this.#finish();
        this.#begin(byte, this.#column, base + at);
        return at;
      }
      if (byte === lineFeed) {
        // In a file of lines the first line is whole, or else broken: it does not go on unless it may.
        if (this.#layout === "unknown" && this.#recordLine === this.#line && !frame.open) {
          this.#open.append(chunk, from, at);
          this.#finish();
          return at;
        }
        this.#line++;
        this.#column = 0;
      } else this.#column++;
      if (step === "done") {
        this.#open.append(chunk, from, at + 1);
        // An empty object looks the same in every layout.
        if (this.#layout === "unknown" && this.#open.length > 2) this.#layout = this.#recordLine === this.#line ? "lines" : "objects";
        if (this.#layout === "lines") {
          // Whatever follows on this line belongs to it; a second object there makes the line no JSON.
          this.#framed = false;
          return at + 1;
        }
        this.#finish();
        return at + 1;
      }
    }
    this.#open.append(chunk, from, chunk.length);
    return chunk.length;
  }

  /** Follows a line, or in an array whatever stands up to the next separator. The line feed is left for `#findStart`. */
  #followLine(chunk: Buffer, from: number, base: number): number {
    let end = chunk.indexOf(lineFeed, from);
    if (end < 0) end = chunk.length;
    if (this.#layout === "array") {
      for (let at = from; at < end; at++) {
        const byte = chunk[at] as number;
        if ((byte === comma || byte === closeBracket) && base + at > this.#recordOffset) end = at;
      }
    }
    this.#open.append(chunk, from, end);
    this.#column += end - from;
    if (end < chunk.length) this.#finish();
    return end;
  }

  #finish(): void {
    const { bytes: whole, length: wholeLength, oversize } = this.#open.take();
    const bytes = oversize ? whole : trimEnd(whole);
    const length = oversize ? wholeLength : bytes.length;
    this.#inRecord = false;
    this.#take({ bytes, length, oversize, record: ++this.#records, line: this.#recordLine, byteOffset: this.#recordOffset });
  }
}

function trimEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (isSpace(bytes[end - 1] as number) || bytes[end - 1] === carriageReturn)) end--;
  return bytes.subarray(0, end);
}
