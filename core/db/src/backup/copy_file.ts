/**
 * Why it exists: a file is copied while somebody may be writing it, or checked long afterwards; both read it once, in pieces.
 * Enforces: bounded memory; the hash is of the bytes that were written; a page that was caught in the middle of a
 * write is read again.
 * Forbids: links; more than the file had when it was opened; a flush of its own: many files are flushed together, which costs a tenth.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type Clock, sleep } from "ransomeye-kernel";
import { judgePage, pageBytes } from "./page_checksum.ts";

const chunkBytes = 128 * pageBytes;
const rereadsMax = 5;
const rereadMs = 50;

/** Pages in a file, and from where on the log has them again. */
export interface PagesOf {
  readonly firstBlock: number;
  readonly sinceLsn: number;
  /** Where somebody may be writing: a page that does not fit is read again after a moment. */
  readonly rereads?: Clock;
}

/** What was read. */
export interface FileFacts {
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** The first block whose own checksum does not fit; null where there is none. */
  readonly damagedBlock: number | null;
}

export interface ReadOptions {
  /** Where the bytes go as well. */
  readonly target?: string;
  readonly pages?: PagesOf;
  readonly signal?: AbortSignal;
}

/** Reads `source` to its end, or to the end that it had. Rejects with the file system's own error, ENOENT among them. */
export async function readWhole(source: string, { target, pages, signal }: ReadOptions): Promise<FileFacts> {
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  let to: FileHandle | undefined;
  try {
    to = target === undefined ? undefined : await open(target, "wx", 0o600);
    const { size: sizeMax } = await from.stat();
    const buffer = Buffer.allocUnsafeSlow(chunkBytes);
    const hash = createHash("sha256");
    let damagedBlock: number | null = null;
    let size = 0;
    while (size < sizeMax) {
      signal?.throwIfAborted();
      const bytes = await fill(from, buffer, size, Math.min(chunkBytes, sizeMax - size));
      const chunk = buffer.subarray(0, bytes);
      if (pages !== undefined) damagedBlock ??= await firstDamaged(from, chunk, size, pages);
      hash.update(chunk);
      await to?.writeFile(chunk);
      size += bytes;
      if (bytes === 0) break;
    }
    return { size, sha256: hash.digest("hex"), damagedBlock };
  } finally {
    await to?.close();
    await from.close();
  }
}

/** As many bytes from `position` on as there are, at most `length`. */
async function fill(file: FileHandle, buffer: Buffer, position: number, length: number): Promise<number> {
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Pages that are not as they should be are read again, into their place in `chunk`. */
async function firstDamaged(file: FileHandle, chunk: Buffer, position: number, pages: PagesOf): Promise<number | null> {
  const { firstBlock, sinceLsn, rereads } = pages;
  for (let at = 0; at + pageBytes <= chunk.length; at += pageBytes) {
    const page = chunk.subarray(at, at + pageBytes);
    const block = firstBlock + (position + at) / pageBytes;
    let state = judgePage(page, block, sinceLsn);
    for (let reread = 0; state === "damaged" && reread < rereadsMax; reread += 1) {
      if (rereads === undefined) return block;
      await sleep(rereads, rereadMs);
      await fill(file, page, position + at, pageBytes);
      state = judgePage(page, block, sinceLsn);
    }
    if (state === "damaged") return block;
  }
  return null;
}
