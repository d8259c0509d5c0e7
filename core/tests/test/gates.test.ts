/** R-24 on real processes: several gateways on one port, started again one after the other, and one of them killed, under producers that never stop. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { numberedRows } from "../src/crash/numbered_rows.ts";
import { Fleet } from "../src/fleet/fleet.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

const gateways = 3;

async function moreReceipts(fleet: Fleet, events: number): Promise<void> {
  const from = fleet.receipted;
  while (fleet.receipted < from + events) await pause(20);
}

test("R-24 P-1 P-3 a rolling restart of all gateways and kill -9 of one in its middle: nothing lost, doubled or misplaced (IF-9, FM-8)", async () => {
  await using system = await RunningSystem.start(["--set", `gateway.processes=${gateways}`]);
  await using fleet = await Fleet.open(system, {
    producers: 6,
    seed: 24,
    eventsPerSecond: 6000,
    gateway: (await system.runtime()).gateway,
  });
  const pids = async (): Promise<number[]> =>
    (await system.runtime()).children.filter(({ role }) => role === "gateway").map(({ pid }) => pid);
  const before = await pids();
  assert.equal(new Set(before).size, gateways);
  fleet.start();
  await moreReceipts(fleet, 2000);

  const restarted = await system.run("restart", "gateway");
  assert.equal(restarted.exitCode, 0, restarted.stderr);
  assert.deepEqual(
    restarted.stderr
      .trim()
      .split("\n")
      .filter((line) => line.endsWith("is back")),
    [1, 2, 3].map((n) => `gateway-${n} is back`),
    "one after the other, each within its bound",
  );
  const after = await pids();
  assert.ok(
    after.every((pid) => !before.includes(pid)),
    "all are new processes",
  );
  assert.ok(
    (await system.runtime()).children.every(({ restarts }) => restarts === 0),
    "none of them counts as a crash",
  );
  await moreReceipts(fleet, 2000);

  const second = system.spawn("restart", "gateway");
  const ended = once(second, "exit");
  await once(second.stderr ?? second, "data");
  process.kill((await pids())[gateways - 1] ?? 0, "SIGKILL");
  assert.deepEqual(await ended, [0, null]);
  await moreReceipts(fleet, 2000);

  const alone = await system.run("restart", "gateway-2");
  assert.equal(alone.exitCode, 0, alone.stderr);
  assert.equal((await system.run("restart", "gateway-9")).exitCode, 1);
  await fleet.stop();
  const ledger = await system.json<{ balanced: boolean; stored: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.stored], [true, fleet.handed]);
  const { stored, lost, duplicated, outOfOrder } = await numberedRows(system.dataDir, fleet.handed);
  assert.deepEqual({ stored, lost, duplicated, outOfOrder }, { stored: fleet.handed, lost: 0, duplicated: 0, outOfOrder: 0 });
});
