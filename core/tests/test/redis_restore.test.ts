/**
 * Why: with the log on servers of its own a restored database finds a log that is ahead of it: nothing may be lost by that, or stored twice.
 * Enforces: DP-66, R-2: the engine goes on from the place that the database remembers; what was stored after the backup is stored again, once; whom the restore has made
 * active again the servers still bar.
 * Forbids: looking at anything but the system's own commands and rows.
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { startRedis } from "ransomeye-pipeline/testing";
import { loadIdentity, openProducer } from "ransomeye-sdk";
import { numberedEvent } from "../src/crash/numbered_events.ts";
import { numberedRows } from "../src/crash/numbered_rows.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

const linesPerCall = 100;

test("DP-66 R-2 R-5 a database from a backup under a log that is ahead of it: everything behind the backup is stored again, once", async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), "re-elsewhere-"));
  const redis = await startRedis();
  try {
    await using system = await RunningSystem.start(["--bus", redis.url], { RANSOMEYE_BUS_URL: "" });
    const enrol = async (name: string): Promise<string> => {
      const out = join(elsewhere, name);
      assert.equal((await system.run("producer", "enroll", name, "--kind", "linux", "--out", out)).exitCode, 0);
      return out;
    };
    const identity = await loadIdentity(await enrol("remote"));
    await enrol("dismissed");
    const producer = await openProducer({
      ...{ identity, spoolDir: join(elsewhere, "spool"), options: {} },
      gateway: { host: "127.0.0.1", port: (await system.runtime()).gateway.port },
      ...{ clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() },
    });
    let handed = 0;
    const send = async (lines: number): Promise<void> => {
      for (const end = handed + lines; handed < end; handed += linesPerCall)
        await producer.sendMany(
          Array.from({ length: linesPerCall }, (_, i) => Buffer.from(numberedEvent(handed + i + 1, i, OCSF_VERSION))),
        );
      await producer.drain("stored");
    };
    await send(2000);
    const backup = join(elsewhere, "backup");
    assert.equal((await system.run("backup", "create", backup)).exitCode, 0);
    await send(1000);
    for (const verb of ["suspend", "resume", "revoke"])
      assert.equal((await system.run("producer", verb, "dismissed", ...(verb === "resume" ? [] : ["--reason", "left"]))).exitCode, 0, verb);
    assert.equal(await system.stop(), 0);
    for (const name of await readdir(system.dataDir))
      await rm(join(system.dataDir, name), { recursive: true, force: true, maxRetries: 20 });
    const restored = await system.run("backup", "restore", backup);
    assert.equal(restored.exitCode, 0, restored.stderr);
    await system.startAgain();
    await send(500);
    await producer.close();
    const audit = await system.json<{ balanced: boolean; accepted: number; stored: number; gaps: number }>("audit", "--wait-idle", "60");
    assert.deepEqual([audit.balanced, audit.accepted, audit.stored, audit.gaps], [true, handed, handed, 0]);
    const rows = await numberedRows(system.dataDir, handed);
    assert.deepEqual([rows.lost, rows.duplicated, rows.outOfOrder], [0, 0, 0]);
    const looked = await system.run("reconcile");
    assert.equal(looked.exitCode, 0, looked.stdout);
  } finally {
    await redis.close();
    await rm(elsewhere, { recursive: true, force: true, maxRetries: 20 });
  }
});
