// Why: syslog messages lie in files and streams as lines, or each behind its length, which then may hold line feeds (RFC 6587).
// Enforces: each message says by its first bytes how it is framed, so that both may come in one stream; a length that cannot be true makes
//   its line a record and nothing else.
// Forbids: believing a length beyond the bound for records: a damaged one would swallow the rest of the input.

import { BoundedBytes } from "./bounded_bytes.ts";
import type { Framing, FramingOptions, FramingPoint, RawRecord } from "./framing.ts";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const openAngle = 0x3c;

/** Bytes of the longest length with the bracket behind it: `1048576 <`. */
const prefixBytesMax = 9;

/** Syslog messages, by line or by length. */
export class SyslogFraming implements Framing {
  readonly #options: FramingOptions;
  readonly #open: BoundedBytes;
  /** First bytes of a message that do not yet show how it is framed. */
  #prefix: Buffer = Buffer.alloc(0);
  #inMessage = false;
  /** Bytes that the open message still has; undefined where its line ends it. */
  #left: number | undefined;
  #offset: number;
  #line: number;
  #records: number;
  /** Where the open message begins, with its length; else where the next one may. */
  #begin: { byteOffset: number; line: number };
  #messageOffset = 0;

  constructor(options: FramingOptions) {
    const { byteOffset, line, record } = options.start;
    this.#options = options;
    this.#open = new BoundedBytes(options.recordBytesMax);
    this.#offset = byteOffset;
    this.#line = line;
    this.#records = record;
    this.#begin = { byteOffset, line };
  }

  get offset(): number {
    return this.#offset + this.#prefix.length;
  }

  get line(): number {
    return this.#line;
  }

  get resumePoint(): FramingPoint {
    return { ...this.#begin, record: this.#records, prelude: "" };
  }

  push(chunk: Buffer): void {
    const bytes = this.#prefix.length === 0 ? chunk : Buffer.concat([this.#prefix, chunk]);
    this.#prefix = Buffer.alloc(0);
    let at = 0;
    while (at < bytes.length) {
      if (!this.#inMessage) {
        const next = this.#begins(bytes, at, false);
        if (next === undefined) {
          this.#prefix = Buffer.from(bytes.subarray(at));
          return;
        }
        at = next;
      }
      at = this.#inMessage ? this.#follow(bytes, at) : at;
    }
  }

  end(): void {
    const prefix = this.#prefix;
    this.#prefix = Buffer.alloc(0);
    if (prefix.length > 0) this.#follow(prefix, this.#begins(prefix, 0, true) ?? 0);
    if (this.#inMessage) this.#finish();
  }

  flushPending(): void {
    // A message waits for nothing but its own bytes.
  }

  /** Opens the message that begins at `at`, or skips a line end; returns where to go on, undefined where its framing does not show yet. */
  #begins(bytes: Buffer, at: number, whole: boolean): number | undefined {
    const first = bytes[at] as number;
    if (first === lineFeed || first === carriageReturn) {
      this.#move(bytes, at, at + 1);
      this.#begin = { byteOffset: this.#offset, line: this.#line };
      return at + 1;
    }
    const head = bytes.toString("latin1", at, at + prefixBytesMax);
    const counted = /^([1-9]\d{0,6}) </.exec(head);
    if (counted === null && !whole && head.length < prefixBytesMax && /^\d{1,7} ?$/.test(head)) return undefined;
    const length = Number(counted?.[1] ?? Number.NaN);
    const isCounted = length <= this.#options.recordBytesMax;
    this.#inMessage = true;
    this.#left = isCounted ? length : undefined;
    const from = isCounted ? bytes.indexOf(openAngle, at) : at;
    this.#move(bytes, at, from);
    this.#messageOffset = this.#offset;
    return from;
  }

  /** Follows the open message; returns where it ends or the bytes do. */
  #follow(bytes: Buffer, at: number): number {
    const end = this.#left === undefined ? bytes.indexOf(lineFeed, at) : at + this.#left;
    const to = end < 0 || end > bytes.length ? bytes.length : end;
    this.#open.append(bytes, at, to);
    this.#move(bytes, at, to);
    if (this.#left !== undefined) this.#left -= to - at;
    if (this.#left === undefined ? end >= 0 : this.#left === 0) this.#finish();
    return to;
  }

  #move(bytes: Buffer, from: number, to: number): void {
    for (let at = bytes.indexOf(lineFeed, from); at >= 0 && at < to; at = bytes.indexOf(lineFeed, at + 1)) this.#line++;
    this.#offset += to - from;
  }

  #finish(): void {
    const { bytes: whole, length, oversize } = this.#open.take();
    const cut = this.#left === undefined && !oversize && whole.at(-1) === carriageReturn ? 1 : 0;
    const bytes = cut === 0 ? whole : whole.subarray(0, -1);
    const record: RawRecord = {
      bytes,
      length: length - cut,
      oversize,
      record: this.#records + 1,
      line: this.#begin.line,
      byteOffset: this.#messageOffset,
    };
    this.#inMessage = false;
    this.#begin = { byteOffset: this.#offset, line: this.#line };
    if (bytes.every((byte) => byte === 0x20 || byte === 0x09)) return;
    this.#records++;
    this.#options.take(record);
  }
}
