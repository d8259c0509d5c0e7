/**
 * Why: secrets and state files are read by other processes while they are written, and must survive a power cut whole.
 * Enforces: a reader sees the old file or the new one, never half of one, and the new one is durable when the promise settles.
 * Forbids: writing in place.
 */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

let writes = 0;

/**
 * Replaces `path` by `data` with permission bits `mode` (exactly: the umask does not apply). Writes a file beside it, flushes it, renames it over the
 * target and flushes the directory, without which a power cut may bring the old name back. Rejects with the file system's own error; then the
 * target is as it was, unless the error came from the last flush.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  writes += 1;
  const temporary = `${path}.${process.pid}.${writes}.tmp`;
  // One of this name is a predecessor's that was killed: in a container every process has the same id.
  await rm(temporary, { force: true });
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.chmod(mode);
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw named(error, path);
  }
  await syncDirectory(dirname(path));
}

/** The error of a system call with the file that it is about: a write knows a number only. */
function named(error: unknown, path: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined || syscall === undefined) return error;
  return Object.assign(new Error(`${path} cannot be written: ${message}`, { cause: error }), { code, syscall, path });
}

/** Makes the names in a directory durable: files created, renamed or removed in it. */
export async function syncDirectory(path: string): Promise<void> {
  const directory: FileHandle = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
