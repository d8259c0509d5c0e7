/** Why: the heart that decides what is stored once, tried on every kind of frame and on random redeliveries. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FrameLink } from "ransomeye-pipeline";
import {
  type EpochFinal,
  type FrameFact,
  type Run,
  type SinkHead,
  closedEpochsNeeded,
  finalKey,
  judgeFrame,
  planGroup,
  producersOf,
} from "../src/sink_machine.ts";
import { Chain, producerId } from "../src/testing.ts";

const generation = "00000000-0000-4000-8000-000000000001";

function fact(link: FrameLink, part: number, off: number, over: Partial<FrameFact> = {}): FrameFact {
  return {
    position: { generation, part, off, receivedUs: off, hash: link.hash },
    producerKind: "linux",
    link,
    rows: link.kind === "gap" ? 0 : link.count,
    deadLettered: 0,
    gapDeclared: link.kind === "gap" ? link.count : 0,
    ...over,
  };
}

function headAfter(link: FrameLink): SinkHead {
  return { epoch: link.epoch, seq: link.firstSeq + link.count - 1, hash: link.hash };
}

const lines = (n: number): string[] => Array.from({ length: n }, () => "{}");

/** Two epochs of one producer: three frames, then two. */
function history(): { e1: FrameLink[]; e2: FrameLink[] } {
  const chain = new Chain(producerId(1));
  chain.open(1, { epoch: 0, seq: 0, hash: Buffer.alloc(32) });
  const e1 = [chain.frame({ lines: lines(2) }), chain.frame({ gap: { count: 3, reason: "lost" } }), chain.frame({ lines: lines(1) })].map(
    (f) => f.link,
  );
  chain.open(2, { epoch: 1, seq: chain.seq, hash: chain.hash });
  const e2 = [chain.frame({ lines: lines(2) }), chain.frame({ lines: lines(2) })].map((f) => f.link);
  return { e1, e2 };
}

