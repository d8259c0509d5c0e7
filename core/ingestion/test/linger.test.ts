/**
 * Why: a linger that grows without reason delays every event, and one that does not grow lets a fleet of small frames drown the gate.
 * Enforces: R-15, what counts as load, second by second.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { grant, hold, openAccount } from "../src/buffer.ts";
import { Linger, waitingEvents } from "../src/linger.ts";
import type { Session } from "../src/session_state.ts";

const settings = { lingerMsMin: 20, framesPerSecondTarget: 1000, frameCostBytesMax: 100_000 };
const rich = grant(openAccount(0), { bytes: 1_000_000, events: 1000 });

/** So many small frames of one event. */
function frames(linger: Linger, count: number): void {
  const after = hold(rich, { bytes: 100, events: 1 });
  assert.ok(after !== undefined);
  for (let i = 0; i < count; i += 1) linger.frame(rich, after);
}

/** A linger that has seen an overload. */
function raised(): Linger {
  const linger = new Linger(settings);
  frames(linger, 10_000);
  linger.update(1, 0);
  assert.ok(linger.ms > settings.lingerMsMin);
  return linger;
}

test("R-15 frames count by the second: the same number over a long time is no load", () => {
  const linger = new Linger(settings);
  frames(linger, 3000);
  linger.tick(false);
  linger.update(10, 0);
  assert.equal(linger.ms, settings.lingerMsMin);
});

test("BP-15 a second in which nobody waits is judged by itself: a gate that has caught up is not drowning", () => {
  const linger = new Linger(settings);
  frames(linger, 300);
  for (let i = 0; i < 10; i += 1) linger.tick(true);
  linger.update(1, 0);
  assert.ok(linger.ms > settings.lingerMsMin);
  for (let second = 0; second < 20; second += 1) {
    frames(linger, 10);
    for (let i = 0; i < 10; i += 1) linger.tick(false);
    linger.update(1, 0);
  }
  assert.equal(linger.ms, settings.lingerMsMin);
});

test("BP-16 no weight makes a kind gather shorter than the configured time", () => {
  const linger = raised();
  assert.equal(linger.msFor(1), linger.ms);
  assert.equal(linger.msFor(1_000_000), settings.lingerMsMin);
});

test("R-15 floors that idle sessions hold are no events that wait", () => {
  const idle = { account: grant(openAccount(0), { bytes: 0, events: 64 }), want: { bytes: 0, events: 0 } } as unknown as Session;
  const busy = { account: grant(openAccount(0), { bytes: 0, events: 100 }), want: { bytes: 0, events: 30 } } as unknown as Session;
  const spent = { account: openAccount(0), want: { bytes: 0, events: 5 } } as unknown as Session;
  assert.equal(waitingEvents([{ session: idle }, { session: idle }], 64), 0);
  assert.equal(waitingEvents([{ session: idle }, { session: busy }, { session: spent }], 64), 36 + 30 + 5);
});

test("BP-15 a gate that is slow with few frames asks nobody to gather: larger ones would not help it", () => {
  const linger = new Linger(settings);
  for (let second = 0; second < 30; second += 1) {
    frames(linger, 200);
    for (let i = 0; i < 10; i += 1) linger.tick(true);
    linger.update(1, 0);
  }
  assert.equal(linger.ms, settings.lingerMsMin);
});

test("BP-15 peers that wait at some ticks only are a burst, and no gate that has no time", () => {
  const linger = new Linger(settings);
  for (let second = 0; second < 30; second += 1) {
    frames(linger, 900);
    for (let i = 0; i < 10; i += 1) linger.tick(i < 4);
    linger.update(1, 0);
  }
  assert.equal(linger.ms, settings.lingerMsMin);
});

test("BP-15 what was asked takes its time: until producers have gathered that long, their frames say nothing new", () => {
  const linger = new Linger(settings);
  const grew: number[] = [];
  let before = linger.ms;
  for (let second = 1; second <= 60; second += 1) {
    frames(linger, 10_000);
    linger.update(1, 0);
    if (linger.ms > before) grew.push(second);
    before = linger.ms;
  }
  // 80 and 320 ms, 1.28 and 5.12 s, 20.48 s, 60 s.
  assert.deepEqual(grew, [1, 2, 3, 5, 10, 15]);
  assert.equal(linger.ms, 60_000);
});
