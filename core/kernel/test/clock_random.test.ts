/** Time and randomness: what is promised of them, and that seeds replay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Clock,
  DefectError,
  fullJitterMs,
  seededRandom,
  sleep,
  systemClock,
  systemRandom,
  type Timer,
  timerMsMax,
} from "ransomeye-kernel";

/** A clock whose timers fire when the test says so. */
function handClock(): Clock & { fire(): void; readonly pending: number } {
  const timers = new Set<() => void>();
  return {
    nowUs: () => 0,
    monotonicMs: () => 0,
    setTimer(_ms: number, fire: () => void): Timer {
      timers.add(fire);
      return { cancel: () => void timers.delete(fire) };
    },
    fire() {
      for (const timer of [...timers]) {
        timers.delete(timer);
        timer();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}

test("the wall clock gives safe integer microseconds, the monotonic one never runs backwards", () => {
  assert.ok(Number.isSafeInteger(systemClock.nowUs()));
  let last = systemClock.monotonicMs();
  for (let i = 0; i < 1000; i += 1) {
    const now = systemClock.monotonicMs();
    assert.ok(now >= last);
    last = now;
  }
});

test("a timer too long for Node is a defect instead of firing at once", () => {
  assert.throws(() => systemClock.setTimer(timerMsMax + 1, () => undefined), DefectError);
  assert.throws(() => systemClock.setTimer(-1, () => undefined), DefectError);
});

test("sleep resolves at its timer and forgets the signal", async () => {
  const clock = handClock();
  const controller = new AbortController();
  const slept = sleep(clock, 5, controller.signal);
  clock.fire();
  await slept;
  controller.abort();
  assert.equal(clock.pending, 0);
});

test("sleep rejects with the signal's reason, before and during, and cancels its timer", async () => {
  const clock = handClock();
  const reason = new Error("enough");
  const controller = new AbortController();
  const slept = sleep(clock, 5, controller.signal);
  controller.abort(reason);
  await assert.rejects(slept, reason);
  await assert.rejects(sleep(clock, 5, controller.signal), reason);
  assert.equal(clock.pending, 0);
});

test("the seeded generator is xoshiro128** and gives the same sequence for ever", () => {
  const random = seededRandom("7f3a");
  const first = [random.uint32(), random.uint32(), random.uint32()];
  const again = seededRandom("7f3a");
  assert.deepEqual([again.uint32(), again.uint32(), again.uint32()], first);
  assert.deepEqual(first, [1654513024, 2361303741, 3917837000]);
  assert.equal(seededRandom(7).uuid(), seededRandom("7").uuid());
  assert.notEqual(seededRandom(7).uuid(), seededRandom(8).uuid());
});

test("both generators keep their shapes for every length and seed", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 67 }), (seed, length) => {
      for (const random of [seededRandom(seed), systemRandom]) {
        assert.equal(random.bytes(length).length, length);
        const float = random.float();
        assert.ok(float >= 0 && float < 1);
        const word = random.uint32();
        assert.ok(Number.isInteger(word) && word >= 0 && word < 2 ** 32);
        assert.match(random.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }
    }),
    { numRuns: 50 },
  );
});

test("seeded floats fill the unit interval evenly", () => {
  const random = seededRandom("even");
  const buckets = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i += 1) {
    const at = Math.floor(random.float() * 16);
    buckets[at] = (buckets[at] ?? 0) + 1;
  }
  for (const count of buckets) assert.ok(count > 850 && count < 1150, `buckets ${buckets.join(" ")}`);
});

test("full jitter stays between zero and the smaller of cap and doubled base", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 2000 }), (seed, attempt) => {
      const ms = fullJitterMs(seededRandom(seed), attempt, 100, 30_000);
      assert.ok(ms >= 0 && ms < Math.min(30_000, 100 * 2 ** Math.min(attempt, 52)));
    }),
  );
});
