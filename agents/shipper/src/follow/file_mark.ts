// Why: a followed file must be found again under another name, and a new file under an old name must not be taken for it.
// Enforces: a file is what its device, inode and first bytes say together: names move, inodes are used again, copies share their beginning.
// Forbids: trusting a name.

import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Format } from "../formats.ts";
import type { FramingPoint } from "../input/framing.ts";

/** First bytes of a file; none of an empty one. */
export interface Head {
  readonly bytes: number;
  /** SHA-256 of them, shortened, hex. */
  readonly hash: string;
}

/** Where a file lies on the disk; inode numbers may exceed 2^53. */
export interface Inode {
  readonly dev: string;
  readonly ino: string;
}

/** The file that is being read for a followed path, and how far. All before it has been read. */
export interface FileMark extends Inode {
  readonly path: string;
  readonly head: Head;
  readonly format: Format;
  readonly point: FramingPoint;
  /** When it was begun, microseconds since 1970: files that were changed later may hold what nobody has read. */
  readonly sinceUs: number;
}

/** Enough to tell two logs apart: the first records carry times. */
export const headBytesMax = 1024;
/** Read at a time. */
export const pieceBytes: number = 256 * 1024;

/** The head of what begins with these bytes. */
export function headOf(bytes: Buffer): Head {
  const part = bytes.subarray(0, headBytesMax);
  return { bytes: part.length, hash: createHash("sha256").update(part).digest("hex").slice(0, 32) };
}

/** Whether what begins with these bytes begins as the head says. */
export function beginsWith(bytes: Buffer, head: Head): boolean {
  return bytes.length >= head.bytes && headOf(bytes.subarray(0, head.bytes)).hash === head.hash;
}

/** The first bytes of an open file. */
export async function firstBytes(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(headBytesMax);
  const { bytesRead } = await file.read(buffer, 0, headBytesMax, 0);
  return buffer.subarray(0, bytesRead);
}

/** All bytes of an open file, read as they are asked for: a stream would still be reading when the file is closed. */
export async function* piecesOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let offset = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

export function sameInode(a: Inode, b: Inode): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}
