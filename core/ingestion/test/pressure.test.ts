/**
 * Why: the state that a fleet is told must follow every signal, name the one that caused it, and never swing.
 * Enforces: ING-6 (states, reasons, recovery), R-14 (the in-flight lease), quarantine's book.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { BusPressure } from "ransomeye-pipeline";
import { HeadQueue } from "../src/head_queue.ts";
import { type GateLevels, Pressure, Ramp } from "../src/pressure.ts";
import { Quarantine } from "../src/quarantine.ts";
import { SharedRates } from "../src/rate_limit.ts";

const settings = { bufferBytesMax: 1000, appendMsMax: 5000, busBacklogFramesMax: 1000, engineLagMsMax: 30_000 };
const calm: BusPressure = {
  paused: null,
  retryAfterMs: 10,
  backlogEntries: 0,
  backlogMs: 0,
  strain: null,
  inFlightBytesMax: 500,
  leaseMs: 3000,
};
const quiet: GateLevels = { heldBytes: 0, oldestAppendMs: 0, waiting: false };

/** A gate's pressure that has heard the bus at 0. */
function heard(bus: Partial<BusPressure> = {}): Pressure {
  const pressure = new Pressure(settings);
  pressure.heard({ ...calm, ...bus }, 0);
  pressure.update(quiet, 0);
  return pressure;
}

test("BP-8 every signal throttles and pauses at its own value, and the reason names it", () => {
  const told = (pressure: Pressure, levels: GateLevels): string => {
    pressure.update(levels, 1);
    return `${pressure.now.state} ${pressure.now.reason}`;
  };
  assert.equal(told(heard(), quiet), "open ");
  assert.equal(told(heard(), { ...quiet, heldBytes: 500 }), "throttled buffer");
  assert.equal(told(heard(), { ...quiet, heldBytes: 800 }), "paused buffer");
  assert.equal(told(heard(), { ...quiet, oldestAppendMs: 3200 }), "throttled append_latency");
  assert.equal(told(heard(), { ...quiet, oldestAppendMs: 5000 }), "paused append_latency");
  assert.equal(told(heard({ backlogMs: 20_000 }), quiet), "throttled engine_lag");
  assert.equal(told(heard({ backlogMs: 30_000 }), quiet), "paused engine_lag");
  assert.equal(told(heard({ backlogEntries: 700 }), quiet), "throttled bus_lag");
  assert.equal(told(heard({ backlogEntries: 1000 }), quiet), "paused bus_lag");
  assert.equal(told(heard({ paused: "disk_floor" }), quiet), "paused disk_floor", "the bus's own word comes first");
  assert.equal(told(heard({ backlogMs: 30_000 }), { ...quiet, heldBytes: 500 }), "paused engine_lag", "the worst signal decides");
  assert.equal(told(heard({ backlogEntries: 700 }), { ...quiet, heldBytes: 800 }), "paused buffer", "whichever comes first");
});

test("BP-26 what the server suffers from by its own word throttles and pauses under its own name, and opens again below", () => {
  const strain = (level: number): Partial<BusPressure> => ({ strain: { name: "lock_wait", level } });
  const pressure = heard(strain(0.6));
  const told = (bus: Partial<BusPressure>, atMs: number): string => {
    pressure.heard({ ...calm, ...bus }, atMs);
    pressure.update(quiet, atMs);
    return `${pressure.now.state} ${pressure.now.reason}`;
  };
  assert.equal(pressure.now.state, "open");
  assert.equal(told(strain(0.7), 10), "throttled lock_wait");
  assert.equal(told(strain(1), 20), "paused lock_wait");
  assert.equal(told(strain(0.7), 30), "paused lock_wait", "it goes on at a lower level than it stopped at");
  assert.equal(told(strain(0.5), 40), "throttled lock_wait");
  assert.equal(told({}, 50), "open ");
});

test("BP-9 a signal that falls back opens by steps, and another one does not hide it", () => {
  const pressure = heard({ backlogMs: 30_000 });
  assert.equal(pressure.now.state, "paused");
  pressure.heard({ ...calm, backlogMs: 15_000 }, 10);
  pressure.update(quiet, 10);
  assert.deepEqual([pressure.now.state, pressure.now.reason], ["throttled", "engine_lag"]);
  pressure.heard({ ...calm, backlogMs: 11_000 }, 20);
  pressure.update({ ...quiet, heldBytes: 600 }, 20);
  assert.deepEqual([pressure.now.state, pressure.now.reason], ["throttled", "buffer"]);
});

