/**
 * Step 6 of 7: ordering.
 *
 * Why: each producer's events are stored in the order it sent them (promise 3), and the gate can say at once that a frame is early.
 * Enforces: go-back-N. Input: a verified frame that holds its room. Output: `next`, and the expectation moves past it although its
 *   append is still in flight. Failure: `ahead` is answered with the expected head and not buffered; `behind` (seen before, an older
 *   epoch, or another past than the one expected) is not the gate's to judge: the bus decides on the durable head whether it is a
 *   duplicate, fenced or equivocation. Backpressure: none of its own; a refused frame gives its room back.
 * Forbids: reordering, waiting for a hole to fill, and believing a cached head where the bus knows better.
 */
import type { EpochEnd, FrameLink, ProducerHead } from "ransomeye-pipeline";
import { lastSeqOf } from "../protocol/lib.ts";

/** Where a session's chain is expected to go on, frames in flight included. Frozen. */
export interface Expected {
  readonly epoch: number;
  readonly seq: number;
  /** What the next frame must sign as its past. */
  readonly end: EpochEnd;
  /** Sealed end of the epoch before. */
  readonly prev: EpochEnd;
  /** Grows at each reset: an answer to a frame of an older lineage no longer moves the expectation. */
  readonly lineage: number;
}

/** What becomes of a frame by its place. */
export type Place = "next" | "ahead" | "behind";

/** The frame's place relative to the expectation. */
export function placeOf(expected: Expected, link: FrameLink): Place {
  if (link.epoch !== expected.epoch) return link.epoch > expected.epoch ? "ahead" : "behind";
  if (link.firstSeq !== expected.seq + 1) return link.firstSeq > expected.seq ? "ahead" : "behind";
  const { end } = expected;
  const continues = link.prevEpoch === end.epoch && link.prevSeq === end.seq && link.prevHash.equals(end.hash);
  return continues ? "next" : "behind";
}

/** The expectation after a frame that was next. */
export function advance(expected: Expected, link: FrameLink): Expected {
  const seq = lastSeqOf(link);
  return Object.freeze({ ...expected, seq, end: Object.freeze({ epoch: link.epoch, seq, hash: link.hash }) });
}

/** The expectation that a head implies; starts a new lineage. */
export function expectFrom(head: ProducerHead, lineage: number): Expected {
  const prev: EpochEnd = Object.freeze({ epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash });
  const end: EpochEnd = head.seq > 0 ? Object.freeze({ epoch: head.epoch, seq: head.seq, hash: head.hash }) : prev;
  return Object.freeze({ epoch: head.epoch, seq: head.seq, end, prev, lineage });
}
