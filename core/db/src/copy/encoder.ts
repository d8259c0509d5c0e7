/**
 * Why it exists: rows enter PostgreSQL by binary COPY, and the encoder's cost is paid for every event.
 * Enforces: one growing buffer, no object per row; each value checked against its type's range before it is written, so that
 * one bad value cannot fail the COPY of a whole commit group.
 * Forbids: conversions that lose something in silence: out-of-range numbers and NUL in text throw, the caller drops and flags them first.
 */
import { DbError } from "../errors.ts";
import { writeInet } from "./inet.ts";

/** `PGCOPY\n\377\r\n\0`, then 32 bits of flags and 32 bits of header extension length, both zero. */
const header: Buffer = Buffer.from([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const trailerBytes = 2;
/** PostgreSQL counts microseconds from 2000-01-01. */
export const postgresEpochUs = 946_684_800_000_000;
const twoTo32 = 4_294_967_296;

/** Bounds of an encoder; both in bytes. */
export interface EncoderOptions {
  readonly initialBytes?: number;
  /** The buffer never grows beyond this; a caller commits long before. */
  readonly bytesMax?: number;
}

/** A place in the encoder's output, to go back to with {@link BinaryCopyEncoder.truncate}. */
export type EncoderMark = { readonly length: number; readonly rows: number };

/**
 * Writes the binary COPY format, field after field: `row(n)`, then exactly n values in column order, then the next row; at the end
 * {@link finish}. Every value writer takes what its name says and throws DB_VALUE_UNSAFE for anything that the type cannot hold;
 * after such a throw the row is half written: go back with `truncate(mark)` to a mark taken before it.
 */
export class BinaryCopyEncoder {
  #buffer: Buffer;
  #length: number;
  #rows = 0;
  readonly #bytesMax: number;

  constructor(options: EncoderOptions = {}) {
    this.#bytesMax = options.bytesMax ?? 256 * 1024 * 1024;
    this.#buffer = Buffer.allocUnsafe(Math.min(options.initialBytes ?? 64 * 1024, this.#bytesMax));
    this.#length = header.copy(this.#buffer);
  }

  /** Rows begun since the last reset. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes written since the last reset, the format's header included. */
  get bytes(): number {
    return this.#length;
  }

  /** Begins a row of `fields` values. */
  row(fields: number): void {
    this.#reserve(2);
    this.#uint16(fields);
    this.#rows += 1;
  }

  null(): void {
    this.#reserve(4);
    this.#int32(-1);
  }

  bool(value: boolean): void {
    this.#reserve(5);
    this.#int32(1);
    this.#buffer[this.#length++] = value ? 1 : 0;
  }

  int2(value: number): void {
    if ((value << 16) >> 16 !== value) throw outOfRange("int2", value);
    this.#reserve(6);
    this.#int32(2);
    this.#uint16(value);
  }

  int4(value: number): void {
    if ((value | 0) !== value) throw outOfRange("int4", value);
    this.#reserve(8);
    this.#int32(4);
    this.#int32(value);
  }

  /** A safe integer. */
  int8(value: number): void {
    if (!Number.isSafeInteger(value)) throw outOfRange("int8", value);
    this.#reserve(12);
    this.#int32(8);
    this.#int64(value);
  }

  /** Integer microseconds since 1970, of the years 1715 to 2255. */
  timestamptzUs(microseconds: number): void {
    const fromPostgresEpoch = microseconds - postgresEpochUs;
    if (!Number.isSafeInteger(microseconds) || !Number.isSafeInteger(fromPostgresEpoch)) throw outOfRange("timestamptz", microseconds);
    this.#reserve(12);
    this.#int32(8);
    this.#int64(fromPostgresEpoch);
  }

  /** A canonical uuid, 36 characters with hyphens, either case. */
  uuid(text: string): void {
    this.#reserve(20);
    const start = this.#length;
    this.#int32(16);
    if (!this.#uuidDigits(text)) {
      this.#length = start;
      throw new DbError("DB_VALUE_UNSAFE", "A uuid column was given something that is no uuid.");
    }
  }

  /** Sixteen bytes of a uuid. */
  uuidBytes(bytes: Uint8Array): void {
    if (bytes.length !== 16) throw outOfRange("uuid", bytes.length);
    this.textBytes(bytes, 0, 16);
  }

  /**
   * A JavaScript string as UTF-8. A lone surrogate becomes U+FFFD, as in every UTF-8 encoder; flag it before if that matters.
   * @throws DbError DB_VALUE_UNSAFE if it holds a NUL, which no PostgreSQL text may
   */
  text(value: string): void {
    if (value.includes("\0")) throw new DbError("DB_VALUE_UNSAFE", "A text column was given a NUL character.");
    // A UTF-16 code unit takes at most three bytes of UTF-8.
    this.#reserve(4 + value.length * 3);
    const written = this.#buffer.write(value, this.#length + 4, "utf8");
    this.#int32(written);
    this.#length += written;
  }

  /** The bytes [from, to) of a text that is UTF-8 without NUL: the caller's promise. */
  textBytes(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.#reserve(4 + length);
    this.#int32(length);
    const buffer = this.#buffer;
    const start = this.#length;
    // Most texts are short: a loop costs less than a call into native code.
    for (let i = 0; i < length; i++) buffer[start + i] = bytes[from + i] as number;
    this.#length = start + length;
  }

  /** Bytes; also for a text column if they are valid UTF-8 without NUL. */
  bytea(value: Uint8Array): void {
    this.#reserve(4 + value.length);
    this.#int32(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /**
   * An IPv4 or IPv6 address as text, without prefix length or zone.
   * Returns false, and writes NULL, if it is none; the caller has flags for that.
   */
  inet(text: string): boolean {
    this.#reserve(24);
    const start = this.#length;
    const bytes = writeInet(text, this.#buffer, start + 4);
    if (bytes === 0) {
      this.null();
      return false;
    }
    this.#int32(bytes);
    this.#length += bytes;
    return true;
  }

  /** Where the next value would go; take it before a row that may fail. */
  mark(): EncoderMark {
    return { length: this.#length, rows: this.#rows };
  }

  /** Forgets everything written after `mark`. */
  truncate(mark: EncoderMark): void {
    this.#length = mark.length;
    this.#rows = mark.rows;
  }

  /**
   * Writes the end mark and gives the whole COPY stream: a view on the encoder's memory, valid until {@link reset}.
   * Nothing may be written after it.
   */
  finish(): Buffer {
    this.#reserve(trailerBytes);
    this.#uint16(-1);
    return this.#buffer.subarray(0, this.#length);
  }

  /** Empties the encoder and keeps its memory. Only after whatever took {@link finish}'s view is done with it. */
  reset(): void {
    this.#length = header.length;
    this.#rows = 0;
  }

  #reserve(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted <= this.#buffer.length) return;
    if (wanted > this.#bytesMax) {
      throw new DbError("DB_VALUE_UNSAFE", "A COPY grew beyond its bound; commit smaller groups.", {
        fields: { bytes_max: this.#bytesMax },
      });
    }
    const grown = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(wanted, this.#buffer.length * 2)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  // Plain byte stores: Buffer's own writers check ranges again, which shows in the profile of a million rows.
  #uint16(value: number): void {
    const buffer = this.#buffer;
    buffer[this.#length] = value >>> 8;
    buffer[this.#length + 1] = value;
    this.#length += 2;
  }

  #int32(value: number): void {
    const buffer = this.#buffer;
    const at = this.#length;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
    this.#length = at + 4;
  }

  #int64(value: number): void {
    this.#int32(Math.floor(value / twoTo32));
    this.#int32(value >>> 0);
  }

  #uuidDigits(text: string): boolean {
    if (text.length !== 36) return false;
    let at = 0;
    for (let byte = 0; byte < 16; byte++) {
      if (byte === 4 || byte === 6 || byte === 8 || byte === 10) {
        if (text.charCodeAt(at) !== 0x2d) return false;
        at += 1;
      }
      const high = nibble(text.charCodeAt(at));
      const low = nibble(text.charCodeAt(at + 1));
      if ((high | low) < 0) return false;
      this.#buffer[this.#length++] = (high << 4) | low;
      at += 2;
    }
    return true;
  }
}

/** Value of a hexadecimal digit, or -1. */
function nibble(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function outOfRange(type: string, value: number): DbError {
  return new DbError("DB_VALUE_UNSAFE", `The value ${value} does not fit type ${type}.`);
}