test("BP-10 a bus that is not heard of pauses the gate once its lease has run out, and nothing may be in flight then", () => {
  const pressure = heard();
  assert.equal(pressure.inFlightBytes(2999), 500);
  pressure.update(quiet, 2999);
  assert.equal(pressure.now.state, "open");
  pressure.update(quiet, 3000);
  assert.deepEqual([pressure.now.state, pressure.now.reason], ["paused", "bus_unavailable"]);
  assert.equal(pressure.inFlightBytes(3000), 0);
  pressure.heard(calm, 3500);
  pressure.update(quiet, 3600);
  assert.equal(pressure.now.state, "open");
});

test("BP-8 slow appends are remembered while work goes on and forgotten when there is none", () => {
  const pressure = heard();
  for (let i = 0; i < 30; i += 1) pressure.answered(0, 4000, undefined);
  pressure.update({ ...quiet, waiting: true }, 100);
  assert.equal(pressure.now.state, "throttled");
  pressure.update({ ...quiet, waiting: true }, 1100);
  assert.equal(pressure.now.state, "throttled", "frames wait: nothing says that the bus is faster now");
  pressure.heard(calm, 5000);
  pressure.update(quiet, 6100);
  assert.equal(pressure.now.state, "open");
});

test("BP-10 an append without an answer pauses the gate when it repeats itself, until its partition answers again", () => {
  const pressure = heard();
  const told = (): string => {
    pressure.update(quiet, 1);
    return `${pressure.now.state} ${pressure.now.reason}`;
  };
  pressure.failed(3, 1);
  assert.equal(told(), "open ", "one connection that broke is not the bus");
  pressure.failed(3, 2);
  assert.equal(told(), "paused bus_unavailable");
  pressure.answered(2, 1, undefined);
  assert.equal(told(), "paused bus_unavailable", "another partition says nothing about this one");
  pressure.answered(3, 1, undefined);
  assert.equal(told(), "open ");
});

test("a head is asked for once in a question, and one question at a time", () => {
  const heads = new HeadQueue({ headsPerReadMax: 2, storedPollMs: 250 });
  for (const producer of ["a", "b", "c", "a"]) heads.want(producer);
  assert.deepEqual(heads.take(), ["a", "b"]);
  assert.equal(heads.take(), undefined, "the first question has not been answered");
  heads.answered();
  assert.deepEqual(heads.take(), ["c"]);
  heads.answered();
  assert.equal(heads.take(), undefined);
});

test("BP-13 after a pause credit begins small and doubles each second", () => {
  const ramp = new Ramp({ rampBytesMin: 100, bufferBytesMax: 1000 });
  assert.equal(ramp.bytes("open", 0), 1000, "a gate that starts owes nobody a ramp");
  assert.equal(ramp.bytes("paused", 10_000), 100);
  assert.equal(ramp.bytes("paused", 20_000), 100, "a long pause earns nothing");
  assert.equal(ramp.bytes("throttled", 21_000), 200);
  assert.equal(ramp.bytes("open", 22_000), 400);
  assert.equal(ramp.bytes("open", 60_000), 1000);
});

const limit = { bytesPerSecondMax: 1000, eventsPerSecondMax: 10, burstBytesMax: 2000, burstEventsMax: 20 };
const use = (unused: number, spent: number) => ({ unused: { bytes: unused, events: 0 }, spentTotal: { bytes: spent, events: 0 } });

test("step 4: kind and gate buckets count what is held as well as what is spent, and give back what was not used", () => {
  const rates = new SharedRates({ ...limit, burstBytesMax: 3000 }, { dpi: { rate: limit }, linux: { rate: limit } }, 0);
  rates.move("linux", undefined, use(1500, 0));
  assert.equal(rates.of("linux").bytes, 500);
  assert.equal(rates.of("dpi").bytes, 2000);
  assert.equal(rates.total().bytes, 1500);
  rates.move("linux", use(1500, 0), use(0, 2500));
  assert.equal(rates.of("linux").bytes, 0, "what credit allowed is spent, into debt");
  assert.equal(rates.waitMs("linux", { bytes: 500, events: 0 }), 1000);
  rates.move("linux", use(0, 2500), undefined);
  rates.refill(1000);
  assert.equal(rates.of("linux").bytes, 500);
  assert.equal(rates.total().bytes, 1500);
});

test("BP-6 step 4: shared buckets are of events as well as of bytes", () => {
  const rates = new SharedRates(limit, { linux: { rate: limit } }, 0);
  const events = (unused: number, spent: number) => ({ unused: { bytes: 0, events: unused }, spentTotal: { bytes: 0, events: spent } });
  rates.move("linux", undefined, events(15, 0));
  assert.equal(rates.of("linux").events, 5);
  rates.move("linux", events(15, 0), events(0, 12));
  assert.equal(rates.total().events, 8);
});

