/**
 * Why: a backup is worth what comes back of it, on the real system, with producers that have gone on meanwhile.
 * Enforces: DP-60 to DP-66, R-5: a backup made under load, everything killed and deleted, the backup restored: what producers still hold comes again once, what they do not
 * is declared and shown, and what was sealed afterwards shows that the end is cut.
 * Forbids: looking at anything but the system's own commands and rows.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openReader } from "ransomeye";
import type { Report } from "ransomeye-evidence";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { loadIdentity, openProducer, type Producer } from "ransomeye-sdk";
import { numberedEvent } from "../../src/crash/numbered_events.ts";
import { numberedRows } from "../../src/crash/numbered_rows.ts";
import { RunningSystem } from "../../src/harness/running_system.ts";

const linesPerCall = 100;

interface Audit {
  readonly balanced: boolean;
  readonly accepted: number;
  readonly stored: number;
  readonly gaps: number;
  readonly gaps_by_reason: Readonly<Record<string, number>>;
}

/** A producer whose identity and spool lie on another host, so to say. */
async function remoteProducer(system: RunningSystem, elsewhere: string): Promise<Producer> {
  const out = join(elsewhere, "identity");
  assert.equal((await system.run("producer", "enroll", "remote", "--kind", "linux", "--out", out)).exitCode, 0);
  return openProducer({
    identity: await loadIdentity(out),
    gateway: { host: "127.0.0.1", port: (await system.runtime()).gateway.port },
    spoolDir: join(elsewhere, "spool"),
    options: {},
    clock: systemClock,
    random: systemRandom,
    telemetry: recordingTelemetry(),
  });
}

async function checked(system: RunningSystem, ...more: readonly string[]): Promise<Report> {
  const said = await system.run("evidence", "check", "--since", "1h", "--json", ...more);
  return JSON.parse(said.stdout) as Report;
}

