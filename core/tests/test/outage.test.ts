/**
 * Why: what `npm run test:outage` shows over a minute, for a few seconds in every run of the suite.
 * Enforces: nothing lost, doubled or misplaced, and producers told why, whichever of engine, bus and network is away.
 * Forbids: verdicts on rates and memory: a few seconds on a busy machine say nothing about them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultNames } from "../src/outage/faults.ts";
import { outageRun } from "../src/outage/outage_run.ts";
import { curveOf } from "../src/outage/recovery_curve.ts";

for (const fault of faultNames) {
  test(`P-1 P-5 ${fault} away for a few seconds under load: nothing lost, doubled or misplaced (IF-12, FM-5 FM-6 FM-7)`, async () => {
    const settings = ["gateway.engine_lag_ms_max=2000"];
    const verdict = await outageRun({ fault, seconds: 3, seed: 3, gateways: 2, producers: 4, eventsPerSecond: 4000, settings });
    const { stored, handed, lost, duplicated, outOfOrder, balanced } = verdict;
    assert.ok(handed > 0);
    assert.deepEqual(
      { stored, lost, duplicated, outOfOrder, balanced },
      { stored: handed, lost: 0, duplicated: 0, outOfOrder: 0, balanced: true },
    );
    if (fault === "engine") assert.ok(verdict.toldPaused && verdict.reasons["engine_lag"] !== undefined, JSON.stringify(verdict.reasons));
    if (fault === "bus") assert.ok(verdict.toldPaused && verdict.reasons["bus_unavailable"] !== undefined, JSON.stringify(verdict.reasons));
  });
}

test("a recovery that collapses under its own burst, or never comes, is none", () => {
  const run = (after: readonly number[]): boolean =>
    curveOf([
      ...[0, 100, 100, 100].map((receipted) => ({ phase: "before" as const, receipted })),
      ...[100, 0, 0].map((receipted) => ({ phase: "outage" as const, receipted })),
      ...after.map((receipted) => ({ phase: "after" as const, receipted })),
    ]).recovered;
  assert.ok(run([0, 20, 60, 90, 100, 110]));
  assert.ok(!run([0, 300, 200, 0, 0, 100]), "a burst, and then nothing");
  assert.ok(!run([0, 10, 30, 40]), "half of the rate never came back");
  assert.ok(!run(Array.from({ length: 40 }, (_, i) => (i < 25 ? 0 : 100))), "too late");
});