test("R-2 a frame is applied if it is next, skipped if the sink has it, and anything else stops", () => {
  const { e1 } = history();
  const [first, second, third] = e1 as [FrameLink, FrameLink, FrameLink];
  assert.deepEqual(judgeFrame(undefined, undefined, first), { kind: "apply" });
  assert.deepEqual(judgeFrame(headAfter(first), undefined, first), { kind: "skip" });
  assert.deepEqual(judgeFrame(headAfter(first), undefined, second), { kind: "apply" });
  assert.deepEqual(judgeFrame(headAfter(third), undefined, first), { kind: "skip" });
  assert.deepEqual(judgeFrame(undefined, undefined, second), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" }, "a hole");
  assert.deepEqual(judgeFrame(headAfter(first), undefined, third), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" }, "a hole");
  const overlapping = { ...second, firstSeq: 2 };
  assert.deepEqual(judgeFrame(headAfter(first), undefined, overlapping), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" }, "half known");
});

test("R-2 another hash at the sink's head, or a frame that links elsewhere, stops the partition", () => {
  const { e1 } = history();
  const [first, second] = e1 as [FrameLink, FrameLink];
  assert.deepEqual(judgeFrame({ ...headAfter(first), hash: Buffer.alloc(32, 9) }, undefined, first), {
    kind: "stop",
    code: "ENGINE_HISTORY_DIVERGED",
  });
  assert.deepEqual(judgeFrame({ ...headAfter(first), hash: Buffer.alloc(32, 9) }, undefined, second), {
    kind: "stop",
    code: "ENGINE_CHAIN_BROKEN",
  });
  assert.deepEqual(judgeFrame(undefined, undefined, { ...first, prevHash: Buffer.alloc(32, 9) }), {
    kind: "stop",
    code: "ENGINE_CHAIN_BROKEN",
  });
});

test("R-7 an epoch's first frame is held until the epoch before is complete in the sink", () => {
  const { e1, e2 } = history();
  const [first, second, third] = e1 as [FrameLink, FrameLink, FrameLink];
  const next = e2[0] as FrameLink;
  for (const head of [undefined, headAfter(first), headAfter(second)])
    assert.deepEqual(judgeFrame(head, undefined, next), { kind: "hold" });
  assert.deepEqual(judgeFrame(headAfter(third), undefined, next), { kind: "apply" });
  const longer = { epoch: 1, seq: 7, hash: Buffer.alloc(32, 7) };
  assert.deepEqual(
    judgeFrame(longer, undefined, next),
    { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" },
    "the sink has more than the bus has sealed",
  );
  assert.deepEqual(judgeFrame({ ...headAfter(third), hash: Buffer.alloc(32, 7) }, undefined, next), {
    kind: "stop",
    code: "ENGINE_CHAIN_BROKEN",
  });
});

test("R-7 epochs that were sealed empty are passed over, by the end of the chain before them", () => {
  const { e1, e2 } = history();
  const third = e1[2] as FrameLink;
  const next = { ...(e2[0] as FrameLink), epoch: 4 };
  assert.deepEqual(judgeFrame(headAfter(third), undefined, next), { kind: "apply" }, "told as the last frame's end");
  const told = { ...next, prevEpoch: 3, prevSeq: 0 };
  assert.deepEqual(judgeFrame(headAfter(third), undefined, told), { kind: "apply" }, "told as the empty epoch's end");
  assert.deepEqual(judgeFrame(headAfter(e1[1] as FrameLink), undefined, told), { kind: "hold" });
});

test("R-2 a redelivered frame of a closed epoch is skipped only if the sink knows how that epoch ended", () => {
  const { e1, e2 } = history();
  const [first, , third] = e1 as [FrameLink, FrameLink, FrameLink];
  const head = headAfter(e2[0] as FrameLink);
  const final: EpochFinal = { producer: first.producer, ...headAfter(third) };
  assert.deepEqual(judgeFrame(head, final, first), { kind: "skip" });
  assert.deepEqual(judgeFrame(head, final, third), { kind: "skip" });
  assert.deepEqual(judgeFrame(head, undefined, first), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" });
  assert.deepEqual(judgeFrame(head, { ...final, hash: Buffer.alloc(32, 3) }, third), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" });
  assert.deepEqual(judgeFrame(head, { ...final, seq: 5 }, third), { kind: "stop", code: "ENGINE_HISTORY_DIVERGED" });
});

test("R-8 rows and dead letters that do not add up to the signed count stop the partition", () => {
  const { e1 } = history();
  const [events, gap] = e1 as [FrameLink, FrameLink];
  const plan = (frames: FrameFact[], heads = new Map<string, SinkHead>()) =>
    planGroup({ heads, finals: new Map() }, [{ part: 0, after: null, frames }]).runs[0];
  assert.equal(plan([fact(events, 0, 1, { rows: 1, deadLettered: 1 })])?.settled, 1);
  for (const over of [{ rows: 1 }, { rows: 2, deadLettered: 1 }, { rows: 0, gapDeclared: 2 }]) {
    assert.equal(plan([fact(events, 0, 1, over)])?.halt?.code, "ENGINE_COUNT_BROKEN", JSON.stringify(over));
  }
  assert.equal(
    plan([fact(gap, 0, 1, { gapDeclared: 2 })], new Map([[gap.producer, headAfter(events)]]))?.halt?.code,
    "ENGINE_COUNT_BROKEN",
  );
});

test("R-1 offsets with a hole, and entries of another generation, stop the partition", () => {
  const { e1 } = history();
  const facts = e1.map((link, i) => fact(link, 0, i + 1));
  const [one, two, three] = facts as [FrameFact, FrameFact, FrameFact];
  const heads = new Map<string, SinkHead>();
  const plan = (frames: FrameFact[], after = null as FrameFact | null) =>
    planGroup({ heads: after === null ? heads : new Map([[after.link.producer, headAfter(after.link)]]), finals: new Map() }, [
      { part: 0, after: after?.position ?? null, frames },
    ]).runs[0];
  assert.equal(plan([one, two, three])?.halt, null);
  assert.equal(plan([one, three])?.halt?.code, "ENGINE_OFFSET_HOLE");
  assert.equal(plan([two])?.halt?.code, "ENGINE_OFFSET_HOLE");
  assert.equal(plan([three], one)?.halt?.code, "ENGINE_OFFSET_HOLE");
  assert.equal(plan([{ ...two, position: { ...two.position, generation: producerId(9) } }], one)?.halt?.code, "ENGINE_HISTORY_DIVERGED");
});

test("R-7 a run may complete the epoch for which a later run of the same group waits", () => {
  const { e1, e2 } = history();
  const runs: Run<FrameFact>[] = [
    { part: 1, after: null, frames: e1.map((link, i) => fact(link, 1, i + 1)) },
    { part: 2, after: null, frames: e2.map((link, i) => fact(link, 2, i + 1)) },
  ];
  const plan = planGroup({ heads: new Map(), finals: new Map() }, runs);
  assert.deepEqual(
    plan.runs.map((run) => [run.settled, run.halt]),
    [
      [3, null],
      [2, null],
    ],
  );
  assert.deepEqual(plan.closed, [{ producer: producerId(1), ...headAfter(e1[2] as FrameLink) }]);
  assert.deepEqual(plan.heads, [{ producer: producerId(1), producerKind: "linux", from: null, to: headAfter(e2[1] as FrameLink) }]);
  const reversed = planGroup({ heads: new Map(), finals: new Map() }, [...runs].reverse());
  assert.deepEqual(
    reversed.runs.map((run) => [run.part, run.settled, run.halt?.kind ?? null]),
    [
      [2, 0, "hold"],
      [1, 3, null],
    ],
  );
});

test("heads are asked for once a producer, in one order for all writers", () => {
  const links = [producerId(3), producerId(1), producerId(3)].map((producer) => ({ ...(history().e1[0] as FrameLink), producer }));
  assert.deepEqual(producersOf([{ part: 0, after: null, frames: links.map((link, i) => fact(link, 0, i + 1)) }]), [
    producerId(1),
    producerId(3),
  ]);
});

/** A random history: producers with epochs in changing partitions, appended as one bus would. */
function randomBus(seeds: readonly { producer: number; open: boolean; part: number; count: number }[]): Map<number, FrameFact[]> {
  const chains = new Map<number, { chain: Chain; part: number }>();
  const log = new Map<number, FrameFact[]>();
  for (const { producer, open, part, count } of seeds) {
    let entry = chains.get(producer);
    if (entry === undefined) {
      entry = { chain: new Chain(producerId(producer)), part };
      entry.chain.open(1, { epoch: 0, seq: 0, hash: Buffer.alloc(32) });
      chains.set(producer, entry);
    } else if (open) {
      const { chain } = entry;
      chain.open(chain.epoch + 1, { epoch: chain.epoch, seq: chain.seq, hash: chain.hash });
      entry.part = part;
    }
    const { link } = entry.chain.frame({ lines: lines(count) });
    const entries = log.get(entry.part) ?? [];
    entries.push(fact(link, entry.part, entries.length + 1));
    log.set(entry.part, entries);
  }
  return log;
}

test("R-2 R-7 whatever is redelivered and in whatever groups, every frame is applied once, in its producer's order, and all are in the end", () => {
  const step = fc.record({
    producer: fc.integer({ min: 1, max: 3 }),
    open: fc.boolean(),
    part: fc.integer({ min: 0, max: 2 }),
    count: fc.integer({ min: 1, max: 3 }),
  });
  const turn = fc.record({
    parts: fc.subarray([0, 1, 2], { minLength: 1 }),
    take: fc.integer({ min: 1, max: 6 }),
    back: fc.integer({ min: 0, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), fc.array(turn, { maxLength: 30 }), (steps, turns) => {
      // An opened epoch is always used here; empty ones have a test of their own.
      const log = randomBus(steps);
      const heads = new Map<string, SinkHead>();
      const finals = new Map<string, EpochFinal>();
      const offsets = new Map<number, number>();
      const applied = new Map<string, FrameLink[]>();
      const run = (parts: readonly number[], take: number, back: number): number => {
        const runs = parts.map((part) => {
          const entries = log.get(part) ?? [];
          // A rewind: read again from before the stored offset.
          const from = Math.max(0, (offsets.get(part) ?? 0) - back);
          return { part, after: entries[from - 1]?.position ?? null, frames: entries.slice(from, from + take) };
        });
        const needed = closedEpochsNeeded(heads, runs).map(({ producer, epoch }) => finalKey(producer, epoch));
        const plan = planGroup({ heads, finals: new Map([...finals].filter(([key]) => needed.includes(key))) }, runs);
        for (const move of plan.heads) {
          assert.deepEqual(move.from, heads.get(move.producer) ?? null);
          heads.set(move.producer, move.to);
        }
        for (const final of plan.closed) finals.set(finalKey(final.producer, final.epoch), final);
        let progress = 0;
        for (const [i, planned] of plan.runs.entries()) {
          assert.notEqual(planned.halt?.kind, "stop", planned.halt?.code ?? "");
          for (const { link } of planned.apply) applied.set(link.producer, [...(applied.get(link.producer) ?? []), link]);
          const off = (runs[i]?.after?.off ?? 0) + planned.settled;
          progress += planned.apply.length;
          offsets.set(planned.part, Math.max(off, offsets.get(planned.part) ?? 0));
        }
        return progress;
      };
      for (const { parts, take, back } of turns) run(parts, take, back);
      let left = [...log.values()].reduce((sum, entries) => sum + entries.length, 0);
      for (; left > 0; left--) run([0, 1, 2], 100, 0);
      for (const [part, entries] of log) assert.equal(offsets.get(part), entries.length, `partition ${part} is stored to its end`);
      const all = [...log.values()].flat();
      assert.equal([...applied.values()].flat().length, all.length);
      for (const links of applied.values()) {
        const order = links.map((link) => link.epoch * 1000 + link.firstSeq);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      }
    }),
    { numRuns: 300 },
  );
});
