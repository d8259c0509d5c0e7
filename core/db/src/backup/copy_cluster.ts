/**
 * Why it exists: the embedded package has no pg_basebackup; this is the copying between pg_backup_start and pg_backup_stop.
 * Enforces: every page that the log will not write again is sound by its own checksum, or the backup is none; what vanishes while it is
 * copied is left out, for the log says that it went.
 * Forbids: writing anything in the cluster.
 */
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep, syncDirectory } from "ransomeye-kernel";
import { DbError } from "../errors.ts";
import { controlFile, firstBlockOf, listCluster } from "./cluster_files.ts";
import { readWhole } from "./copy_file.ts";
import { parseLsn } from "./lsn.ts";
import type { ManifestFile } from "./manifest.ts";
import type { BackupBegin, BackupEnd } from "./session.ts";

/** Below a backup's directory. */
export const clusterFolder = "cluster";
const labelName = "backup_label";

/** Files that are copied at a time: flushes wait for the disk, hashes for the processor. */
const copiesAtOnce = 4;
const controlReadsMax = 50;
const controlRereadMs = 20;

export interface CopyContext {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What was copied, with paths in the backup. */
export interface Copied {
  readonly directories: readonly string[];
  readonly files: readonly ManifestFile[];
}

/** Copies the data directory while the server runs. @throws DbError DB_BACKUP_DAMAGED, DB_BACKUP_UNSUPPORTED; the file system's errors */
export async function copyCluster(begin: BackupBegin, backup: string, context: CopyContext): Promise<Copied> {
  const { clusterDirectory, dataChecksums } = begin;
  const sinceLsn = parseLsn(begin.startLsn);
  const { directories, files } = await listCluster(clusterDirectory);
  const target = join(backup, clusterFolder);
  for (const directory of ["", ...directories]) await mkdir(join(target, directory), { recursive: true, mode: 0o700 });
  const copied: ManifestFile[] = [];
  await forEach(
    files.filter((path) => path !== controlFile),
    async (path) => {
      const firstBlock = dataChecksums ? firstBlockOf(path) : undefined;
      const file = await copyOne(clusterDirectory, target, path, {
        ...context,
        ...(firstBlock === undefined ? {} : { pages: { firstBlock, sinceLsn, rereads: context.clock } }),
      });
      if (file !== undefined) copied.push(file);
    },
  );
  copied.push(await copyControlFile(clusterDirectory, target, context.clock));
  return { directories, files: copied };
}

/** Copies what the server kept for it of the log, and writes its label; then the copy is whole. */
export async function copyLog(begin: BackupBegin, end: BackupEnd, backup: string, { signal }: CopyContext): Promise<ManifestFile[]> {
  const target = join(backup, clusterFolder);
  const copied: ManifestFile[] = [];
  for (const name of end.walFiles) {
    const file = await copyOne(begin.clusterDirectory, target, `pg_wal/${name}`, { signal });
    if (file === undefined)
      throw new DbError("DB_BACKUP_INTERRUPTED", `The server has removed ${name} from its log, which the backup needs.`);
    copied.push(file);
  }
  copied.push(await writeNew(target, labelName, Buffer.from(end.label)));
  return copied;
}

/** Flushes files and the names in directories, all of them written before: the first flush takes most of the others along. */
export async function syncTree(root: string, files: readonly string[], directories: readonly string[]): Promise<void> {
  for (const path of files) {
    const file = await open(join(root, path), "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
  for (const directory of ["", ...directories]) await syncDirectory(join(root, directory));
}

async function copyOne(
  from: string,
  target: string,
  path: string,
  options: Omit<Parameters<typeof readWhole>[1], "target">,
): Promise<ManifestFile | undefined> {
  try {
    const { damagedBlock, ...facts } = await readWhole(join(from, path), { ...options, target: join(target, path) });
    if (damagedBlock !== null)
      throw new DbError(
        "DB_BACKUP_DAMAGED",
        `Block ${damagedBlock} in ${join(from, path)} does not have the checksum that PostgreSQL gave it.`,
        {
          fields: { path, block: damagedBlock },
        },
      );
    return { path: `${clusterFolder}/${path}`, ...facts };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The server writes it in place, as a whole; two readings that agree are one of its states. */
async function copyControlFile(from: string, target: string, clock: Clock): Promise<ManifestFile> {
  let last = await readFile(join(from, controlFile));
  for (let reads = 0; reads < controlReadsMax; reads += 1) {
    await sleep(clock, controlRereadMs);
    const again = await readFile(join(from, controlFile));
    if (again.equals(last)) return writeNew(target, controlFile, again);
    last = again;
  }
  throw new DbError("DB_BACKUP_INTERRUPTED", `${join(from, controlFile)} was written all the time.`);
}

/** Writes a small file of a backup, and says what it holds. */
async function writeNew(target: string, path: string, bytes: Buffer): Promise<ManifestFile> {
  const file = join(target, path);
  await writeFile(file, bytes, { mode: 0o600, flag: "wx" });
  const { size, sha256 } = await readWhole(file, {});
  return { path: `${clusterFolder}/${path}`, size, sha256 };
}

/** Runs `work` for all, a few at a time; the first failure ends it, after those under way. */
async function forEach<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const run = async (): Promise<void> => {
    while (next < all.length && !failed) {
      next += 1;
      try {
        await work(all[next - 1] as T);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: copiesAtOnce }, run));
  const broken = outcomes.find((outcome) => outcome.status === "rejected");
  if (broken !== undefined) throw broken.reason;
}
