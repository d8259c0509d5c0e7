/**
 * Why: the spool's promises hang on a handful of file operations, which tests must be able to make fail.
 * Enforces: a write is whole or an error; `sync` is fdatasync. Forbids: any other way to the spool's segments.
 */
import { type FileHandle, open } from "node:fs/promises";

/** A segment file. */
export interface SpoolFile {
  /** Writes all parts from this offset on. */
  write(parts: readonly Buffer[], at: number): Promise<void>;
  /** fdatasync: contents and length are on the disk. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Reads exactly this much. */
  read(bytes: number, at: number): Promise<Buffer>;
  /** The whole file. */
  readAll(): Promise<Buffer>;
  close(): Promise<void>;
}

/** Opens a segment for reading and writing; `create`: it must not exist yet. */
export type OpenSpoolFile = (path: string, create: boolean) => Promise<SpoolFile>;

/** IOV_MAX on Linux. */
const partsMax = 1024;

/** Segments on the real disk. */
export const openSpoolFile: OpenSpoolFile = async (path, create) => {
  const file = await open(path, create ? "wx+" : "r+", 0o600);
  return {
    write: (parts, at) => writeAll(file, parts, at),
    sync: () => file.datasync(),
    truncate: (length) => file.truncate(length),
    read: (bytes, at) => readExactly(file, bytes, at),
    readAll: async () => readExactly(file, (await file.stat()).size, 0),
    close: () => file.close(),
  };
};

async function writeAll(file: FileHandle, parts: readonly Buffer[], from: number): Promise<void> {
  let at = from;
  let rest = [...parts];
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest.slice(0, partsMax), at);
    at += bytesWritten;
    rest = behind(rest, bytesWritten);
  }
}

/** The parts that remain after a short write. */
function behind(parts: readonly Buffer[], written: number): Buffer[] {
  let left = written;
  let from = 0;
  for (; from < parts.length && left >= (parts[from]?.length ?? 0); from += 1) left -= parts[from]?.length ?? 0;
  const rest = parts.slice(from);
  if (left > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(left);
  return rest;
}

async function readExactly(file: FileHandle, bytes: number, at: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let have = 0;
  while (have < bytes) {
    const { bytesRead } = await file.read(buffer, have, bytes - have, at + have);
    if (bytesRead === 0) throw new RangeError("the file ends early");
    have += bytesRead;
  }
  return buffer;
}
