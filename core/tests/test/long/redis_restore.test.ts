/**
 * Why: with the log on servers of its own a restored database finds a log that is ahead of it: nothing may be lost by that, or stored twice.
 * Enforces: DP-66, R-2: the engine goes on from the place that the database remembers; what was stored after the backup is stored again, once; whom the restore has made
 * active again the servers still bar.
 * Forbids: looking at anything but the system's own commands and rows.
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { startRedis } from "ransomeye-pipeline/testing";
import { loadIdentity, openProducer } from "ransomeye-sdk";
import { numberedEvent } from "../../src/crash/numbered_events.ts";
import { numberedRows } from "../../src/crash/numbered_rows.ts";
import { RunningSystem } from "../../src/harness/running_system.ts";

const linesPerCall = 100;
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

/** A system with its log on a server, a producer on another host, and a backup of it that events have followed. */
interface Stage {
  readonly system: RunningSystem;
  readonly redis: Awaited<ReturnType<typeof startRedis>>;
  readonly handed: () => number;
  /** Hands events over; they wait in the producer's spool. */
  readonly send: (lines: number) => Promise<void>;
  readonly stored: () => Promise<unknown>;
  /** Everything of the data directory is lost, and comes from the backup. */
  readonly restore: () => Promise<void>;
}

async function withBackup(flags: readonly string[], work: (stage: Stage) => Promise<void>): Promise<void> {
  const elsewhere = await mkdtemp(join(tmpdir(), "re-elsewhere-"));
  const redis = await startRedis();
  try {
    await using system = await RunningSystem.start(["--bus", redis.url, ...flags], { RANSOMEYE_BUS_URL: "" });
    const enrol = async (name: string): Promise<string> => {
      const out = join(elsewhere, name);
      assert.equal((await system.run("producer", "enroll", name, "--kind", "linux", "--out", out)).exitCode, 0);
      return out;
    };
    const identity = await loadIdentity(await enrol("remote"));
    await enrol("dismissed");
    await using producer = await openProducer({
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
    };
    const stored = (): Promise<unknown> => producer.drain("stored");
    await send(2000);
    await stored();
    const backup = join(elsewhere, "backup");
    assert.equal((await system.run("backup", "create", backup)).exitCode, 0);
    await send(1000);
    await stored();
    const restore = async (): Promise<void> => {
      for (const name of await readdir(system.dataDir))
        await rm(join(system.dataDir, name), { recursive: true, force: true, maxRetries: 20 });
      const restored = await system.run("backup", "restore", backup);
      assert.equal(restored.exitCode, 0, restored.stderr);
    };
    await work({ system, redis, handed: () => handed, send, stored, restore });
  } finally {
    await redis.close();
    await rm(elsewhere, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** What became of everything: `lost` is what a gap has to say. */
async function assertBooks({ system, handed }: Stage, lost: number): Promise<void> {
  const audit = await system.json<{ balanced: boolean; stored: number; gaps_by_reason: Record<string, number> }>(
    "audit",
    "--wait-idle",
    "60",
  );
  assert.deepEqual([audit.balanced, audit.stored, audit.gaps_by_reason], [true, handed() - lost, lost === 0 ? {} : { server_lost: lost }]);
  const rows = await numberedRows(system.dataDir, handed());
  assert.deepEqual([rows.lost, rows.duplicated, rows.outOfOrder], [lost, 0, 0]);
}

test("DP-66 R-2 R-5 a database from a backup under a log that is ahead of it: everything behind the backup is stored again, once", () =>
  withBackup([], async (stage) => {
    const { system } = stage;
    for (const verb of ["suspend", "resume", "revoke"])
      assert.equal((await system.run("producer", verb, "dismissed", ...(verb === "resume" ? [] : ["--reason", "left"]))).exitCode, 0, verb);
    assert.equal(await system.stop(), 0);
    await stage.restore();
    await system.startAgain();
    await stage.send(500);
    await stage.stored();
    await assertBooks(stage, 0);
    const looked = await system.run("reconcile");
    assert.equal(looked.exitCode, 0, looked.stdout);
    assert.match(await readFile(join(system.dataDir, "logs", "registry.log"), "utf8"), /registry_was_behind/);
  }));

test("DP-66 R-2 R-5 a log that has let go of what a restored database lacks stops in words; made anew, it loses what no producer holds and doubles nothing", () =>
  withBackup(["--set", "bus.keep_ms_max=1000"], async (stage) => {
    const { system, redis } = stage;
    const logs = (await redis.client().keys("*:log")).filter((key) => /\.\d+\}:log$/.test(key));
    assert.ok(logs.length > 0);
    const left = async (): Promise<number> =>
      (await Promise.all(logs.map((key) => redis.client().xlen(key)))).reduce((sum, n) => sum + n, 0);
    while ((await left()) > 1) await pause();
    assert.equal(await system.stop(), 0);
    await stage.restore();
    await system.startAgain();
    await stage.send(500);
    const said = (): Promise<string> => readFile(join(system.dataDir, "logs", "engine.log"), "utf8").catch(() => "");
    while (!/"partition_stopped".*BUS_TRIMMED.*--after-loss/.test(await said())) await pause();
    await system.kill("supervisor");
    await system.startAgain(["--after-loss", "--set", "bus.key_prefix=again"]);
    await stage.stored();
    await assertBooks(stage, 1000);
  }));
