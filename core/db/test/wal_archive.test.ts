/** Points in time: the log of changes goes to an archive whole and once, and leads a backup to any moment behind its end. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { restoreCluster } from "../src/backup/restore_cluster.ts";
import { beginBackup } from "../src/backup/session.ts";
import { takeBackup } from "../src/backup/take_backup.ts";
import { type RecoveryGoal, withRecovery } from "../src/backup/recovery.ts";
import { archiveSettings } from "../src/backup/wal_archive.ts";
import { type EmbeddedServer, startEmbedded } from "../src/embedded/embedded.ts";
import { type Client, openClient } from "../src/pool.ts";

const directory = await mkdtemp(join(tmpdir(), "re-archive-"));
await chmod(directory, 0o711);
const servers: EmbeddedServer[] = [];
after(async () => {
  for (const server of servers) await server.stop("immediate");
  await rm(directory, { recursive: true, force: true, maxRetries: 20 });
});

/** A name that a shell, a configuration file and PostgreSQL's placeholders would each read in their own way. */
const awkward = join(directory, 'it\'s 100%f "wal" $HOME');

async function start(name: string, walArchiveDir?: string): Promise<EmbeddedServer> {
  const server = await startEmbedded({
    ...{ dataDir: join(directory, name), runtimeDir: join(directory, `${name}.r`), syncNewCluster: false },
    ...{
      settings: { shared_buffers: "16MB", max_connections: "20" },
      telemetry: recordingTelemetry(),
      clock: systemClock,
      random: systemRandom,
    },
    ...(walArchiveDir === undefined ? {} : { walArchiveDir }),
  });
  servers.push(server);
  return server;
}

async function rows(client: Client): Promise<number[]> {
  return (await client.query<{ n: number }>("SELECT n FROM kept ORDER BY n")).rows.map(({ n }) => n);
}

/** Waits until everything so far is in the archive. */
async function archived(client: Client): Promise<void> {
  const { rows: switched } = await client.query<{ file: string }>("SELECT pg_walfile_name(pg_current_wal_lsn()) AS file, pg_switch_wal()");
  for (;;) {
    const { rows: last } = await client.query<{ done: boolean }>(
      "SELECT coalesce(last_archived_wal >= $1, false) AS done FROM pg_stat_archiver",
      [switched[0]?.file],
    );
    if (last[0]?.done === true) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("DP-67 R-5 a backup and the archive lead to any moment behind the backup's end, on a timeline of its own, and the archive goes on with it", async () => {
  const server = await start("a", awkward);
  const client = await openClient(server.connection, "test");
  await client.query("CREATE TABLE kept (n int)");
  await client.query("INSERT INTO kept VALUES (1)");
  const backup = join(directory, "backup");
  await takeBackup({
    ...{ directory: backup, begin: () => beginBackup(server.connection), release: "test", said: () => undefined },
    ...{ beside: () => Promise.resolve({ files: [], stillHolds: () => Promise.resolve(true) }) },
    ...{ clock: systemClock, signal: new AbortController().signal },
  });
  await client.query("INSERT INTO kept VALUES (2)");
  await client.query("SELECT pg_sleep(0.05)");
  const { rows: moments } = await client.query<{ at: string }>(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS at",
  );
  await client.query("SELECT pg_sleep(0.05)");
  await client.query("INSERT INTO kept VALUES (3)");
  await archived(client);
  await client.query("INSERT INTO kept VALUES (4)");
  await client.end();
  // The disk is gone with what was not archived yet.
  await server.stop("immediate");

  const restored = async (name: string, goal: RecoveryGoal, archive?: string): Promise<number[]> => {
    const dataDir = join(directory, name);
    await mkdir(join(dataDir, "secrets"), { recursive: true, mode: 0o700 });
    await chmod(dataDir, 0o711);
    await writeFile(join(dataDir, "secrets", "database.json"), await readFile(join(directory, "a", "secrets", "database.json")), {
      mode: 0o600,
    });
    await restoreCluster({ backup, dataDir, goal, random: systemRandom });
    const again = await openClient((await start(name, archive)).connection, "test");
    const found = await rows(again);
    await again.query("INSERT INTO kept VALUES (100)");
    if (archive !== undefined) await archived(again);
    await again.end();
    return found;
  };
  const before = await readdir(awkward);
  assert.deepEqual(await restored("to-a-moment", { wal: awkward, until: moments[0]?.at ?? "" }, awkward), [1, 2]);
  const added = (await readdir(awkward)).filter((name) => !before.includes(name));
  assert.ok(added.length > 0 && added.every((name) => name.startsWith("00000002")), `another history has other names: ${added.join(" ")}`);
  for (const name of before) assert.ok((await stat(join(awkward, name))).size > 0);
  assert.deepEqual(
    (await readdir(awkward)).filter((name) => name.endsWith(".part")),
    [],
  );
  const first = await readdir(awkward);
  assert.deepEqual(await restored("backup-alone", { archive: awkward }, awkward), [1]);
  const second = (await readdir(awkward)).filter((name) => !first.includes(name));
  assert.ok(
    second.length > 0 && second.every((name) => name.startsWith("00000003")),
    `a second restore has a name of its own: ${second.join(" ")}`,
  );
  assert.deepEqual(await restored("without", {}), [1]);
  const closed = join(directory, "closed");
  await mkdir(closed);
  await chmod(closed, 0);
  await assert.rejects(restored("closed-archive", { wal: closed }), (error) => hasCode(error, "DB_ARCHIVE_UNUSABLE"));
  await assert.rejects(
    restored("too-far", { wal: awkward, until: "2999-01-01T00:00:00Z" }),
    (error) => hasCode(error, "DB_SERVER_START_FAILED") && /before configured recovery target/.test(error.message),
  );
});

test("DP-67 a file of the log is archived whole and once: the same again is done, another is refused, and nothing half is left", async () => {
  const archive = join(directory, "by hand");
  await mkdir(archive);
  const file = join(directory, "segment");
  const run = (): number | null => {
    const command = archiveSettings(archive)["archive_command"] ?? "";
    const line = command.replaceAll(/%[pf%]/g, (word) => ({ "%p": file, "%f": "000000010000000000000001", "%%": "%" })[word] ?? "");
    return spawnSync("/bin/sh", ["-c", line]).status;
  };
  await writeFile(file, "first");
  assert.equal(run(), 0);
  assert.equal(run(), 0, "its answer was lost");
  await writeFile(file, "another");
  assert.notEqual(run(), 0);
  assert.deepEqual(
    [await readdir(archive), await readFile(join(archive, "000000010000000000000001"), "utf8")],
    [["000000010000000000000001"], "first"],
  );
  await rm(file);
  await rm(join(archive, "000000010000000000000001"));
  assert.notEqual(run(), 0);
  assert.deepEqual(await readdir(archive), []);
});

test("DP-67 an archive that the server's user cannot write to is no start; settings of an earlier restore are replaced", async () => {
  const file = join(directory, "no directory");
  await writeFile(file, "");
  await assert.rejects(start("refused", join(file, "below")), (error) => hasCode(error, "DB_ARCHIVE_UNUSABLE"));
  const once = withRecovery("work_mem = '8MB'", { wal: "/a", until: "2026-01-01T00:00:00Z" });
  const twice = withRecovery(once, {});
  assert.match(once, /^work_mem = '8MB'\n#[\s\S]*recovery_target_time = '2026-01-01T00:00:00\+00'/);
  assert.equal(twice, withRecovery("work_mem = '8MB'\n", {}));
  assert.doesNotMatch(twice, /recovery_target_time/);
});
