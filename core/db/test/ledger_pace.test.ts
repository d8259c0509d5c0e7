/** How often the ledger's sums are made: so often that a question has little to count, and no more than a fold is worth (DP-13). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "ransomeye-kernel";
import { foldPauseMs, LedgerFolder } from "../src/ledger.ts";
import type { Queryable } from "../src/pool.ts";

test("DP-13 R-19 the ledger is folded each ten seconds, sooner where 25,000 events come sooner, later where many epochs send or folding is dear", () => {
  const pause = (folded: number, overMs: number, { epochs = 16, tookMs = 0 } = {}): number =>
    foldPauseMs({ epochs, folded, overMs, tookMs });
  assert.equal(pause(0, 10_000), 10_000);
  assert.equal(pause(10_000, 10_000), 10_000, "few come");
  assert.equal(pause(50_000, 10_000), 5_000);
  assert.equal(pause(500_000, 10_000), 1_000, "not more often than each second");
  assert.equal(pause(25_000, 0), 1_000);
  assert.equal(pause(250_000, 5_000, { epochs: 25_000, tookMs: 500 }), 10_000, "each fold touches a row of each epoch");
  assert.equal(pause(5_000_000, 10_000, { epochs: 1_000_000 }), 60_000, "and yet there is an end to waiting");
  assert.equal(pause(50_000, 1_000, { tookMs: 100 }), 1_000);
  assert.equal(pause(50_000, 1_000, { tookMs: 800 }), 3_200, "a machine that is busy");
  assert.equal(pause(50_000, 1_000, { tookMs: 100_000 }), 60_000);
});

test("DP-13 R-19 what a process finds at its start tells nothing of the pace; from then on each fold says when the next is due", async () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs } as Clock;
  const finds = [
    { epochs: 5, folded: 9_000_000 },
    { epochs: 5, folded: 100_000 },
    { epochs: 5, folded: 0 },
  ];
  const asked: number[] = [];
  const pool = {
    query: () => {
      asked.push(nowMs);
      nowMs += 200;
      return Promise.resolve({ rows: [finds[asked.length - 1] ?? finds[2]] });
    },
  } as unknown as Queryable;
  const folder = new LedgerFolder(pool, clock);
  const told: unknown[] = [];
  while (nowMs < 25_000) {
    const fold = await folder.round();
    if (fold !== undefined) told.push([fold.folded, fold.overMs, fold.tookMs]);
    nowMs += 100;
  }
  // 100,000 in ten seconds: the next after two and a half.
  assert.deepEqual(asked, [0, 10_000, 12_500, 22_500]);
  assert.deepEqual(told, [
    [9_000_000, 0, 200],
    [100_000, 10_000, 200],
    [0, 2_500, 200],
    [0, 10_000, 200],
  ]);
});
