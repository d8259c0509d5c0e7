/**
 * Why it exists: one order of steps makes a backup, and each may be the last one.
 * Enforces: nothing is written into a directory that has anything in it; the manifest comes last, after everything that it names is on disk; a failure takes away
 * what was made; a kill leaves a directory without a manifest, which nobody takes for a backup.
 * Forbids: knowing what an installation needs beside its database: the caller copies that, and says what it was.
 */
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { syncDirectory } from "ransomeye-kernel";
import { DbError } from "../errors.ts";
import { clusterFolder, type CopyContext, copyCluster, copyLog, syncTree } from "./copy_cluster.ts";
import { type BackupManifest, type ManifestFile, writeManifest } from "./manifest.ts";
import type { BackupSession } from "./session.ts";

/** What {@link takeBackup} needs. */
export interface BackupOptions extends CopyContext {
  /** Made if it is not there. */
  readonly directory: string;
  readonly begin: () => Promise<BackupSession>;
  readonly release: string;
  /** Copies what else belongs to the installation into the backup's directory, before the database. The function returned says whether that still holds at the end. */
  readonly beside: (directory: string) => Promise<{ readonly files: readonly ManifestFile[]; readonly stillHolds: () => Promise<boolean> }>;
  readonly said: (message: string) => void;
}

/** @throws DbError DB_BACKUP_*; errors of the file system and of the server */
export async function takeBackup(o: BackupOptions): Promise<BackupManifest> {
  const directory = resolve(o.directory);
  const made = await claimDirectory(directory);
  try {
    return await fillBackup({ ...o, directory });
  } catch (error) {
    // Half a backup is of no use; what cannot be removed has no manifest.
    for (const name of await readdir(directory).catch(() => []))
      await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
    if (made) await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

async function fillBackup(o: BackupOptions): Promise<BackupManifest> {
  const { directory } = o;
  // Before the database: what the files speak of is then in the database that is restored with them.
  const beside = await o.beside(directory);
  o.said("asking PostgreSQL for a checkpoint");
  const session = await o.begin();
  try {
    o.said(`copying ${session.begin.clusterDirectory}`);
    const copied = await copyCluster(session.begin, directory, o);
    const end = await session.finish();
    const log = await copyLog(session.begin, end, directory, o);
    const files = [...beside.files, ...copied.files, ...log].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const folders = new Set([...copied.directories.map((path) => join(clusterFolder, path)), ...files.map(({ path }) => dirname(path))]);
    await syncTree(
      directory,
      files.map(({ path }) => path),
      [...folders],
    );
    if (!(await beside.stillHolds()))
      throw new DbError("DB_BACKUP_INTERRUPTED", "Keys of the installation were changed while the backup was made.");
    const { clusterDirectory: _place, startLsn, ...server } = session.begin;
    const manifest: BackupManifest = {
      release: o.release,
      madeUs: end.madeUs,
      server,
      startLsn,
      stopLsn: end.stopLsn,
      directories: copied.directories,
      files,
    };
    o.signal.throwIfAborted();
    await writeManifest(directory, manifest);
    await syncDirectory(dirname(directory));
    return manifest;
  } finally {
    await session.close();
  }
}

/** Makes the directory, or finds it empty; says whether it made it. @throws DbError DB_BACKUP_TARGET */
async function claimDirectory(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw new DbError("DB_BACKUP_TARGET", `${directory} cannot be made.`, { cause: error });
  }
  const facts = await lstat(directory);
  if (!facts.isDirectory() || (await readdir(directory)).length > 0)
    throw new DbError("DB_BACKUP_TARGET", `${directory} is not an empty directory.`);
  if ((facts.mode & 0o077) !== 0)
    throw new DbError("DB_BACKUP_TARGET", `${directory} is open to others (mode ${(facts.mode & 0o777).toString(8)}).`);
  return false;
}
