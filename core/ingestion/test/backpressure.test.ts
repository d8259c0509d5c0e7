/**
 * Why: an honest producer cannot overflow the gate only if credit is shared by rules that hold for every history.
 * Enforces: R-14 (never more than the free room, max-min fair up to one quantum, floors cost nothing), hysteresis, R-15, the buffer's bound.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { limits } from "ransomeye-kernel";
import { idleWindowBytes, lingerMsMax, nextLingerMs, nextPressure, shareCredit, windowBytes, windowIdleMs } from "../src/backpressure.ts";
import { BufferLedger, grant, hold, openAccount, outstanding, release, reservation } from "../src/buffer.ts";
import { Linger } from "../src/linger.ts";
import { covered, fullBucket, refill, spend, waitMs } from "../src/rate_limit.ts";

const quantum = 1000;
const claims = fc
  .array(
    fc.record({
      wantBytes: fc.integer({ min: 0, max: 20_000 }),
      usedBytes: fc.integer({ min: 0, max: 9000 }),
      floorBytes: fc.constantFrom(0, 400),
      quantumBytes: fc.constantFrom(quantum, 700),
      idleBytes: fc.integer({ min: 0, max: 699 }),
      weight: fc.constantFrom(1, 1, 2, 8),
      group: fc.constantFrom("a", "b"),
    }),
    { maxLength: 40 },
  )
  .map((list) => list.map((claim, session) => ({ session, ...claim, idleBytes: Math.min(claim.idleBytes, claim.usedBytes) })));
const plenty = new Map([
  ["a", Number.MAX_SAFE_INTEGER],
  ["b", Number.MAX_SAFE_INTEGER],
]);
const beyond = (used: number, floor: number): number => Math.max(0, used - floor);

test("R-14 shared credit never exceeds the free room, nor any demand", () => {
  fc.assert(
    fc.property(claims, fc.integer({ min: 0, max: 60_000 }), (list, free) => {
      const shares = shareCredit(list, free, plenty);
      let cost = 0;
      for (const { session, wantBytes, usedBytes, floorBytes } of list) {
        const got = shares.get(session) ?? 0;
        assert.ok(got >= 0 && got <= wantBytes);
        cost += beyond(usedBytes + got, floorBytes) - beyond(usedBytes, floorBytes);
      }
      assert.ok(cost <= free);
    }),
  );
});

test("BP-3 R-14 max-min by weight: nobody who is still in want has, for its weight, a quantum less than somebody who was given more", () => {
  fc.assert(
    fc.property(claims, fc.integer({ min: 0, max: 60_000 }), (list, free) => {
      const shares = shareCredit(list, free, plenty);
      for (const poor of list) {
        const poorGot = shares.get(poor.session) ?? 0;
        if (poorGot >= poor.wantBytes) continue;
        for (const rich of list) {
          const richGot = shares.get(rich.session) ?? 0;
          if (richGot === 0 || rich.session === poor.session) continue;
          const least = (poor.usedBytes + poorGot - (poorGot === 0 ? poor.idleBytes : 0)) / poor.weight;
          assert.ok(
            (rich.usedBytes + richGot - rich.quantumBytes) / rich.weight <= least,
            "the one with more for its weight was served first",
          );
        }
      }
    }),
  );
});

test("R-14 room for everybody serves everybody", () => {
  fc.assert(
    fc.property(claims, (list) => {
      const free = list.reduce((sum, { wantBytes }) => sum + wantBytes, 0);
      const shares = shareCredit(list, free, plenty);
      for (const { session, wantBytes } of list) assert.equal(shares.get(session) ?? 0, wantBytes);
    }),
  );
});

test("BP-4 R-14 a large claim whose turn it is is not starved by small ones behind it", () => {
  const shares = shareCredit(
    [
      { session: 1, group: "a", weight: 1, wantBytes: 1000, usedBytes: 0, idleBytes: 0, floorBytes: 0, quantumBytes: quantum },
      { session: 2, group: "a", weight: 1, wantBytes: 10, usedBytes: 500, idleBytes: 0, floorBytes: 0, quantumBytes: quantum },
    ],
    900,
    plenty,
  );
  assert.equal(shares.size, 0, "the room is kept together until it holds a quantum");
});

test("R-14 a group without room steps aside and keeps nobody waiting", () => {
  fc.assert(
    fc.property(claims, fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 0, max: 10_000 }), (list, free, roomOfA) => {
      const rooms = new Map([
        ["a", roomOfA],
        ["b", Number.MAX_SAFE_INTEGER],
      ]);
      const shares = shareCredit(list, free, rooms);
      const costOf = (group: string): number =>
        list
          .filter((claim) => claim.group === group)
          .reduce((sum, { session, usedBytes, floorBytes }) => {
            const got = shares.get(session) ?? 0;
            return sum + beyond(usedBytes + got, floorBytes) - beyond(usedBytes, floorBytes);
          }, 0);
      assert.ok(costOf("a") <= roomOfA, "a group's room holds");
      if (roomOfA > 0) return;
      const alone = shareCredit(
        list.filter(({ group, usedBytes, floorBytes }) => group === "b" || usedBytes < floorBytes),
        free,
        rooms,
      );
      for (const { session, group } of list) if (group === "b") assert.equal(shares.get(session), alone.get(session));
    }),
  );
});

test("BP-3 R-14 weights: of a scarce room each kind gets its weight's part", () => {
  const claim = (session: number, weight: number) => ({
    session,
    group: "a",
    weight,
    wantBytes: 1e9,
    usedBytes: 0,
    idleBytes: 0,
    floorBytes: 0,
    quantumBytes: quantum,
  });
  const shares = shareCredit([claim(1, 8), claim(2, 1), claim(3, 1)], 100 * quantum, plenty);
  assert.deepEqual(
    [...shares.values()].toSorted((a, b) => a - b),
    [10 * quantum, 10 * quantum, 80 * quantum],
  );
});

test("BP-9 states have hysteresis and every state is left for every band", () => {
  assert.equal(nextPressure("open", 0.62), "open");
  assert.equal(nextPressure("open", 0.63), "throttled");
  assert.equal(nextPressure("throttled", 0.5), "throttled", "not opened in the middle");
  assert.equal(nextPressure("throttled", 0.37), "open");
  assert.equal(nextPressure("throttled", 1), "paused");
  assert.equal(nextPressure("paused", 0.8), "paused");
  assert.equal(nextPressure("paused", 0.5), "throttled", "recovery goes by steps");
  assert.equal(nextPressure("paused", 0.1), "open");
});

test("BP-15 R-15 linger grows with the rate of frames, at most fourfold a step, and comes back", () => {
  assert.equal(nextLingerMs(20, 40_000, 4000, 20), 80);
  let linger = 20;
  for (let i = 0; i < 40; i += 1) linger = nextLingerMs(linger, 1e9, 4000, 20);
  assert.equal(linger, lingerMsMax);
  for (let i = 0; i < 40; i += 1) linger = nextLingerMs(linger, 10, 4000, 20);
  assert.equal(linger, 20);
});

const lingerSettings = { lingerMsMin: 20, framesPerSecondTarget: 1000, frameCostBytesMax: 262_144 };
const spent = (linger: Linger, frames: number, bytes: number, events: number): void => {
  const before = openAccount(0);
  for (let i = 0; i < frames; i += 1) linger.frame(before, { ...before, spentBytesTotal: bytes, spentEventsTotal: events });
};

test("R-15 frames that wait at producers count: an overload by small frames makes them gather longer, a bulk of full ones does not", () => {
  const small = new Linger(lingerSettings);
  spent(small, 500, 700, 1);
  small.update(1, 80_000);
  assert.equal(small.ms, 80);
  const full = new Linger(lingerSettings);
  spent(full, 100, 250_000, 600);
  full.update(1, 40_000);
  assert.equal(full.ms, 20);
  // Nothing comes at all: that is a bus that is paused, and says nothing about the size of frames.
  full.update(1, 40_000);
  assert.equal(full.ms, 20);
});

test("BP-15 R-15 where the gate has no time to read, small frames grow and full ones need not", () => {
  for (const [bytes, expectedMs] of [
    [700, 40],
    [250_000, 20],
  ] as const) {
    const linger = new Linger(lingerSettings);
    spent(linger, 300, bytes, 1);
    for (let tick = 0; tick < 10; tick += 1) linger.tick(true);
    linger.update(1, 0);
    assert.equal(linger.ms, expectedMs);
  }
});

test("BP-5 R-14 a window opens no further than credit and floor cover, stays while its session is busy, and closes when it is idle", () => {
  const { sessionFloorBytes } = limits;
  assert.equal(idleWindowBytes, 2 * sessionFloorBytes, "floor, and first credit");
  assert.equal(windowBytes(70_000, idleWindowBytes, 0), 65_536);
  assert.equal(windowBytes(idleWindowBytes, 262_144, windowIdleMs - 1), 262_144);
  assert.equal(windowBytes(idleWindowBytes, 262_144, windowIdleMs), idleWindowBytes);
  const used = fc.record({
    creditBytes: fc.integer({ min: sessionFloorBytes, max: 600_000 }),
    idleMs: fc.integer({ min: 0, max: 10_000 }),
  });
  fc.assert(
    fc.property(fc.array(used, { maxLength: 50 }), (uses) => {
      let window = idleWindowBytes;
      for (const { creditBytes, idleMs } of uses) {
        const next = windowBytes(creditBytes + sessionFloorBytes, window, idleMs);
        const covered = creditBytes + sessionFloorBytes;
        if (next > window || idleMs >= windowIdleMs) assert.ok(next <= covered, `${next} of ${covered}`);
        window = next;
      }
    }),
  );
});

test("BP-1 P-5: floors + granted + held stay within the buffer, and the ledger says so when they would not", () => {
  const action = fc.record({
    session: fc.integer({ min: 0, max: 4 }),
    what: fc.constantFrom("grant", "hold", "release", "close"),
    bytes: fc.integer({ min: 1, max: 3000 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const ledger = new BufferLedger(20_000);
      const accounts = [0, 1, 2, 3, 4].map(() => openAccount(500));
      for (const account of accounts) ledger.move(undefined, account);
      for (const { session, what, bytes } of actions) {
        const before = accounts[session];
        if (before === undefined) continue;
        const free = outstanding(before).bytes;
        let after: typeof before | undefined = before;
        if (what === "grant" && bytes <= ledger.freeBytes) after = grant(before, { bytes, events: 1 });
        if (what === "hold") after = hold(before, { bytes, events: 0 }) ?? before;
        if (what === "hold") assert.equal(after === before, bytes > free, "only what was granted is held");
        if (what === "release") after = release(before, Math.min(bytes, before.heldBytes));
        ledger.move(before, after);
        accounts[session] = after;
        assert.equal(
          ledger.reservedBytes,
          accounts.reduce((sum, account) => sum + reservation(account), 0),
        );
        assert.ok(ledger.reservedBytes <= 20_000);
      }
    }),
  );
  const ledger = new BufferLedger(1000);
  assert.throws(() => ledger.move(undefined, openAccount(1001)), /gateway_buffer_bytes_max/);
});

test("step 4: a bucket refills with time only, never above its burst, and debt is waited for", () => {
  const limit = { bytesPerSecondMax: 1000, eventsPerSecondMax: 10, burstBytesMax: 2000, burstEventsMax: 20 };
  let bucket = fullBucket(limit, 0);
  bucket = spend(bucket, { bytes: 3000, events: 5 });
  assert.deepEqual(covered(bucket, { bytes: 0, events: 0 }), { bytes: 0, events: 15 });
  assert.equal(waitMs(bucket, limit, { bytes: 0, events: 0 }, { bytes: 500, events: 1 }), 1500);
  bucket = refill(bucket, limit, 1500);
  assert.equal(covered(bucket, { bytes: 0, events: 0 }).bytes, 500);
  assert.deepEqual(refill(bucket, limit, 1e9), { bytes: 2000, events: 20, atMs: 1e9 });
  assert.equal(refill(bucket, limit, 100), bucket, "time that runs backwards gives nothing");
});
