/**
 * Why: detections skip the linger, and a flood of them must not take it away from the gateway that set it. Enforces: R-15, BP-16.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "ransomeye-kernel";
import { seededRandom } from "ransomeye-kernel";
import { SealTimer } from "../src/seal_timer.ts";

/** A producer's open frame under a clock that a test moves. */
class OpenFrame {
  nowMs = 0;
  /** Arrival times of the lines that wait, and of those among them that are detections. */
  waiting: number[] = [];
  urgent: number[] = [];
  seals = 0;
  longestMs = 0;
  longestUrgentMs = 0;
  readonly timer: SealTimer;
  #due: { atMs: number; fire: () => void } | undefined;

  constructor(lingerMs: number) {
    const clock: Clock = {
      nowUs: () => 0,
      monotonicMs: () => this.nowMs,
      setTimer: (ms, fire) => {
        assert.equal(this.#due, undefined, "one timer at a time");
        this.#due = { atMs: this.nowMs + ms, fire };
        return { cancel: () => (this.#due = undefined) };
      },
    };
    this.timer = new SealTimer(clock, lingerMs, () => this.seal());
  }

  seal(): void {
    this.timer.cancel();
    this.seals += 1;
    this.longestMs = Math.max(this.longestMs, ...this.waiting.map((ms) => this.nowMs - ms));
    this.longestUrgentMs = Math.max(this.longestUrgentMs, ...this.urgent.map((ms) => this.nowMs - ms));
    this.waiting = [];
    this.urgent = [];
  }

  join(urgent: boolean): void {
    this.waiting.push(this.nowMs);
    if (urgent) this.urgent.push(this.nowMs);
    this.timer.joined(urgent);
  }

  /** Lets time pass. */
  until(ms: number): void {
    for (let due = this.#due; due !== undefined && due.atMs <= ms; due = this.#due) {
      this.#due = undefined;
      this.nowMs = due.atMs;
      due.fire();
    }
    this.nowMs = ms;
  }
}

test("BP-16 R-15 a detection seals the open frame, whatever the linger; ordinary lines wait for it", () => {
  const frame = new OpenFrame(20);
  frame.timer.linger(60_000);
  frame.join(false);
  frame.until(59_999);
  assert.equal(frame.seals, 0);
  frame.join(true);
  assert.deepEqual([frame.seals, frame.waiting], [1, []]);
  frame.join(false);
  frame.until(59_999 + 60_000);
  assert.equal(frame.seals, 2);
});

test("BP-16 R-15 a flood of detections makes ten times the frames of the linger, and none of them waits longer than a tenth of it", () => {
  for (const lingerMs of [20, 1000, 60_000]) {
    const frame = new OpenFrame(lingerMs);
    for (let i = 0; i <= 10_000; i += 1) {
      frame.until((i * lingerMs) / 1000);
      frame.join(true);
      if (i === 0) assert.equal(frame.seals, 1, "the first is not late");
    }
    // Ten lingers have passed.
    assert.equal(frame.seals, 101);
    assert.ok(frame.longestUrgentMs <= lingerMs / 10);
  }
});

test("BP-16 R-15 whatever comes, nothing waits longer than its time, and a gateway cannot ask for more than a minute", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = seededRandom(seed);
    const frame = new OpenFrame(0);
    frame.timer.linger(10 ** (1 + (seed % 7)));
    const lingerMs = Math.min(60_000, 10 ** (1 + (seed % 7)));
    for (let i = 0; i < 500; i += 1) {
      frame.until(frame.nowMs + random.float() * lingerMs * random.float());
      if (random.float() < 0.05) frame.seal();
      else frame.join(random.float() < 0.3);
    }
    frame.until(frame.nowMs + lingerMs);
    assert.deepEqual(frame.waiting, []);
    // Sums of times have a last digit of their own.
    assert.ok(frame.longestMs <= lingerMs + 0.001 && frame.longestUrgentMs <= lingerMs / 10 + 0.001, `seed ${seed}`);
  }
});
