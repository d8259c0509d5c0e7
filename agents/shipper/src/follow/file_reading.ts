// Why: one file is read from some point on, piece by piece, while it may still grow; or to its end, when it will not.
// Enforces: memory of one piece and what the reader keeps; a piece is read when it is asked for, so the file is the buffer; a packed file is unpacked as it is read.
// Forbids: knowing about names and rotations.

import type { FileHandle } from "node:fs/promises";
import type { Format } from "../formats.ts";
import { gunzip } from "../input/gunzip.ts";
import { RecordReader, type ReadOptions } from "../record_reader.ts";
import type { Batch, ResumePoint } from "../records.ts";
import { firstBytes, type Head, type Inode, pieceBytes, piecesOf } from "./file_mark.ts";

export interface FileReadingOptions {
  /** Name of the file for errors and reports. */
  readonly file: string;
  readonly handle: FileHandle;
  readonly inode: Inode;
  readonly head: Head;
  /** Packed by gzip: it does not grow. */
  readonly packed: boolean;
  readonly resume: ResumePoint | undefined;
  readonly read: Omit<ReadOptions, "resume" | "format"> & { readonly format: Format | undefined };
}

/** One file's reading. */
export class FileReading {
  readonly file: string;
  readonly inode: Inode;
  readonly packed: boolean;
  head: Head;
  readonly #handle: FileHandle;
  readonly #reader: RecordReader;
  readonly #unpacked: AsyncIterator<Buffer> | undefined;
  /** Bytes given to the reader, from the beginning of the (unpacked) file. */
  #offset: number;
  #skip: number;
  #ended = false;

  constructor({ file, handle, inode, head, packed, resume, read }: FileReadingOptions) {
    this.file = file;
    this.inode = inode;
    this.head = head;
    this.packed = packed;
    this.#handle = handle;
    this.#reader = new RecordReader({ ...read, format: resume?.format ?? read.format, resume });
    this.#offset = packed ? 0 : (resume?.byteOffset ?? 0);
    this.#skip = packed ? (resume?.byteOffset ?? 0) : 0;
    this.#unpacked = packed ? gunzip(piecesOf(handle))[Symbol.asyncIterator]() : undefined;
  }

  /** Bytes of the file that were read. */
  get offset(): number {
    return this.#offset;
  }

  /** Behind all that `take` has given; undefined before the format is known. */
  get point(): ResumePoint | undefined {
    return this.#reader.resume;
  }

  /** How large the file is now, and when it was changed, microseconds since 1970. */
  async facts(): Promise<{ readonly size: number; readonly changedUs: number }> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true });
    return { size: Number(size), changedUs: Number(mtimeNs / 1000n) };
  }

  /** How the file begins now. */
  firstBytes(): Promise<Buffer> {
    return firstBytes(this.#handle);
  }

  /** Reads one piece. `false`: there is no more now. @throws ShipError where the file is not what it should be */
  async advance(): Promise<boolean> {
    try {
      const piece = await (this.#unpacked === undefined ? this.#plainPiece() : this.#unpackedPiece(this.#unpacked));
      if (piece === undefined) return false;
      if (piece.length > 0) this.#reader.push(piece);
      return true;
    } catch (error) {
      throw this.#reader.placed(error);
    }
  }

  /** Records that wait for more lines do so for a bounded time. */
  flushPending(nowMs: number): void {
    this.#reader.flushPending(nowMs);
  }

  /** What was read, if it gave any record. */
  take(): Batch | undefined {
    return this.#reader.takeBatch();
  }

  /** No more will come: what is open is the last record. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#reader.end();
    } catch (error) {
      throw this.#reader.placed(error);
    }
  }

  async close(): Promise<void> {
    await this.#unpacked?.return?.();
    await this.#handle.close();
  }

  async #plainPiece(): Promise<Buffer | undefined> {
    // Thousands of files are looked at several times a second, and most have nothing new: no buffer for those, and a small one for a line.
    const bytes = Math.min(pieceBytes, (await this.facts()).size - this.#offset);
    if (bytes <= 0) return undefined;
    // The reader keeps pieces of records, so each piece has a buffer of its own.
    const buffer = Buffer.allocUnsafe(bytes);
    const { bytesRead } = await this.#handle.read(buffer, 0, bytes, this.#offset);
    this.#offset += bytesRead;
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
  }

  async #unpackedPiece(source: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
    const next = await source.next();
    if (next.done === true) return undefined;
    this.#offset += next.value.length;
    const skipped = Math.min(this.#skip, next.value.length);
    this.#skip -= skipped;
    return next.value.subarray(skipped);
  }
}
