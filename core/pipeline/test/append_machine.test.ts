/**
 * The pure machine against its own table, against a naive model, and its openings.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  advance,
  type ChainHead,
  chainEnd,
  judge,
  type Known,
  needsKnown,
  noHead,
  openEpoch,
  partitionOf,
  type Verdict,
  zeroHash,
} from "../src/append_machine.ts";
import { groupQuota } from "../src/group_share.ts";
import { makeFrame, producerId, sha256 } from "../src/testing/frames.ts";

const producer = producerId(1);
const [here, hashA, hashB, hashC] = [3, sha256("a"), sha256("b"), sha256("c")];
/** Epoch 5 has accepted seqs 1 to 10, epoch 4 ended at 20. */
const running: ChainHead = { epoch: 5, seq: 10, hash: hashA, part: here, prevEpoch: 4, prevSeq: 20, prevHash: hashB };
const fresh: ChainHead = { ...running, seq: 0, hash: hashB };

const known: Record<"same" | "other" | "none" | "trimmed", (hash: Buffer) => Known> = {
  same: (hash) => ({ kind: "frame", hash }),
  other: () => ({ kind: "frame", hash: hashC }),
  none: () => ({ kind: "none" }),
  trimmed: () => ({ kind: "trimmed" }),
};

interface Row {
  readonly head: ChainHead;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly link: "right" | "wrong hash" | "wrong seq" | "wrong epoch";
  readonly part: number;
  readonly known: keyof typeof known;
}

/** The table in append_machine.ts's header, written a second time and another way. */
function expected(row: Row): Verdict {
  const first = row.head.seq + 1;
  if (row.epoch > row.head.epoch || (row.epoch === row.head.epoch && row.firstSeq > first)) return "gap";
  const past = row.epoch < row.head.epoch || row.firstSeq < first;
  if (past && row.known === "same") return "duplicate";
  if (row.epoch < row.head.epoch) return "fenced";
  if (past) return row.known === "trimmed" ? "duplicate" : "equivocation";
  if (row.link !== "right") return "equivocation";
  return row.part === row.head.part ? "accepted" : "misrouted";
}

