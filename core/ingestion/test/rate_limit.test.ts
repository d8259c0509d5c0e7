/**
 * Why: a rate that can be got round by leaving, or that tells a producer the wrong time to come back, is no rate.
 * Enforces: step 4, buckets of producers that have left, and how long a producer has to wait (BP-6, BP-7).
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { type Bucket, fullBucket, LeftRates, SharedRates, spend, waitMs } from "../src/rate_limit.ts";

const limit = { bytesPerSecondMax: 1000, eventsPerSecondMax: 10, burstBytesMax: 2000, burstEventsMax: 20 };
const nothing = { bytes: 0, events: 0 };
const use = (bytes: number, events: number) => ({ unused: { bytes, events }, spentTotal: nothing });

test("step 4: the time to wait is that of the scarcer half, beside what is held unused", () => {
  const full = fullBucket(limit, 0);
  assert.equal(waitMs(full, limit, nothing, { bytes: 2000, events: 20 }), 0);
  assert.equal(waitMs(full, limit, { bytes: 1500, events: 0 }, { bytes: 1000, events: 1 }), 500, "bytes are scarce");
  assert.equal(waitMs(full, limit, { bytes: 0, events: 15 }, { bytes: 1, events: 10 }), 500, "events are scarce");
});

test("BP-6 step 4: who waits for his kind and for the whole gate waits for the later of both", () => {
  const wait = (ofGate: number, ofKind: number): number => {
    const rates = new SharedRates(
      { ...limit, bytesPerSecondMax: ofGate },
      { linux: { rate: { ...limit, bytesPerSecondMax: ofKind } }, dpi: { rate: limit } },
      0,
    );
    rates.move("linux", undefined, use(2000, 0));
    return rates.waitMs("linux", { bytes: 1000, events: 0 });
  };
  assert.equal(wait(1000, 100), 10_000);
  assert.equal(wait(100, 1000), 10_000);
});

test("BP-6 step 4: what a session has spent is gone from the bucket when it leaves, what it held unused is not", () => {
  const rates = new SharedRates(limit, { linux: { rate: limit } }, 0);
  const before = { unused: { bytes: 700, events: 7 }, spentTotal: { bytes: 500, events: 5 } };
  rates.move("linux", undefined, { unused: { bytes: 1200, events: 12 }, spentTotal: nothing });
  rates.move("linux", { unused: { bytes: 1200, events: 12 }, spentTotal: nothing }, before);
  rates.move("linux", before, undefined);
  assert.deepEqual(rates.of("linux"), { bytes: 1500, events: 15 });
  assert.deepEqual(rates.total(), { bytes: 1500, events: 15 });
});

/** Buckets of producers that have left, at 0, with this much spent. */
function left(bytes: number, events: number): LeftRates {
  const rates = new LeftRates(limit);
  rates.leave("p", spend(fullBucket(limit, 0), { bytes, events }));
  return rates;
}

test("BP-7 a bucket is kept until bytes and events are both full again, and no longer", () => {
  for (const [bytes, events] of [
    [1500, 0],
    [0, 15],
  ] as const) {
    const early = left(bytes, events);
    early.forget(1400);
    assert.ok(early.take("p") !== undefined, `${bytes} bytes and ${events} events are not back`);
    const late = left(bytes, events);
    late.forget(1500);
    assert.equal(late.take("p"), undefined, "nothing is owed any more, and nothing is kept");
  }
});

test("BP-7 a bucket goes back to the one session that has come for it", () => {
  const rates = left(1500, 0);
  const taken: (Bucket | undefined)[] = [rates.take("p"), rates.take("p"), rates.take("q")];
  assert.deepEqual(
    taken.map((bucket) => bucket?.bytes),
    [500, undefined, undefined],
  );
});
