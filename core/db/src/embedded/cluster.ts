/**
 * Why it exists: a data directory is either ours and whole, or empty, or to be left alone.
 * Enforces: initdb with checksums, UTF-8, a collation that no library update can change, scram passwords; the major version; room on disk.
 * Forbids: passwords in argv; creating a cluster over files that we do not know.
 */
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diskFacts } from "ransomeye-kernel";
import { DbError } from "../errors.ts";
import { superuserName } from "../secrets.ts";
import type { Binaries } from "./binaries.ts";
import { runTool } from "./processes.ts";
import type { RunAs } from "./run_as.ts";

/** A new cluster with its first log segments, and some room to breathe. */
const createBytesMin = 160 * 1024 * 1024;
/** Below this a server that failed to start has most likely failed for want of room. */
export const startBytesMin: number = 32 * 1024 * 1024;

/** `ready` to start, or `empty` and to be created. */
export type ClusterState = "ready" | "empty";

/**
 * Judges the directory for binaries of `major`.
 * @throws DbError DB_DATA_DIR_OTHER_MAJOR, DB_DATA_DIR_INCOMPLETE, DB_DATA_DIR_UNUSABLE
 */
export async function inspectCluster(directory: string, major: number): Promise<ClusterState> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    throw new DbError("DB_DATA_DIR_UNUSABLE", `${directory} cannot be read.`, { cause: error });
  }
  // A file system of its own brings this directory along.
  if (names.every((name) => name === "lost+found")) return "empty";
  const version = names.includes("PG_VERSION") ? (await readFile(join(directory, "PG_VERSION"), "utf8")).trim() : "";
  if (version === "") throw new DbError("DB_DATA_DIR_INCOMPLETE", `${directory} has files, but no PG_VERSION.`);
  if (version !== String(major)) {
    throw new DbError("DB_DATA_DIR_OTHER_MAJOR", `${directory} was made by PostgreSQL ${version}, and this is ${major}.`, {
      fields: { found: version, wanted: major },
    });
  }
  // initdb makes global/pg_control and template0 early, and leaves nothing behind when it fails; a kill -9 in between leaves no template.
  if (!names.includes("global") || !(await readdir(join(directory, "global"))).includes("pg_control")) {
    throw new DbError("DB_DATA_DIR_INCOMPLETE", `${directory} has no global/pg_control.`);
  }
  if (!names.includes(completeName)) throw new DbError("DB_DATA_DIR_INCOMPLETE", `The creation of ${directory} was interrupted.`);
  return "ready";
}

/** Written into the cluster as the last act of its creation: initdb itself has no such mark, and a kill -9 would go unseen. */
export const completeName = "ransomeye.complete";

/** What {@link createCluster} needs. */
export interface CreateOptions {
  readonly directory: string;
  readonly runtimeDir: string;
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  readonly password: string;
  /** Only a test may leave out the flush to disk of the new cluster. */
  readonly sync: boolean;
}

/**
 * Creates the cluster. It is built beside nothing else: on failure initdb removes what it made.
 * @throws DbError DB_DISK_FULL, DB_INITDB_FAILED
 */
export async function createCluster(options: CreateOptions): Promise<void> {
  const { directory, binaries, runAs } = options;
  const { freeBytes } = await diskFacts(directory);
  if (freeBytes < createBytesMin) {
    throw new DbError("DB_DISK_FULL", `${directory} has ${freeBytes} bytes free, and a new cluster wants ${createBytesMin}.`, {
      fields: { free_bytes: freeBytes },
    });
  }
  const passwordDirectory = await mkdtemp(join(options.runtimeDir, "init-"));
  try {
    const passwordFile = join(passwordDirectory, "password");
    // Exclusive and closed while the directory is still ours alone; handed over afterwards.
    await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600, flag: "wx" });
    if (runAs.changed) {
      await chown(passwordFile, runAs.uid, runAs.gid);
      await chown(passwordDirectory, runAs.uid, runAs.gid);
    }
    const result = await runTool(
      binaries.initdb,
      [
        `--pgdata=${directory}`,
        `--username=${superuserName}`,
        `--pwfile=${passwordFile}`,
        "--auth-local=scram-sha-256",
        "--auth-host=reject",
        "--data-checksums",
        "--encoding=UTF8",
        "--text-search-config=english",
        // The builtin provider sorts by code point: an update of the system's libraries cannot corrupt an index.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        ...(options.sync ? [] : ["--no-sync"]),
      ],
      { runAs, environment: binaries.environment },
    );
    if (result.code !== 0) await failed(directory, result.output);
    const mark = await runTool("touch", [join(directory, completeName)], { runAs });
    if (mark.code !== 0) await failed(directory, mark.output);
  } finally {
    await rm(passwordDirectory, { recursive: true, force: true });
  }
}

async function failed(directory: string, output: string): Promise<never> {
  const { freeBytes } = await diskFacts(directory);
  const code = freeBytes < startBytesMin ? "DB_DISK_FULL" : "DB_INITDB_FAILED";
  throw new DbError(code, `initdb in ${directory} failed: ${output}`, { fields: { free_bytes: freeBytes } });
}
