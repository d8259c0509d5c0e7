/**
 * Why: promise P-1 on the real processes, small enough for every run of the suite; `npm run test:crash` is the long form.
 * Enforces: gateway, engine, PostgreSQL and supervisor are killed with SIGKILL one after the other while one shipper sends; of three gateways, two, one after
 *   the other, while three shippers send.
 * Forbids: a verdict from anything but the stored rows.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { crashRun, type CrashVerdict } from "../src/crash/crash_run.ts";

const plan = { events: 120_000, seed: 20_261_121, schemaVersion: OCSF_VERSION };

test("P-1 kill -9 of gateway, engine, PostgreSQL and supervisor in one run: nothing lost, doubled or misplaced", async () => {
  nothingLost(await crashRun({ victims: ["gateway", "engine", "postgres", "supervisor"], gateways: 1, ...plan }));
});

test("P-1 R-24 kill -9 of one of several gateways that serve, and of another one: nothing lost, doubled or misplaced (FM-8)", async () => {
  const verdict = await crashRun({ victims: ["gateway", "gateway"], gateways: 3, ...plan });
  nothingLost(verdict);
  for (const name of verdict.killed) assert.match(name, /^gateway-[123]$/);
});

function nothingLost({ lost, duplicated, outOfOrder, balanced, passed, shipped, killed, killedAtStored }: CrashVerdict): void {
  assert.deepEqual({ lost, duplicated, outOfOrder, balanced }, { lost: 0, duplicated: 0, outOfOrder: 0, balanced: true });
  assert.equal(shipped, plan.events);
  assert.ok(passed, `killed ${killed.join()} at ${killedAtStored.join()} of ${plan.events}`);
}