/** Kills everything of a system at once, and waits until it is gone. */
async function killAll(system: RunningSystem): Promise<void> {
  const { supervisor, postgres, children } = await system.runtime();
  const pids = [supervisor.pid, postgres?.pid ?? 0, ...children.map(({ pid }) => pid)].filter((pid) => pid > 0);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const isThere = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  while (pids.some(isThere)) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("DP-60 DP-64 DP-66 R-2 R-5 X-6 a backup under load, everything lost, restored: what producers hold comes again once, the rest is declared, and the cut shows", async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), "re-elsewhere-"));
  const archive = join(elsewhere, "wal");
  await chmod(elsewhere, 0o711);
  await using system = await RunningSystem.start(["--set", "evidence.checkpoint_ms=300", "--set", `backup.wal_archive_dir=${archive}`]);
  let handed = 0;
  const producer = await remoteProducer(system, elsewhere);
  const send = async (lines: number): Promise<void> => {
    for (const end = handed + lines; handed < end; handed += linesPerCall)
      await producer.sendMany(Array.from({ length: linesPerCall }, (_, i) => Buffer.from(numberedEvent(handed + i + 1, i, OCSF_VERSION))));
  };
  const sealedNote = async (name: string): Promise<string> => {
    await producer.drain("stored");
    while ((await checked(system)).unsealed > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    const path = join(elsewhere, name);
    await writeFile(path, (await system.run("evidence", "checkpoint")).stdout);
    return path;
  };
  try {
    await system.run("producer", "enroll", "dismissed", "--kind", "linux", "--out", join(elsewhere, "dismissed"));
    await send(3000);
    const before = await sealedNote("before.note");

    const half = join(elsewhere, "half");
    const dying = system.spawn("backup", "create", half);
    while (!(await readdir(join(half, "cluster", "base")).catch(() => [])).some(Boolean))
      await new Promise((resolve) => setTimeout(resolve, 5));
    dying.kill("SIGKILL");
    await once(dying, "exit");
    for (const verb of ["verify", "restore"]) {
      const refused = await system.run("backup", verb, half);
      assert.deepEqual([refused.exitCode, refused.stderr.includes("DB_BACKUP_INCOMPLETE")], [1, true], refused.stderr);
    }
    const administrator = await system.administrator();
    const kept = async (): Promise<number> => (await administrator.query("SELECT FROM pg_replication_slots")).rowCount ?? 0;
    while ((await kept()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await administrator.end();

    const backup = join(elsewhere, "backup");
    const over = new AbortController();
    const load = (async (): Promise<void> => {
      while (!over.signal.aborted) await send(linesPerCall);
    })();
    const made = await system.run("backup", "create", backup);
    over.abort();
    await load;
    assert.equal(made.exitCode, 0, made.stderr);
    assert.equal((await stat(backup)).mode & 0o777, 0o700);
    const secret = (await readFile(join(system.dataDir, "secrets", "database.json"), "utf8")).split('"')[7] ?? "";
    assert.doesNotMatch(made.stdout + made.stderr, new RegExp(secret));
    assert.equal((await system.run("backup", "create", backup)).exitCode, 2, "what is there is not written over");

    // Stored and forgotten by the producer, after the backup.
    await send(2000);
    assert.equal((await system.run("producer", "revoke", "dismissed", "--reason", "left")).exitCode, 0);
    const after = await sealedNote("after.note");
    const forgotten = handed;
    // Receipted and not stored.
    const still = await system.standStill("engine");
    await send(1000);
    await producer.drain("receipt");
    await killAll(system);
    await Promise.resolve(still[Symbol.asyncDispose]()).catch(() => undefined);
    for (const name of await readdir(system.dataDir))
      await rm(join(system.dataDir, name), { recursive: true, force: true, maxRetries: 20 });

    assert.match((await system.run("backup", "verify", backup)).stdout, /^whole: /);
    const restored = await system.run("backup", "restore", backup);
    assert.equal(restored.exitCode, 0, restored.stderr);
    assert.match(restored.stdout, /must not run any more[\s\S]*server_lost[\s\S]*revoke again/);
    assert.equal((await system.run("backup", "restore", backup)).exitCode, 2, "only into an empty place");
    await system.startAgain();
    await send(500);
    await producer.drain("stored");

    const audit = await system.json<Audit>("audit", "--wait-idle", "60");
    const lost = audit.gaps_by_reason["server_lost"] ?? 0;
    assert.ok(lost >= 2000 && lost <= forgotten - 3000, String(lost));
    assert.deepEqual([audit.balanced, audit.gaps, audit.stored], [true, lost, handed - lost], JSON.stringify(audit));
    const rows = await numberedRows(system.dataDir, handed);
    assert.deepEqual([rows.lost, rows.duplicated, rows.outOfOrder], [lost, 0, 0]);
    const reader = await openReader(system.dataDir);
    const tail = await reader.query<{ n: number }>("SELECT count(*)::int AS n FROM views.events WHERE process_pid > $1", [forgotten]);
    await reader.end();
    assert.equal(tail.rows[0]?.n, handed - forgotten, "what was receipted and not stored was sent again");

    const now = await checked(system);
    assert.deepEqual([now.verdict, now.findings], ["PASS", []]);
    const anchored = await checked(system, "--checkpoint", before);
    assert.deepEqual([anchored.verdict, anchored.anchored], ["PASS", true]);
    const cut = await checked(system, "--checkpoint", after);
    assert.notEqual(cut.verdict, "PASS");
    assert.ok(cut.findings.length > 0);
    const { producers } = await system.json<{ producers: readonly { name: string; status: string }[] }>("producer", "list");
    assert.equal(producers.find(({ name }) => name === "dismissed")?.status, "active", "as the restore has said");
    await producer.close();

    const file = await open(join(backup, "cluster", "global", "pg_control"), "r+");
    await file.write(Buffer.from([0xff]), 0, 1, 40);
    await file.close();
    const bent = await system.run("backup", "verify", backup);
    assert.deepEqual([bent.exitCode, /DB_BACKUP_DAMAGED[\s\S]*pg_control/.test(bent.stderr)], [1, true], bent.stderr);
    assert.equal(await system.stop(), 0);
    const names = await readdir(archive);
    for (const timeline of ["00000001", "00000002"])
      assert.ok(
        names.some((name) => name.startsWith(timeline)),
        names.join(" "),
      );
    assert.equal((await system.run("backup", "create", join(elsewhere, "later"))).exitCode, 4);
  } finally {
    await producer.close().catch(() => undefined);
    await rm(elsewhere, { recursive: true, force: true, maxRetries: 20 });
  }
});
