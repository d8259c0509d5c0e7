/**
 * Why it exists: a point in time lies between two backups, and the log of changes that leads there is recycled unless somebody keeps it.
 * Enforces: a file of the log appears in the archive whole, flushed, and once: what is there is never written over, and an attempt whose answer was lost counts as done
 * if it is the same to the byte; the server's own user can write there, or nothing starts.
 * Forbids: programs that a Debian without Node's directories could not run as the server's user (R-23): the shell and coreutils, no more.
 */
import { chown, mkdir, readdir, stat } from "node:fs/promises";
import { DbError } from "../errors.ts";
import { runTool } from "../embedded/processes.ts";
import type { RunAs } from "../embedded/run_as.ts";
import { shellWord } from "./recovery.ts";

/** An idle system's last changes are in the archive after this time; each file of the log is 16 MiB however little is in it. */
const archiveTimeout = "5min";

/** What makes the server archive; PostgreSQL puts a path for %p and a name for %f. */
export function archiveSettings(directory: string): Readonly<Record<string, string>> {
  const target = `${shellWord(`${directory}/`)}"%f"`;
  const command = [
    `f=${target}; t="$f.$$.part"`,
    `if test -e "$f"; then cmp -s "%p" "$f" && sync "$f" ${shellWord(directory)}`,
    // A link is made only where there is no such name yet.
    `else { cp "%p" "$t" && sync "$t" && ln "$t" "$f" && rm "$t" && sync ${shellWord(directory)}; } || { rm -f "$t"; false; }`,
    "fi",
  ].join("; ");
  return { archive_mode: "on", archive_command: command, archive_timeout: archiveTimeout };
}

/** Makes the directory if need be, and holds that the server's user can write there. @throws DbError DB_ARCHIVE_UNUSABLE */
export async function prepareArchive(directory: string, runAs: RunAs): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // As root: one that we have just made, or that was made for us. Anybody else's stays his.
    const isOurs = runAs.changed && (await stat(directory)).uid === 0 && (await readdir(directory)).length === 0;
    if (isOurs) await chown(directory, runAs.uid, runAs.gid);
  } catch (error) {
    throw new DbError("DB_ARCHIVE_UNUSABLE", `${directory} cannot be made or read.`, { cause: error });
  }
  if (!(await mayUse(directory, "-w", runAs)))
    throw new DbError(
      "DB_ARCHIVE_UNUSABLE",
      `The server's user${runAs.name === "" ? "" : `, ${runAs.name},`} cannot write into ${directory}.`,
    );
}

/** Holds that the server's user can read an archive. @throws DbError DB_ARCHIVE_UNUSABLE */
export async function assertReadable(directory: string, runAs: RunAs): Promise<void> {
  if (!(await mayUse(directory, "-r", runAs)))
    throw new DbError("DB_ARCHIVE_UNUSABLE", `The server's user${runAs.name === "" ? "" : `, ${runAs.name},`} cannot read ${directory}.`);
}

async function mayUse(directory: string, how: "-r" | "-w", runAs: RunAs): Promise<boolean> {
  return (await runTool("test", ["-d", directory, "-a", how, directory, "-a", "-x", directory], { runAs })).code === 0;
}
