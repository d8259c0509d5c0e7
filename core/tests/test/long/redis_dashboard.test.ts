/**
 * Why it exists: promise R-26 on the whole system, small enough for every run of the suite; `npm run proof:dashboard` is the long form, with times.
 * Enforces: more messages than a server holds in memory are published while a dashboard is stopped; started again it is given each of them once and in order, those
 *   too that only the archive still has.
 * Forbids: timing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { dashboardRun } from "../../src/stopped_dashboard/dashboard_run.ts";

test("EB-21 R-26 a dashboard that is stopped stalls no publisher and misses nothing, on a Redis server", async () => {
  const { lost, doubled, outOfOrder, archivedOnly } = await dashboardRun({ adapter: "redis_streams", messages: 115_000, rate: undefined });
  assert.deepEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 });
  assert.ok(archivedOnly !== null && archivedOnly > 10_000, `${archivedOnly} were in the archive alone`);
});
