/** Doctor asks the server on which a system would run, before one does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { loadConfig } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { createContext } from "../src/commands/context.ts";
import { checkDatabase, checksumsFinding } from "../src/doctor/checks.ts";
import { checkMemory } from "../src/doctor/memory.ts";
import { askServer, signalsSql } from "../src/roles/strain_watch.ts";
import type { Finding } from "../src/doctor/finding.ts";
import { dataDirAt } from "../src/supervisor/data_dir.ts";

async function checked(url: string): Promise<Finding[]> {
  const dataDir = await temporaryDirectory();
  return checkDatabase(createContext({ dataDir }), dataDirAt(dataDir), loadConfig({ env: {}, flags: { "database.url": url } }));
}

for (const [setting, bad, good] of [
  ["fsync", "off", "on"],
  ["full_page_writes", "off", "on"],
  ["synchronous_commit", "off", "on"],
  ["data_sync_retry", "on", "off"],
] as const) {
  test(`R-4 an external server with ${setting} ${bad} fails the check, and passes it with ${setting} ${good}`, async () => {
    for (const value of [bad, good]) {
      const server = await openTestServer({ settings: { [setting]: value } });
      try {
        const { connection } = await server.database({ empty: true });
        const { user, password, port, database, host } = connection;
        const findings = await checked(`postgres://${user}:${password}@socket:${port}/${database}?host=${host}`);
        const durability = findings.find(({ check }) => check === "durability");
        assert.equal(durability?.level, value === bad ? "fail" : "ok");
        assert.ok(value === good || durability?.message.includes(setting));
        assert.equal(findings.find(({ check }) => check === "checksums")?.level, "ok");
      } finally {
        await server.close();
      }
    }
  });
}

test("R-24 R-34 the bounds of all processes are added up: many gateways on a small machine are doubtful", () => {
  const gibibyte = 1024 ** 3;
  const memory = (processes: number): Finding =>
    checkMemory(
      loadConfig({ env: {}, flags: { "gateway.processes": String(processes), "gateway.buffer_bytes_max": "256 MiB" } }),
      16 * gibibyte,
    );
  assert.deepEqual([memory(1).level, memory(4).level, memory(6).level], ["ok", "ok", "warn"]);
  assert.match(memory(6).message, /6 gateways among them, need \d+\.\d GiB and the machine has 16\.0 GiB/);
});

test("an external server that does not answer is a finding with a next step", async () => {
  const [finding] = await checked("postgres://nobody@127.0.0.1:1/none");
  assert.deepEqual([finding?.check, finding?.level], ["database", "fail"]);
  assert.match(finding?.next ?? "", /server runs/);
});

test("DP-67 BP-26 an archive that takes nothing is a finding, and what it keeps back counts like a slot's", async () => {
  const server = await openTestServer({ own: true, settings: { archive_mode: "on", archive_command: "false" } });
  try {
    const { connection, pool } = await server.database({ empty: true });
    const sql = await signalsSql(pool);
    assert.equal((await askServer(pool, sql)).replicationLagBytes, 0);
    await pool.query("CREATE TABLE filler AS SELECT repeat('x', 500) FROM generate_series(1, 10000)");
    await pool.query("SELECT pg_switch_wal()");
    while ((await askServer(pool, sql)).replicationLagBytes < 4_000_000) await new Promise((resolve) => setTimeout(resolve, 50));
    const { user, password, port, database, host } = connection;
    const findings = await checked(`postgres://${user}:${password}@socket:${port}/${database}?host=${host}`);
    const archive = findings.find(({ check }) => check === "archive");
    assert.deepEqual([archive?.level, /[0-9A-F]{24} .*cannot be archived/.test(archive?.message ?? "")], ["fail", true]);
  } finally {
    await server.close();
  }
});

test("DP-68 a server whose pages carry no checksums is doubtful", () => {
  assert.deepEqual([checksumsFinding("off").level, checksumsFinding("on").level], ["warn", "ok"]);
  assert.match(checksumsFinding("off").next ?? "", /pg_checksums/);
});
