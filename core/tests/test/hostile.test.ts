/**
 * Why: no entry without proof (promise 4), against every class of attack at once, on a real bus.
 * Enforces: a small run of what `npm run test:hostile` runs at length.
 * Forbids: a verdict by the gates themselves.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { attacks } from "../src/hostile/attacks.ts";
import { hostileRun } from "../src/hostile/hostile_run.ts";

test("P-4 ING-7 hostile frames of every class are refused by their codes, and nothing of them is on the bus or in a row", async () => {
  const figures = await hostileRun(400, 7);
  assert.deepEqual(figures.faults, []);
  assert.equal(figures.accepted, 0);
  assert.ok(figures.sent >= 400);
  assert.equal(figures.attacks.length, attacks.length);
  for (const { name, sent } of figures.attacks) assert.ok(sent > 0, name);
  const told = figures.attacks.reduce((sum, { refused }) => sum + Object.values(refused).reduce((a, b) => a + b, 0), 0);
  assert.equal(told, figures.sent, "every frame had an answer");
});
