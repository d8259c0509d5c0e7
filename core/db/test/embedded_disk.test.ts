/** A full disk, for real: a small file system in memory. Mounting it takes root; elsewhere this file has nothing to say. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { beginBackup } from "../src/backup/session.ts";
import { takeBackup } from "../src/backup/take_backup.ts";
import { type EmbeddedServer, startEmbedded } from "../src/embedded/embedded.ts";
import { sqlState } from "../src/errors.ts";
import { openClient } from "../src/pool.ts";

const directory = await mkdtemp(join(tmpdir(), "re-disk-"));
/** Tools of the system, not of the project. */
const [mountTool, unmountTool] = ["mount", "umount"] as const;
const mounted =
  process.geteuid?.() === 0 && spawnSync(mountTool, ["-t", "tmpfs", "-o", "size=60m,mode=755", "tmpfs", directory]).status === 0;
after(async () => {
  if (mounted) execFileSync(unmountTool, [directory]);
  await rm(directory, { recursive: true, force: true });
});

test("DB-6 DP-69 a full disk: refused with a reason, nothing committed is lost, and room is all that it needs", {
  skip: !mounted,
}, async () => {
  await chmod(directory, 0o755);
  const start = (): Promise<EmbeddedServer> =>
    startEmbedded({
      dataDir: join(directory, "d"),
      runtimeDir: join(directory, "r"),
      syncNewCluster: false,
      settings: { shared_buffers: "16MB", min_wal_size: "32MB" },
      telemetry: recordingTelemetry(),
      clock: systemClock,
      random: systemRandom,
    });
  await assert.rejects(start(), (error) => hasCode(error, "DB_DISK_FULL"), "too little to create a cluster");
  execFileSync(mountTool, ["-o", "remount,size=200m", directory]);
  let server = await start();
  const client = await openClient(server.connection, "test");
  await client.query("CREATE TABLE kept (n int, filler text)");
  const fill = join(directory, "fill");
  spawnSync("dd", ["if=/dev/zero", `of=${fill}`, "bs=1M"]);
  let kept = 0;
  await assert.rejects(
    async () => {
      for (;;) {
        await client.query("INSERT INTO kept SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n");
        kept += 2000;
      }
    },
    (error) => sqlState(error) !== undefined || error instanceof Error,
  );
  await client.end().catch(() => {});
  await server.stop("immediate");
  await assert.rejects(start(), (error) => hasCode(error, "DB_DISK_FULL"), "too little to start");
  await writeFile(fill, "");
  server = await start();
  const again = await openClient(server.connection, "test");
  assert.equal((await again.query<{ n: number }>("SELECT count(*) AS n FROM kept")).rows[0]?.n, kept);
  await again.end();
  // A backup that has no room leaves nothing.
  const backup = await mkdtemp(join(tmpdir(), "re-disk-"));
  execFileSync(mountTool, ["-t", "tmpfs", "-o", "size=10m,mode=700", "tmpfs", backup]);
  const making = takeBackup({
    ...{ directory: backup, begin: () => beginBackup(server.connection), release: "test", said: () => undefined },
    ...{ beside: () => Promise.resolve({ files: [], stillHolds: () => Promise.resolve(true) }) },
    ...{ clock: systemClock, signal: new AbortController().signal },
  });
  await assert.rejects(making, (error) => (error as NodeJS.ErrnoException).code === "ENOSPC");
  const left = await readdir(backup);
  execFileSync(unmountTool, [backup]);
  await rm(backup, { recursive: true });
  assert.deepEqual(left, []);
  await server.stop("immediate");
});
