/**
 * Why: promise P-1 where the log lies on real Redis servers, small enough for every run of the suite; `npm run chaos:bus` is the long form.
 * Enforces: a server that is killed and comes back, a master whose replica takes over, and an engine that dies in a transaction, each some times one after
 *   the other on one system: nothing is lost, doubled or misplaced, and the log's servers know it.
 * Forbids: a verdict from anything but the stored rows and the servers themselves.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { besides } from "../../src/chaos_bus/chaos_page.ts";
import { type ChaosRecord, chaosSeries } from "../../src/chaos_bus/chaos_series.ts";
import type { JudgedFault } from "../../src/chaos_bus/faults.ts";

const plan = { runs: 3, seed: 20_261_122, events: 8000 };

const titles: readonly (readonly [JudgedFault, string])[] = [
  ["server-kill", "P-1 R-4 kill -9 of the log's only server: nothing lost, doubled or misplaced"],
  ["cluster-failover", "P-1 R-4 kill -9 of a master whose replica takes over: nothing lost, doubled or misplaced"],
  ["engine-kill", "P-1 R-3 kill -9 of the engine in its transaction, with the log elsewhere: nothing lost, doubled or misplaced"],
];

for (const [fault, title] of titles) {
  test(title, async () => {
    for await (const { verdict, failure, evidence, seed } of chaosSeries({ fault, ...plan })) {
      const why = `seed ${seed}: ${[failure ?? verdict?.hit, ...evidence].join("\n")}`;
      assert.ok(verdict !== null, why);
      const { lost, duplicated, outOfOrder, balanced, untold } = verdict;
      assert.deepEqual(
        { lost, duplicated, outOfOrder, balanced, untold },
        { lost: 0, duplicated: 0, outOfOrder: 0, balanced: true, untold: 0 },
        why,
      );
      assert.ok(verdict.passed, why);
    }
  });
}

test("EB-20 R-2 R-5 a failover that takes away what had receipts, on the level that allows it: nothing is taken until the operator's word, then nothing is lost, doubled or misplaced", async () => {
  for await (const { measured, failure, evidence, seed } of chaosSeries({ ...plan, fault: "weak-failover", runs: 1 })) {
    const why = `seed ${seed}: ${[failure ?? JSON.stringify(measured), ...evidence].join("\n")}`;
    assert.ok(measured !== null && measured.framesGone > 0, why);
    const { alone, afterLoss, silentlyWrong } = measured;
    assert.deepEqual(
      [alone.statusPaused, alone.reconcileFound, alone.duplicated, alone.outOfOrder, silentlyWrong],
      ["log_lost", true, 0, 0, []],
      why,
    );
    const { shippersDone, balanced, lost, duplicated, outOfOrder, serverLost } = afterLoss ?? alone;
    assert.deepEqual(
      { shippersDone, balanced, lost, duplicated, outOfOrder, serverLost },
      { shippersDone: true, balanced: true, lost: 0, duplicated: 0, outOfOrder: 0, serverLost: 0 },
      why,
    );
  }
});

test("a fault that is run again replaces its own earlier runs on the page and no others", () => {
  const record = (fault: ChaosRecord["fault"], seed: number): ChaosRecord => ({
    ...{ fault, seed, events: 1, settings: [], verdict: null, measured: null, failure: null, evidence: [] },
  });
  const earlier = [record("server-kill", 1), record("engine-kill", 1)];
  assert.deepEqual(besides(earlier, [record("server-kill", 2)]), [record("engine-kill", 1)]);
  assert.equal(besides(earlier, [record("server-kill", 2), record("engine-kill", 2)]), undefined);
  assert.deepEqual(besides(earlier, []), earlier);
});
