/**
 * Why: a first installation is one machine: core, a probe's records, a Linux agent and somebody who ships old files by hand (G-5).
 * Enforces: they share a host, a data directory and a gateway without conflict: each kind and each program has an identity of its own, every record is one row
 *   under it, in order, and the ledger balances. And as producers are asked to gather for half a minute here: what a sensor detects does not wait for that.
 * Forbids: a verdict from anything but the stored rows.
 */
import assert from "node:assert/strict";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openReader } from "ransomeye";
import { sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { finished, RunningSystem } from "../src/harness/running_system.ts";

const connection = { src_ip: "192.0.2.1", dest_ip: "192.0.2.53", dest_port: 53, proto: "UDP" };

/** A probe's record; its number stands in the source port. */
function eveLine(
  n: number,
  what: object = { event_type: "dns", dns: { type: "query", id: n, rrname: "first.example", rrtype: "A" } },
): string {
  return `${JSON.stringify({ timestamp: "2026-01-05T10:00:00.000000+0000", ...connection, src_port: n, ...what })}\n`;
}

const alert = {
  event_type: "alert",
  alert: { action: "allowed", signature_id: 7, rev: 1, signature: "test", category: "test", severity: 1 },
};

/** A Linux host's event of two records; its number stands in the process id. */
function auditLines(n: number): string {
  const head = `msg=audit(1767607200.000:${n}):`;
  const call = `arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=${n} auid=1000 uid=0 gid=0 ses=7 comm="tool" exe="/usr/bin/tool" key=(null)`;
  return `type=SYSCALL ${head} ${call}\ntype=EOE ${head} \n`;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The numbers of all rows by the name of their producer, in the order of its sequence. `names` are those that are known already. */
async function storedBy(system: RunningSystem, names: Map<string, string>): Promise<Record<string, number[]>> {
  const pool = await openReader(system.dataDir);
  try {
    const { rows } = await pool.query<{ producer: string; kind: string; n: number }>(
      `SELECT producer_id AS producer, kind, CASE kind WHEN 'dpi' THEN src_port ELSE process_pid END AS n
       FROM views.events ORDER BY producer_id, epoch, seq`,
    );
    const found: Record<string, number[]> = {};
    if (rows.some(({ producer }) => !names.has(producer))) {
      const { producers } = await system.json<{ producers: { producer: string; name: string }[] }>("producer", "list");
      for (const { producer, name } of producers) names.set(producer, name);
    }
    for (const { producer, kind, n } of rows) {
      const name = names.get(producer) ?? "";
      assert.ok(name.endsWith(kind), `${name} has rows of kind ${kind}`);
      (found[name] ??= []).push(n);
    }
    return found;
  } finally {
    await pool.end();
  }
}

test("AG-8 G-5 R-15 core, probe, Linux agent and ship on one host: each its own identity, each record one row, detections ahead of a linger of half a minute", async () => {
  await using system = await RunningSystem.start(["--set", "gateway.linger_ms=30000"]);
  const folder = join(await temporaryDirectory(), "logs");
  await mkdir(folder);
  const [eve, audit] = [join(folder, "eve.json"), join(folder, "audit.log")];
  await appendFile(eve, eveLine(1));
  await appendFile(audit, auditLines(1));
  const agent = system.spawn("agent", eve, audit, "--set", "agent.poll_ms=20");
  let stored: Record<string, number[]> = {};
  const names = new Map<string, string>();
  /** A test that hangs is ended by its runner. */
  const until = async (what: () => boolean): Promise<void> => {
    for (;;) {
      stored = await storedBy(system, names);
      if (what()) return;
      await sleep(systemClock, 100);
    }
  };
  // The first batch of a producer is sealed before a gateway has told it anything.
  await until(() => stored["agent-dpi"]?.length === 1 && stored["agent-linux"]?.length === 1);
  assert.deepEqual(stored, { "agent-dpi": [1], "agent-linux": [1] });

  await appendFile(audit, numbers(2, 40).map(auditLines).join(""));
  await appendFile(
    eve,
    numbers(2, 40)
      .map((n) => eveLine(n))
      .join(""),
  );
  await appendFile(eve, eveLine(41, alert));
  await until(() => stored["agent-dpi"]?.length === 41);
  // What was read before it, of another kind, still lingers.
  assert.deepEqual(stored, { "agent-dpi": numbers(1, 41), "agent-linux": [1] });

  const old = [join(folder, "old_eve.json"), join(folder, "old_audit.log")] as const;
  await writeFile(
    old[0],
    numbers(1, 30)
      .map((n) => eveLine(n))
      .join(""),
  );
  await writeFile(old[1], numbers(1, 20).map(auditLines).join(""));
  const shipped = await system.json<{ accepted: number; producers: { name: string }[] }>("ship", ...old, "--wait", "stored");
  assert.deepEqual([shipped.accepted, shipped.producers.map(({ name }) => name)], [50, ["local-dpi", "local-linux"]]);

  const over = finished(agent);
  agent.kill("SIGTERM");
  const { exitCode, stderr } = await over;
  assert.equal(exitCode, 0, stderr);
  const ledger = await system.json<{ balanced: boolean; gaps: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.gaps], [true, 0]);
  assert.deepEqual(await storedBy(system, names), {
    "agent-dpi": numbers(1, 41),
    "agent-linux": numbers(1, 40),
    "local-dpi": numbers(1, 30),
    "local-linux": numbers(1, 20),
  });
});
