/**
 * Why: some hundreds of worlds in every test run; more with `npm run sim -- --seed=N --seeds K`.
 * Enforces: promises 1, 2 and 3, X-1 and X-6: every receipt is kept through crashes, cuts, stops and rewinds, exactly once and in order.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { replayOf } from "../src/sim/report.ts";
import { runWorld } from "../src/sim/world.ts";

const worlds = 300;
const worldsPerTest = 50;

for (let first = 1; first <= worlds; first += worldsPerTest) {
  test(`X-6 X-1 R-2 R-3 R-4 R-7 no promise is broken in the worlds of seeds ${first} to ${first + worldsPerTest - 1} (IF-5)`, async () => {
    for (let seed = first; seed < first + worldsPerTest; seed++) {
      const verdict = await runWorld({ seed });
      assert.equal(verdict.failures.length, 0, `${verdict.trace.slice(-40).join("\n")}\n${replayOf(verdict)}`);
    }
  });
}

test("a seed makes the same world every time", async () => {
  const [one, two] = [await runWorld({ seed: 4711 }), await runWorld({ seed: 4711 })];
  assert.deepEqual(two, one);
  assert.notDeepEqual((await runWorld({ seed: 4712 })).trace, one.trace);
});
