// Why: a file that is no longer under its name is somewhere beside it: renamed, copied, packed; or gone.
// Enforces: it is found by inode and first bytes, a copy by first bytes and size; files are looked at, never followed into anything but regular files.
// Forbids: guessing. What is not found is lost, and whoever asks must say so.

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { gunzip, isGzip } from "../input/gunzip.ts";
import { beginsWith, type FileMark, firstBytes, headBytesMax, type Inode, piecesOf, sameInode } from "./file_mark.ts";
import { rotatedFiles } from "./rotated_files.ts";

/** An open regular file and what is known of it. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly inode: Inode;
  readonly size: number;
  readonly changedUs: number;
  /** First bytes, unpacked if it is packed. */
  readonly begins: Buffer;
  readonly packed: boolean;
}

/** Why a file cannot be opened; `gone` where there is none. */
export type NotOpened = { readonly kind: "gone" } | { readonly kind: "blocked"; readonly detail: string };

/** Opens a regular file for reading. */
export async function openFile(path: string): Promise<OpenedFile | NotOpened> {
  let handle: FileHandle;
  try {
    // Not waiting: a pipe without a writer would hold us up before we see that it is one.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? { kind: "gone" } : { kind: "blocked", detail: message };
  }
  try {
    const facts = await handle.stat({ bigint: true });
    if (!facts.isFile()) {
      await handle.close();
      return { kind: "blocked", detail: "it is no regular file" };
    }
    const raw = await firstBytes(handle);
    const packed = isGzip(raw);
    return {
      handle,
      inode: { dev: String(facts.dev), ino: String(facts.ino) },
      size: Number(facts.size),
      changedUs: Number(facts.mtimeNs / 1000n),
      begins: packed ? await unpackedHead(handle) : raw,
      packed,
    };
  } catch (error) {
    await handle.close();
    return { kind: "blocked", detail: error instanceof Error ? error.message : String(error) };
  }
}

/** A rotated file, open. */
export interface OpenedRotated extends OpenedFile {
  readonly path: string;
}

/** What stands beside a path that was moved away from it; files are open, so that the next rotation cannot change what they are. */
export interface Found {
  /** The file of the mark, or a copy of it that has all that was read. */
  readonly marked: OpenedRotated | undefined;
  /** Files that were the live one after it, oldest first. */
  readonly newer: readonly OpenedRotated[];
  /** There are more of them than were opened. */
  readonly more: boolean;
}

/** Rotated files that are held open for one path at most. */
const openMax = 64;

/** Looks for a file and its successors among the rotated ones. Where the file is not found, what was changed after it was begun counts as newer. */
export async function findMarked(mark: Pick<FileMark, "path" | "dev" | "ino" | "head" | "sinceUs">, offset: number): Promise<Found> {
  const files: OpenedRotated[] = [];
  let marked: number | undefined;
  for (const { path } of (await rotatedFiles(mark.path)).reverse()) {
    const file = await openFile(path);
    if ("kind" in file) continue;
    files.unshift({ ...file, path });
    if (marked !== undefined) marked += 1;
    const begins = beginsWith(file.begins, mark.head);
    if (begins && !file.packed && sameInode(file.inode, mark)) {
      marked = 0;
      break;
    }
    if (begins && mark.head.bytes > 0 && (file.packed || file.size >= offset)) marked ??= 0;
  }
  const newer = marked === undefined ? files.filter(({ changedUs }) => changedUs > mark.sinceUs) : files.slice(marked + 1);
  const kept = newer.slice(0, openMax);
  const found = marked === undefined ? undefined : files[marked];
  for (const file of files) if (file !== found && !kept.includes(file)) await file.handle.close();
  return { marked: found, newer: kept, more: newer.length > kept.length };
}

/** Whether a copy, or the file itself, stands beside the path. */
export async function hasCopy(mark: Parameters<typeof findMarked>[0], offset: number): Promise<boolean> {
  const { marked, newer } = await findMarked(mark, offset);
  for (const file of [marked, ...newer]) await file?.handle.close();
  return marked !== undefined;
}

/** The first unpacked bytes; fewer where it is damaged. */
async function unpackedHead(handle: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of gunzip(piecesOf(handle))) {
      parts.push(part);
      bytes += part.length;
      if (bytes >= headBytesMax) break;
    }
  } catch {
    // Reading it will say what is wrong with it.
  }
  return Buffer.concat(parts).subarray(0, headBytesMax);
}
