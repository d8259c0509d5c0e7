/**
 * Why it exists: frames are read by binary COPY (R-10); `pg`'s own results corrupt or inflate bytea.
 * Enforces: bounded fields, exact field counts, the format's header and end mark; a stream that just stops is an error.
 * Forbids: copying what need not be copied: a field is a view on the chunk that it came in.
 */
import { DbError } from "../errors.ts";
import { postgresEpochUs } from "./encoder.ts";

const signature: Buffer = Buffer.from([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0]);
const headBytes = signature.length + 8;

/** What a decoder expects. */
export interface DecoderOptions {
  /** Columns of every row. */
  readonly fields: number;
  /** Largest field allowed, in bytes; a corrupt length must not become an allocation. */
  readonly fieldBytesMax?: number;
}

/** One row: a view per field, null for NULL. Valid for as long as the caller keeps it; copy what must outlive the chunk cheaply. */
export type BinaryRow = readonly (Buffer | null)[];

/**
 * Decodes the chunks of `COPY … TO STDOUT (FORMAT binary)`, cut anywhere, into rows.
 * @throws DbError DB_COPY_MALFORMED if the bytes are not that format, or end before its end mark
 */
export async function* decodeBinaryCopy(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: DecoderOptions,
): AsyncGenerator<BinaryRow, void, undefined> {
  const decoder = new BinaryCopyDecoder(options);
  for await (const chunk of chunks) {
    for (const row of decoder.push(chunk)) yield row;
  }
  decoder.end();
}

/** The same as a state machine without I/O: bytes in, whole rows out. */
export class BinaryCopyDecoder {
  readonly #fields: number;
  readonly #fieldBytesMax: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Nothing can be done before this many bytes are there: spares joining the chunks of a large field again and again. */
  #wanted = headBytes;
  #headed = false;
  #ended = false;

  constructor(options: DecoderOptions) {
    this.#fields = options.fields;
    this.#fieldBytesMax = options.fieldBytesMax ?? 64 * 1024 * 1024;
  }

  /** Takes the next bytes, gives the rows that they complete. */
  push(chunk: Buffer): BinaryRow[] {
    if (chunk.length === 0) return [];
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes < this.#wanted) return [];
    const data = this.#pending.length === 1 ? chunk : Buffer.concat(this.#pending, this.#pendingBytes);
    const rows: BinaryRow[] = [];
    let at = this.#headed ? 0 : this.#head(data);
    for (;;) {
      const next = this.#row(data, at, rows);
      if (next < 0) break;
      at = next;
    }
    const rest = data.subarray(at);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    return rows;
  }

  /** Asserts that the end mark was seen and nothing was left over. */
  end(): void {
    if (!this.#ended || this.#pendingBytes > 0) throw malformed("it ends before its end mark");
  }

  #head(data: Buffer): number {
    if (!data.subarray(0, signature.length).equals(signature)) throw malformed("its signature is wrong");
    const flags = data.readUInt32BE(signature.length);
    const extension = data.readUInt32BE(signature.length + 4);
    if (flags !== 0 || extension !== 0) throw malformed("it has flags or an extension that we do not know");
    this.#headed = true;
    this.#wanted = 2;
    return headBytes;
  }

  /** One row from `at`, or -1 if it is not whole yet (then `#wanted` says from how many bytes on it is worth another look). */
  #row(data: Buffer, at: number, rows: BinaryRow[]): number {
    if (data.length - at < 2) {
      this.#wanted = this.#ended ? 0 : 2;
      return -1;
    }
    if (this.#ended) throw malformed("bytes follow its end mark");
    const count = data.readInt16BE(at);
    if (count === -1) {
      this.#ended = true;
      return at + 2;
    }
    if (count !== this.#fields) throw malformed(`a row has ${count} fields instead of ${this.#fields}`);
    const row: (Buffer | null)[] = new Array<Buffer | null>(count);
    let position = at + 2;
    for (let field = 0; field < count; field++) {
      if (data.length - position < 4) return this.#wait(position + 4 - at);
      const length = data.readInt32BE(position);
      position += 4;
      if (length === -1) {
        row[field] = null;
        continue;
      }
      if (length < 0 || length > this.#fieldBytesMax) throw malformed(`a field claims ${length} bytes`);
      if (data.length - position < length) return this.#wait(position + length - at);
      row[field] = data.subarray(position, position + length);
      position += length;
    }
    rows.push(row);
    return position;
  }

  #wait(bytes: number): number {
    this.#wanted = bytes;
    return -1;
  }
}

function malformed(what: string): DbError {
  return new DbError("DB_COPY_MALFORMED", `The COPY stream is damaged: ${what}.`);
}

/**
 * Readers of single fields. Each asserts the length, so that a column of another type is noticed.
 * Integers come as safe numbers, times as integer microseconds since 1970, uuids as lower-case text.
 */
export const readField: {
  readonly int2: (field: Buffer) => number;
  readonly int4: (field: Buffer) => number;
  readonly int8: (field: Buffer) => number;
  readonly timestamptzUs: (field: Buffer) => number;
  readonly uuid: (field: Buffer) => string;
  readonly text: (field: Buffer) => string;
  readonly bool: (field: Buffer) => boolean;
} = {
  int2: (field) => sized(field, 2).readInt16BE(0),
  int4: (field) => sized(field, 4).readInt32BE(0),
  int8: (field) => safeInt64(sized(field, 8)),
  timestamptzUs: (field) => safeInt64(sized(field, 8)) + postgresEpochUs,
  uuid: (field) => {
    const hex = sized(field, 16).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
  text: (field) => field.toString("utf8"),
  bool: (field) => sized(field, 1)[0] === 1,
};

function sized(field: Buffer, bytes: number): Buffer {
  if (field.length !== bytes) throw malformed(`a field of ${bytes} bytes has ${field.length}`);
  return field;
}

function safeInt64(field: Buffer): number {
  const value = field.readInt32BE(0) * 4_294_967_296 + field.readUInt32BE(4);
  if (!Number.isSafeInteger(value)) throw new DbError("DB_VALUE_UNSAFE", "A COPY field holds an integer beyond 2^53.");
  return value;
}