describe("append machine", () => {
  test("R-2 every line of the table, for a head in mid-epoch, at an epoch's beginning and for none", () => {
    let rows = 0;
    for (const head of [running, fresh, noHead]) {
      for (const epoch of [1, 4, 5, 6]) {
        for (const firstSeq of [1, 2, 10, 11, 12]) {
          for (const link of ["right", "wrong hash", "wrong seq", "wrong epoch"] as const) {
            for (const part of [here, here + 1]) {
              for (const what of ["same", "other", "none", "trimmed"] as const) {
                const end = chainEnd(head);
                const prev = {
                  epoch: link === "wrong epoch" ? end.epoch + 1 : end.epoch,
                  seq: link === "wrong seq" ? end.seq + 1 : end.seq,
                  hash: link === "wrong hash" ? hashC : end.hash,
                };
                const frame = makeFrame(producer, { epoch, firstSeq, count: 2, prev }).link;
                const row = { head, epoch, firstSeq, link, part, known: what };
                assert.equal(judge(head, frame, known[what](frame.hash), part), expected(row), JSON.stringify(row));
                if (!needsKnown(head, frame))
                  assert.equal(judge(head, frame, { kind: "none" }, part), judge(head, frame, known[what](frame.hash), part));
                rows += 1;
              }
            }
          }
        }
      }
    }
    assert.equal(rows, 3 * 4 * 5 * 4 * 2 * 4);
  });

  test("a frame without seqs is a defect, not a verdict", () => {
    const link = { ...makeFrame(producer, { epoch: 5, firstSeq: 11, count: 1, prev: chainEnd(running) }).link, count: 0 };
    assert.throws(() => judge(running, link, { kind: "none" }, here));
  });

  test("R-2 whatever is sent in whatever order, what is accepted is one chain without holes, and nothing twice", () => {
    const move = fc.record({
      kind: fc.constantFrom("next", "next", "next", "replay", "twin", "skip", "open"),
      pick: fc.nat(30),
      count: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        let head: ChainHead = noHead;
        const log: { epoch: number; firstSeq: number; count: number; hash: Buffer; prev: Buffer }[] = [];
        for (const { kind, pick, count } of moves) {
          if (kind === "open") {
            const opening = openEpoch(head, { expectedEpoch: head.epoch, openedUs: [], nowUs: 0, epochOpeningsPerDayMax: 1, part: here });
            assert.ok(opening.kind === "opened");
            head = opening.head;
            continue;
          }
          const old = log[pick % Math.max(1, log.length)];
          const place =
            kind === "replay" || kind === "twin" ? old : { epoch: head.epoch, firstSeq: head.seq + 1 + (kind === "skip" ? 1 + pick : 0) };
          if (place === undefined || place.epoch === 0) continue;
          const frame = makeFrame(producer, { epoch: place.epoch, firstSeq: place.firstSeq, count, prev: chainEnd(head), salt: kind }).link;
          const link = kind === "replay" && old !== undefined ? { ...frame, count: old.count, hash: old.hash } : frame;
          const before = log.findLast((one) => one.epoch === link.epoch && one.firstSeq <= link.firstSeq);
          const verdict = judge(
            head,
            link,
            before === undefined
              ? { kind: "trimmed" }
              : before.firstSeq === link.firstSeq
                ? { kind: "frame", hash: before.hash }
                : { kind: "none" },
            here,
          );
          if (kind === "replay") assert.equal(verdict, "duplicate");
          if (kind === "twin") assert.equal(verdict, place.epoch === head.epoch ? "equivocation" : "fenced");
          if (kind === "skip") assert.equal(verdict, "gap");
          if (verdict !== "accepted") continue;
          log.push({ epoch: link.epoch, firstSeq: link.firstSeq, count: link.count, hash: link.hash, prev: link.prevHash });
          head = advance(head, link);
        }
        for (const [index, one] of log.entries()) {
          const before = log[index - 1];
          assert.deepEqual(one.prev, before?.hash ?? zeroHash);
          assert.equal(one.firstSeq, before?.epoch === one.epoch ? before.firstSeq + before.count : 1);
          assert.ok(one.epoch >= (before?.epoch ?? 1));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("R-6 an opening: expected epoch, sealed end, empty epochs, daily limit", () => {
    const facts = { expectedEpoch: 5, openedUs: [] as number[], nowUs: 100 * 3_600_000_000, epochOpeningsPerDayMax: 2, part: 9 };
    const opened = openEpoch(running, facts);
    assert.deepEqual(opened, {
      kind: "opened",
      prev: { epoch: 5, seq: 10, hash: hashA },
      head: { epoch: 6, seq: 0, hash: hashA, part: 9, prevEpoch: 5, prevSeq: 10, prevHash: hashA },
    });
    const empty = openEpoch(fresh, facts);
    assert.deepEqual(empty.kind === "opened" && empty.prev, { epoch: 4, seq: 20, hash: hashB });
    const first = openEpoch(noHead, { ...facts, expectedEpoch: 0 });
    assert.deepEqual(first.kind === "opened" && [first.head.epoch, first.prev], [1, { epoch: 0, seq: 0, hash: zeroHash }]);
    for (const expectedEpoch of [0, 4, 6]) assert.equal(openEpoch(running, { ...facts, expectedEpoch }).kind, "conflict");
    const hour = 3_600_000_000;
    assert.equal(openEpoch(running, { ...facts, openedUs: [facts.nowUs - 24 * hour, facts.nowUs - hour] }).kind, "opened");
    const limited = openEpoch(running, {
      ...facts,
      openedUs: [facts.nowUs - 30 * hour, facts.nowUs - 3 * hour, facts.nowUs - 2 * hour, facts.nowUs - hour],
    });
    assert.deepEqual(limited, { kind: "limited", retryAfterMs: 22 * 3_600_000 });
    assert.equal(openEpoch(running, { ...facts, expectedEpoch: 4, openedUs: [facts.nowUs, facts.nowUs] }).kind, "conflict");
  });

  test("R-7 the default partition is spread evenly and does not change", () => {
    assert.equal(partitionOf("00000000-0000-4000-8000-000000000001", 16), partitionOf("00000000-0000-4000-8000-000000000001", 16));
    const found = new Map<number, number>();
    for (let number = 0; number < 1600; number++) {
      const part = partitionOf(producerId(number), 16);
      found.set(part, (found.get(part) ?? 0) + 1);
    }
    assert.equal(found.size, 16);
    for (const count of found.values()) assert.ok(count > 50 && count < 160);
  });

  test("fair shares leave no partition without a taker, and nobody above the need", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 8 }),
        (partitions, wanted) => {
          const quotas = wanted.map((max, index) => groupQuota(partitions, max, wanted.toSpliced(index, 1)));
          const taken = quotas.reduce((sum, quota) => sum + quota, 0);
          assert.ok(
            taken >=
              Math.min(
                partitions,
                wanted.reduce((sum, max) => sum + max, 0),
              ),
          );
          quotas.forEach((quota, index) =>
            assert.ok(quota <= (wanted[index] ?? 0) && quota >= Math.min(wanted[index] ?? 0, Math.floor(partitions / wanted.length))),
          );
        },
      ),
    );
  });
});