test("BP-6 step 4: whatever sessions do, shared buckets cover what they hold together", () => {
  const move = fc.record({
    session: fc.integer({ min: 0, max: 3 }),
    grant: fc.nat({ max: 900 }),
    spend: fc.nat({ max: 900 }),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const rates = new SharedRates({ ...limit, burstBytesMax: 4000 }, { linux: { rate: limit } }, 0);
      const held = [0, 0, 0, 0];
      const spent = [0, 0, 0, 0];
      let spentSum = 0;
      for (const { session, grant, spend, gone } of moves) {
        const before = use(held[session] ?? 0, spent[session] ?? 0);
        const more = Math.min(grant, rates.of("linux").bytes, rates.total().bytes);
        const used = Math.min(spend, before.unused.bytes + more);
        held[session] = gone ? 0 : before.unused.bytes + more - used;
        spent[session] = gone ? 0 : before.spentTotal.bytes + used;
        spentSum += used;
        rates.move("linux", before, use(before.unused.bytes + more - used, before.spentTotal.bytes + used));
        if (gone) rates.move("linux", use(before.unused.bytes + more - used, before.spentTotal.bytes + used), undefined);
        const holds = held.reduce((sum, bytes) => sum + bytes, 0);
        assert.equal(rates.of("linux").bytes, 2000 - spentSum - holds);
        assert.ok(spentSum + holds <= 2000);
      }
    }),
  );
});

const book = { strikesMax: 100, quarantineMsMin: 1000, quarantineMsMax: 5000 };
const at = (nowMs: number) => ({ nowMs, nowUs: nowMs * 1000 });

test("BP-17 ING-8 offences within seconds lead to quarantine, the same over minutes do not", () => {
  const fast = new Quarantine(book);
  const begun = Array.from({ length: 10 }, (_, i) => fast.note("p", "INGEST_CREDIT_EXCEEDED", at(i * 10))).filter(
    (one) => one !== undefined,
  );
  assert.equal(begun.length, 0, "nine and a bit of ten strikes are forgiven in between");
  assert.ok(fast.note("p", "INGEST_CREDIT_EXCEEDED", at(100)) !== undefined);
  assert.equal(fast.remainingMs("p", 100), 1000);
  assert.equal(fast.remainingMs("q", 100), 0);
  const slow = new Quarantine(book);
  for (let i = 0; i < 100; i += 1) assert.equal(slow.note("p", "INGEST_CREDIT_EXCEEDED", at(i * 10_000)), undefined);
});

test("BP-18 ING-8 quarantine doubles with each time in a day, up to its bound, and is listed while it lasts", () => {
  const quarantine = new Quarantine(book);
  const durations: number[] = [];
  let nowMs = 0;
  for (let time = 0; time < 5; time += 1) {
    for (let i = 0; i < 20; i += 1) {
      const begun = quarantine.note("p", "INGEST_SIGNATURE_INVALID", at(nowMs));
      if (begun !== undefined) durations.push((begun.untilUs - begun.sinceUs) / 1000);
    }
    assert.deepEqual(
      quarantine.list(nowMs).map(({ producer, code }) => [producer, code]),
      [["p", "INGEST_SIGNATURE_INVALID"]],
    );
    nowMs += 10_000;
    assert.deepEqual(quarantine.list(nowMs), []);
  }
  assert.deepEqual(durations, [1000, 2000, 4000, 5000, 5000]);
  nowMs += 2 * 86_400_000;
  quarantine.forget(nowMs);
  for (let i = 0; i < 20; i += 1) {
    const begun = quarantine.note("p", "INGEST_SIGNATURE_INVALID", at(nowMs));
    if (begun !== undefined) assert.equal(begun.untilUs - begun.sinceUs, 1_000_000, "a day of good conduct is forgiven");
  }
});

test("BP-17 ING-8 what an honest producer can come to is no offence", () => {
  const quarantine = new Quarantine(book);
  for (let i = 0; i < 1000; i += 1)
    for (const code of [
      "INGEST_DUPLICATE",
      "INGEST_DUPLICATE_SESSION",
      "INGEST_DUPLICATE_RESTART",
      "INGEST_DUPLICATE_GATE",
      "INGEST_DUPLICATE_TRIMMED",
      "INGEST_SEQUENCE_GAP",
      "INGEST_DRAINING",
      "INGEST_SESSION_REPLACED",
      "INGEST_REGISTRY_STALE",
    ] as const)
      assert.equal(quarantine.note("p", code, at(i)), undefined);
});

test("BP-17 ING-8 one session a second is nobody's flood, a hundred at once are", () => {
  const quarantine = new Quarantine(book);
  for (let i = 0; i < 300; i += 1) assert.equal(quarantine.note("steady", "INGEST_RECONNECT_FLOOD", at(i * 2000)), undefined);
  const begun = Array.from({ length: 60 }, (_, i) => quarantine.note("storm", "INGEST_RECONNECT_FLOOD", at(700_000 + i * 10)));
  assert.ok(begun.some((one) => one !== undefined));
});
