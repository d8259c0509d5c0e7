/**
 * Why it exists: a backup's copy of a data directory becomes one that the next start recovers.
 * Enforces: every byte is held against the manifest while it is copied; the server's own user gets it, wherever that user can reach it; the mark without which no start
 * takes a directory for a cluster is written last, after everything is flushed.
 * Forbids: writing over anything; starting a server.
 */
import { chown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Random, syncDirectory, writeFileAtomic } from "ransomeye-kernel";
import { completeName } from "../embedded/cluster.ts";
import { makeClusterDirectory } from "../embedded/places.ts";
import { chooseRunAs, type RunAs } from "../embedded/run_as.ts";
import { DbError } from "../errors.ts";
import { clusterFolder, syncTree } from "./copy_cluster.ts";
import { type BackupManifest, type ManifestFile, readManifest } from "./manifest.ts";
import { type RecoveryGoal, recoverySignal, settingsName, withRecovery } from "./recovery.ts";
import { readVerified } from "./verify.ts";
import { assertReadable } from "./wal_archive.ts";

/** What {@link restoreCluster} needs. */
export interface RestoreOptions {
  /** The backup's directory. */
  readonly backup: string;
  /** RansomEye's data directory, in which there is no cluster yet. */
  readonly dataDir: string;
  readonly goal: RecoveryGoal;
  readonly random: Random;
}

/** Where the cluster lies now, and whose it is. */
export interface RestoredCluster {
  readonly manifest: BackupManifest;
  readonly clusterDirectory: string;
  readonly runAs: string;
}

/** @throws DbError DB_BACKUP_INCOMPLETE, DB_BACKUP_DAMAGED, DB_BACKUP_TARGET, DB_ARCHIVE_UNUSABLE, DB_RUNAS_UNAVAILABLE, DB_DATA_DIR_UNUSABLE */
export async function restoreCluster({ backup, dataDir, goal, random }: RestoreOptions): Promise<RestoredCluster> {
  const manifest = await readManifest(backup);
  const runAs = await chooseRunAs(undefined);
  if (goal.wal !== undefined) await assertReadable(goal.wal, runAs);
  const directory = await makeClusterDirectory(dataDir, runAs, random);
  if ((await readdir(directory)).length > 0) throw new DbError("DB_BACKUP_TARGET", `${directory} is not empty.`);
  for (const path of manifest.directories) await mkdir(join(directory, path), { recursive: true, mode: 0o700 });
  const prefix = `${clusterFolder}/`;
  const files = manifest.files.filter(({ path }) => path.startsWith(prefix) && path !== `${prefix}${completeName}`);
  const target = ({ path }: ManifestFile): string => path.slice(prefix.length);
  for (const file of files) await readVerified(backup, file, manifest, { target: join(directory, target(file)) });
  const settings = await readFile(join(directory, settingsName), "utf8").catch(() => "");
  await rm(join(directory, settingsName), { force: true });
  await writeFileAtomic(join(directory, settingsName), withRecovery(settings, goal), 0o600);
  await writeFileAtomic(join(directory, recoverySignal), "", 0o600);
  await handOver(directory, runAs);
  await syncTree(directory, files.map(target), manifest.directories);
  const complete = join(directory, completeName);
  await writeFile(complete, "", { mode: 0o600, flag: "wx" });
  if (runAs.changed) await chown(complete, runAs.uid, runAs.gid);
  await syncDirectory(directory);
  return { manifest, clusterDirectory: directory, runAs: runAs.name };
}

/** Everything in the cluster is the server's. */
async function handOver(directory: string, runAs: RunAs): Promise<void> {
  if (!runAs.changed) return;
  for (const path of await readdir(directory, { recursive: true })) await chown(join(directory, path), runAs.uid, runAs.gid);
}
