/**
 * Why it exists: not everything in a data directory belongs into a backup, and some of it would do harm there.
 * Enforces: PostgreSQL's own list of what a low-level base backup leaves out ("Making a Base Backup Using the Low Level API"): what belongs to the running
 * server alone, other servers' slots, temporary files, unlogged tables, which a recovery empties. Their directories stay, empty.
 * Forbids: following links: an embedded cluster has no tablespace beside it.
 */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { DbError } from "../errors.ts";
import { pagesPerFile } from "./page_checksum.ts";

/** Directories whose content is left out. */
const emptied: ReadonlySet<string> = new Set([
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);
/** Inside the log's directory a server wants these. */
const kept: readonly string[] = ["pg_wal/archive_status", "pg_wal/summaries"];

const leftOut: ReadonlySet<string> = new Set([
  "postmaster.pid",
  "postmaster.opts",
  "backup_label",
  "backup_label.old",
  "tablespace_map",
  "tablespace_map.old",
  "backup_manifest",
  "recovery.signal",
  "standby.signal",
  "current_logfiles",
  "current_logfiles.tmp",
  "postgresql.auto.conf.tmp",
]);

/** Written last at a restore, so that an interrupted one is never taken for a cluster. */
export const controlFile = "global/pg_control";

/** What a cluster's directory holds for a backup, by paths relative to it; files in an order without meaning. */
export interface ClusterListing {
  readonly directories: readonly string[];
  readonly files: readonly string[];
}

/** @throws DbError DB_BACKUP_UNSUPPORTED for a cluster with tablespaces of its own */
export async function listCluster(directory: string): Promise<ClusterListing> {
  const directories: string[] = [];
  const files: string[] = [];
  const visit = async (relative: string): Promise<void> => {
    // A database that is dropped meanwhile takes its directory along.
    const entries = await readdir(join(directory, relative), { withFileTypes: true }).catch(unlessGone);
    if (entries === undefined) return;
    if (relative !== "") directories.push(relative);
    if (emptied.has(relative)) return;
    const unlogged = new Set(entries.flatMap(({ name }) => /^(\d+)_init(\.\d+)?$/.exec(name)?.[1] ?? []));
    for (const entry of entries) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (isTemporary(entry.name) || (relative === "" && leftOut.has(entry.name))) continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isSymbolicLink())
        throw new DbError("DB_BACKUP_UNSUPPORTED", `${join(directory, path)} is a link: what it names lies outside of the data directory.`);
      else if (entry.isFile() && !isUnlogged(entry.name, unlogged)) files.push(path);
    }
  };
  await visit("");
  for (const path of kept) if ((await lstat(join(directory, path)).catch(unlessGone))?.isDirectory()) directories.push(path);
  return { directories, files };
}

function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw error;
}

function isTemporary(name: string): boolean {
  return name.startsWith("pgsql_tmp") || name.startsWith("pg_internal.init") || /^t\d+_\d+/.test(name);
}

/** All forks but the one that a recovery begins again from. */
function isUnlogged(name: string, unlogged: ReadonlySet<string>): boolean {
  const parts = /^(\d+)(_(?!init)[a-z]+)?(\.\d+)?$/.exec(name);
  return parts !== null && unlogged.has(parts[1] ?? "");
}

/** The number of the first block in a file of pages; undefined for a file that holds none. */
export function firstBlockOf(path: string): number | undefined {
  const parts = /^(?:base\/\d+|global)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/.exec(path);
  return parts === null ? undefined : Number(parts[1] ?? 0) * pagesPerFile;
}
