/**
 * Why it exists: where the cluster and its socket lie depends on who runs what and on how long a path may be.
 * Enforces: private directories, owned by whom we expect; the 107 byte limit of socket paths; no link of another user's is followed.
 * Forbids: putting a socket into the data directory (its path may be any length), or a cluster where its user cannot enter.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, lstat, mkdir, readlink, realpath, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Random } from "ransomeye-kernel";
import { DbError } from "../errors.ts";
import { makeSystemDirectory, systemDirectory } from "./binaries.ts";
import type { RunAs } from "./run_as.ts";

/** Longest path of a unix socket: sun_path is 108 bytes with its end (104 on macOS and the BSDs). */
export const socketPathBytesMax: number = process.platform === "linux" ? 107 : 103;

/**
 * Makes (or finds) the runtime directory of an existing data directory: short, private, and the same at every start, whichever link led
 * to the data. It is not below /run/user, which vanishes at log-out under a system that goes on running, nor in TMPDIR, which may be long.
 * `parent` is the folder that a service manager has made for this service (systemd's RuntimeDirectory=); without one it is /tmp.
 * @throws DbError DB_RUNTIME_DIR_UNSAFE
 */
export async function makeRuntimeDirectory(dataDir: string, parent?: string): Promise<string> {
  const digest = createHash("sha256")
    .update(await realpath(dataDir))
    .digest("hex")
    .slice(0, 12);
  const path =
    parent === undefined ? join(existsSync("/tmp") ? "/tmp" : tmpdir(), `ransomeye-${ourselves().uid}-${digest}`) : join(parent, digest);
  await ownDirectory(path, { ...ourselves(), mode: 0o700 });
  return path;
}

function ourselves(): { readonly uid: number; readonly gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/**
 * Makes the runtime directory and the server's socket directory in it, `pg`. As root the first is entered by the server's group and
 * listed by nobody, the second belongs to the server's user.
 * @throws DbError DB_RUNTIME_DIR_UNSAFE, DB_SOCKET_PATH_TOO_LONG
 */
export async function makeSocketDirectory(runtimeDir: string, runAs: RunAs, port: number): Promise<string> {
  const socketDirectory = join(runtimeDir, "pg");
  const socket = join(socketDirectory, `.s.PGSQL.${port}`);
  if (Buffer.byteLength(socket) > socketPathBytesMax) {
    throw new DbError("DB_SOCKET_PATH_TOO_LONG", `${socket} is longer than ${socketPathBytesMax} bytes.`);
  }
  await ownDirectory(runtimeDir, { uid: ourselves().uid, gid: runAs.gid, mode: runAs.changed ? 0o710 : 0o700 });
  await ownDirectory(socketDirectory, { uid: runAs.uid, gid: runAs.gid, mode: 0o700 });
  return socketDirectory;
}

/** Makes a directory with that owner and mode, or asserts that what is there is a directory of that owner (or still ours) and closes it. */
async function ownDirectory(path: string, wanted: { uid: number; gid: number; mode: number }): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700, recursive: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw new DbError("DB_RUNTIME_DIR_UNSAFE", `The directory ${path} cannot be made.`, { cause: error });
    }
  }
  const facts = await lstat(path);
  if (process.platform === "win32") return;
  const { uid } = ourselves();
  if (!facts.isDirectory() || (facts.uid !== wanted.uid && facts.uid !== uid)) {
    throw new DbError("DB_RUNTIME_DIR_UNSAFE", `${path} is not a directory of user id ${wanted.uid}.`);
  }
  // One that others may list or write is somebody's own (such as /run), and not ours to close.
  if ((facts.mode & 0o067) !== 0)
    throw new DbError("DB_RUNTIME_DIR_UNSAFE", `${path} is open to others (mode ${(facts.mode & 0o777).toString(8)}).`);
  if (facts.uid !== wanted.uid || (facts.gid !== wanted.gid && uid === 0)) await chown(path, wanted.uid, wanted.gid);
  await chmod(path, wanted.mode);
}

/** The owner of an existing cluster (through the link, if it is one), or undefined where there is none yet. */
export async function clusterOwner(dataDir: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(join(dataDir, "postgres", "PG_VERSION"));
    return { uid, gid };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new DbError("DB_DATA_DIR_UNUSABLE", `${join(dataDir, "postgres")} cannot be read.`, { cause: error });
  }
}

/**
 * Makes (or finds) the cluster's directory, and gives its real path. It is `postgres/` in the data directory; where the server's user
 * cannot enter that, a directory in /var/lib/ransomeye with `postgres` linked to it and a note beside the link.
 * @throws DbError DB_DATA_DIR_UNUSABLE
 */
export async function makeClusterDirectory(dataDir: string, runAs: RunAs, random: Random): Promise<string> {
  const path = join(dataDir, "postgres");
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const target = await readlink(path).catch(() => undefined);
    if (target !== undefined) return await realpath(path);
    const reachable = await canEnter(await realpath(dirname(resolve(dataDir))), runAs);
    if (runAs.changed && !reachable) return await makeElsewhere(path, runAs, random);
    // The server's group may pass through the data directory, without listing it; everything else in it is 0600 or 0700 of its own.
    if (!(await canEnter(await realpath(dataDir), runAs))) {
      const { uid, mode } = await stat(dataDir);
      await chown(dataDir, uid, runAs.gid);
      await chmod(dataDir, (mode & 0o777) | 0o010);
    }
    await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    });
    const facts = await lstat(path);
    if (runAs.changed && facts.isDirectory() && facts.uid === 0) await chown(path, runAs.uid, runAs.gid);
    return await realpath(path);
  } catch (error) {
    if (error instanceof DbError) throw error;
    throw new DbError("DB_DATA_DIR_UNUSABLE", `${path} cannot be made or entered.`, { cause: error });
  }
}

/** True if the mode bits let `runAs` pass through `path` and every directory above it. Access lists are not looked at: no is safe. */
export async function canEnter(path: string, runAs: RunAs): Promise<boolean> {
  if (!runAs.changed) return true;
  for (let at = path; ; at = dirname(at)) {
    const { uid, gid, mode } = await stat(at);
    const bit = uid === runAs.uid ? 0o100 : gid === runAs.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function makeElsewhere(path: string, runAs: RunAs, random: Random): Promise<string> {
  // A random name, not one made from the path: a data directory that was deleted and made anew must not find old passwords' cluster.
  const elsewhere = join(systemDirectory, `cluster-${random.bytes(8).toString("hex")}`);
  await makeSystemDirectory();
  await mkdir(elsewhere, { mode: 0o700 });
  await chown(elsewhere, runAs.uid, runAs.gid);
  await symlink(elsewhere, path);
  await writeFile(
    `${path}.note.txt`,
    `The database cluster of this data directory lies in ${elsewhere}:\nPostgreSQL runs as user ${runAs.name}, who cannot enter ${dirname(path)}.\nTo remove everything, delete both.\n`,
    { mode: 0o600 },
  );
  return elsewhere;
}
