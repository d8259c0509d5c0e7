/**
 * Natural group commit, without a database: what waits leaves together, within its bounds.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { AppendOptions, AppendOutcome, FrameAppend } from "../src/bus.ts";
import { AppendQueue } from "../src/append_queue.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { how } from "./subject.ts";

interface Call {
  readonly part: number;
  readonly frames: readonly FrameAppend[];
  readonly options: AppendOptions;
  settle(): void;
  fail(error: Error): void;
}

function openQueue(bounds = { callBytesMax: 1 << 20, callFramesMax: 100 }): {
  queue: AppendQueue;
  calls: Call[];
  readonly turn: () => Promise<void>;
} {
  const calls: Call[] = [];
  const queue = new AppendQueue(async (part, take) => {
    await Promise.resolve();
    const { frames, options } = take();
    return new Promise<AppendOutcome[]>((resolve, reject) => {
      calls.push({
        part,
        frames,
        options,
        settle: () => resolve(frames.map((_, index) => ({ kind: "paused", reason: String(index), retryAfterMs: 1 }))),
        fail: reject,
      });
    });
  }, bounds);
  return { queue, calls, turn: () => new Promise((resolve) => setImmediate(resolve)) };
}

function frame(count = 1): FrameAppend {
  const chain = new Chain(producerId(1));
  chain.opened(1, chain.end);
  return chain.next(count);
}

describe("append queue", () => {
  test("one call per partition is in flight; what came meanwhile leaves as one, answers go to their callers", async () => {
    const { queue, calls, turn } = openQueue();
    const first = queue.append(0, [frame()], how);
    await turn();
    const rest = [queue.append(0, [frame(), frame()], how), queue.append(0, [frame()], how), queue.append(1, [frame()], how)];
    await turn();
    assert.deepEqual(
      calls.map(({ part, frames }) => [part, frames.length]),
      [
        [0, 1],
        [1, 1],
      ],
    );
    calls[0]?.settle();
    await first;
    await turn();
    assert.deepEqual(
      calls.map(({ part, frames }) => [part, frames.length]),
      [
        [0, 1],
        [1, 1],
        [0, 3],
      ],
    );
    calls[1]?.settle();
    calls[2]?.settle();
    const outcomes = await Promise.all(rest);
    assert.deepEqual(
      outcomes.map((one) => one.map((outcome) => outcome.kind === "paused" && outcome.reason)),
      [["0", "1"], ["2"], ["0"]],
    );
    assert.equal(queue.queuedBytes, 0);
  });

  test("a merged call is bounded by frames and by bytes, and a single large append still leaves", async () => {
    for (const bounds of [
      { callBytesMax: 1 << 20, callFramesMax: 2 },
      { callBytesMax: 1, callFramesMax: 100 },
    ]) {
      const { queue, calls, turn } = openQueue(bounds);
      const all = Promise.all([1, 2, 3, 4].map(() => queue.append(0, [frame()], how)));
      for (let call = 0; call < 4; call++) {
        await turn();
        calls[call]?.settle();
      }
      await all;
      assert.deepEqual(
        calls.map(({ frames }) => frames.length),
        bounds.callBytesMax === 1 ? [1, 1, 1, 1] : [2, 2],
      );
    }
  });

  test("FM-13 appends of different processes of a gate are never merged", async () => {
    const { queue, calls, turn } = openQueue();
    const lives = [producerId(1), producerId(1), producerId(2)];
    const all = Promise.all(lives.map((incarnation) => queue.append(0, [frame()], { ...how, incarnation })));
    for (let call = 0; call < 2; call++) {
      await turn();
      calls[call]?.settle();
    }
    await all;
    assert.deepEqual(
      calls.map(({ frames, options }) => [frames.length, options.incarnation]),
      [
        [2, producerId(1)],
        [1, producerId(2)],
      ],
    );
  });

  test("R-13 appends under different registry versions are never merged", async () => {
    const { queue, calls, turn } = openQueue();
    const all = Promise.all([7, 7, 8].map((registryVersion) => queue.append(0, [frame()], { ...how, registryVersion })));
    await turn();
    calls[0]?.settle();
    await turn();
    calls[1]?.settle();
    await all;
    assert.deepEqual(
      calls.map(({ frames, options }) => [frames.length, options.registryVersion]),
      [
        [2, 7],
        [1, 8],
      ],
    );
  });

  test("a failed call fails its own callers only; closing waits for what was taken and takes nothing more", async () => {
    const { queue, calls, turn } = openQueue();
    const lost = queue.append(0, [frame()], how);
    await turn();
    const later = queue.append(0, [frame()], how);
    calls[0]?.fail(new Error("gone"));
    await assert.rejects(lost, /gone/);
    await turn();
    let closed = false;
    const closing = queue.close().then(() => {
      closed = true;
    });
    await assert.rejects(queue.append(0, [frame()], how), (error) => hasCode(error, "BUS_CLOSED"));
    await turn();
    assert.equal(closed, false);
    calls[1]?.settle();
    await later;
    await closing;
  });
});
