/**
 * Why: a gateway that drowns in small frames must still hear the bus, or it never gets out again.
 * Enforces: bounded time a turn, order of arrival, nothing left behind.
 * Forbids: real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import type { Clock } from "ransomeye-kernel";
import { Turns } from "../src/turns.ts";

test("R-15 peers get a bounded time of each turn of the loop; what waits is done in order in the turns after it", () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs } as Clock;
  const turnsToCome: (() => void)[] = [];
  const turns = new Turns(clock, 10, (work) => void turnsToCome.push(work));
  const done: number[] = [];
  const work = (n: number) => (): void => {
    done.push(n);
    nowMs += 4;
  };
  const answers = [1, 2, 3, 4, 5].map((n) => turns.run(work(n)));
  assert.deepEqual(answers, [true, true, true, false, false]);
  assert.ok(turns.isBehind);
  assert.deepEqual(done, [1, 2, 3]);
  assert.equal(turnsToCome.length, 1);
  turnsToCome.shift()?.();
  assert.deepEqual(done, [1, 2, 3, 4, 5]);
  assert.ok(!turns.isBehind, "a burst that has been read is no backlog");
  // Somebody who comes in the same turn waits behind those who waited, and only while there is no time.
  assert.equal(turns.run(work(6)), true);
  assert.equal(turns.run(work(7)), false);
  for (let next = turnsToCome.shift(); next !== undefined; next = turnsToCome.shift()) next();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6, 7]);
  nowMs += 1000;
  assert.equal(turns.run(work(8)), true);
  assert.equal(turnsToCome.length, 1);
});

test("who comes while others wait, waits behind them, however much time there is", () => {
  let nowMs = 0;
  const turnsToCome: (() => void)[] = [];
  const turns = new Turns({ monotonicMs: () => nowMs } as Clock, 10, (work) => void turnsToCome.push(work));
  const done: string[] = [];
  turns.run(() => (nowMs += 10));
  turns.run(() => {
    done.push("first");
    turns.run(() => void done.push("newcomer"));
  });
  turns.run(() => void done.push("second"));
  for (let next = turnsToCome.shift(); next !== undefined; next = turnsToCome.shift()) next();
  assert.deepEqual(done, ["first", "second", "newcomer"]);
});
