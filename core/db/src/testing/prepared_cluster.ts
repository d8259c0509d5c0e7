/**
 * Why it exists: each test file and each system under test begins with a cluster and a prepared database, and making them takes longer than most tests do.
 * Enforces: they are made once, by the code that makes real ones, and copied: a copy is of this very code, these binaries, this user and this day. What is half made is never
 * copied: a cluster gets its name in one step, when it is whole.
 * Forbids: use by anything but tests, and by tests that need a server's own identity or its first moments: they make their own.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { packageRoot } from "../embedded/binaries.ts";
import { startEmbedded } from "../embedded/embedded.ts";
import { runTool } from "../embedded/processes.ts";
import { utcDay } from "../partitions.ts";
import { prepareDatabase } from "../prepare.ts";

/** Of another day or other code; a copy that is being made takes a moment. */
const oldMs = 3_600_000;
/** What a cluster is made by: compiled code of this room, and its migrations; its package.json names the very version of the programs. */
const makers = ["dist/src", "dist/ownership", "migrations"] as const;
/** As few files of the write-ahead log as may be: they are most of what is copied. */
const settings = { shared_buffers: "32MB", min_wal_size: "32MB", max_wal_size: "32MB" } as const;

/**
 * Puts a cluster with a prepared database (`ransomeye`), and the file with its passwords, into an empty data directory, so that `startEmbedded` finds both.
 * False: there is no place where one could be kept, and nothing was done.
 */
export async function copyPreparedCluster(dataDir: string): Promise<boolean> {
  const made = await preparedCluster();
  if (made === undefined) return false;
  // With owners and modes: as root the cluster belongs to somebody else. An archive, for single files are copied several times more slowly than they are written.
  await tar("--extract", "--same-permissions", `--file=${made}`, `--directory=${dataDir}`);
  return true;
}

/** The one that is kept; made if there is none. */
async function preparedCluster(): Promise<string | undefined> {
  const place = join(packageRoot(), "..", "..", "node_modules", ".cache", "ransomeye-test-clusters");
  const wanted = join(place, `${await makersHash()}.tar`);
  if (existsSync(wanted)) return wanted;
  try {
    await mkdir(place, { recursive: true, mode: 0o700 });
    await access(place, constants.W_OK);
  } catch {
    return undefined;
  }
  await removeOld(place);
  const made = join(place, `being-made-${process.pid}.tar`);
  try {
    await makeCluster(made);
    await rename(made, wanted);
  } finally {
    await rm(made, { force: true });
  }
  return wanted;
}

async function makersHash(): Promise<string> {
  const hash = createHash("sha256");
  hash.update(`${utcDay(systemClock.nowUs())} ${process.getuid?.()}\n`);
  const files = [join(packageRoot(), "package.json")];
  for (const maker of makers) {
    for (const entry of await readdir(join(packageRoot(), maker), { recursive: true, withFileTypes: true }))
      if (entry.isFile() && /\.(?:js|sql)$/.test(entry.name)) files.push(join(entry.parentPath, entry.name));
  }
  for (const file of files.toSorted()) hash.update(`${file}\n`).update(await readFile(file));
  return hash.digest("hex").slice(0, 32);
}

/** A cluster as a start makes it, in a directory that the server's user can enter. */
async function makeCluster(archive: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "re-prepared-"));
  try {
    await chmod(directory, 0o711);
    const dataDir = join(directory, "d");
    const server = await startEmbedded({
      dataDir,
      runtimeDir: join(directory, "r"),
      syncNewCluster: false,
      settings,
      telemetry: recordingTelemetry(),
      clock: systemClock,
      random: systemRandom,
    });
    try {
      await prepareDatabase({
        connection: server.connection,
        secretsFile: join(dataDir, "secrets", "database.json"),
        telemetry: recordingTelemetry(),
        clock: systemClock,
        random: systemRandom,
      });
    } finally {
      await server.stop("fast");
    }
    await rm(join(dataDir, "logs"), { recursive: true, force: true });
    await tar("--create", `--file=${archive}`, `--directory=${dataDir}`, ".");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function tar(...args: readonly string[]): Promise<void> {
  const { code, output } = await runTool("tar", args);
  if (code !== 0) throw new Error(`a prepared cluster cannot be kept or copied: ${output}`);
}

async function removeOld(place: string): Promise<void> {
  for (const name of await readdir(place)) {
    const facts = await stat(join(place, name)).catch(() => undefined);
    if (facts !== undefined && systemClock.nowUs() / 1000 - facts.ctimeMs > oldMs)
      await rm(join(place, name), { recursive: true, force: true });
  }
}
