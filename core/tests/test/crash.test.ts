/**
 * Why: promise P-1 on the real processes, small enough for every run of the suite; `npm run test:crash` is the long form.
 * Enforces: gateway, engine, PostgreSQL and supervisor are killed with SIGKILL one after the other while one file is shipped.
 * Forbids: a verdict from anything but the stored rows.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { crashRun } from "../src/crash/crash_run.ts";

const EVENTS = 120_000;

test("P-1 kill -9 of gateway, engine, PostgreSQL and supervisor in one run: nothing lost, doubled or misplaced", async () => {
  const verdict = await crashRun(["gateway", "engine", "postgres", "supervisor"], EVENTS, 20_261_121, OCSF_VERSION);
  assert.deepEqual(
    { lost: verdict.lost, duplicated: verdict.duplicated, outOfOrder: verdict.outOfOrder, balanced: verdict.balanced },
    { lost: 0, duplicated: 0, outOfOrder: 0, balanced: true },
  );
  assert.ok(verdict.passed, `killed at ${verdict.killedAtStored.join()} of ${EVENTS}`);
});
