// Why: the one place where "append if next" is decided a second time, against what the sink already holds.
// Enforces: exactly once from the producers' heads, epoch order across partitions (R-7), rows + dead letters = count (R-8).
// Forbids: I/O, clock, randomness, and trusting an offset: an offset says where to read, never what is stored.

import type { FrameLink, Position, ProducerKind } from "ransomeye-pipeline";
import type { EngineCode } from "./codes.ts";

/** The last frame of a producer that the sink holds. A producer without frames has none. */
export interface SinkHead {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
}

/** How a closed epoch ended in the sink; the proof that a late redelivery of it is a duplicate and not a lost frame. */
export interface EpochFinal {
  readonly producer: string;
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
}

/** What the heart needs to know of a frame that was read and prepared. */
export interface FrameFact {
  readonly position: Position;
  readonly producerKind: ProducerKind;
  readonly link: FrameLink;
  /** Sequence numbers that became rows, became dead letters, or are declared lost by a gap frame. */
  readonly rows: number;
  readonly deadLettered: number;
  readonly gapDeclared: number;
}

export type FrameVerdict =
  | { readonly kind: "apply" }
  | { readonly kind: "skip" }
  | { readonly kind: "hold" }
  | { readonly kind: "stop"; readonly code: EngineCode };

/** Why a run ended before its last frame. `hold` heals by itself once another partition has caught up. */
export interface Halt {
  readonly kind: "hold" | "stop";
  readonly code: EngineCode | null;
  readonly position: Position;
  readonly producer: string;
}

/** Entries of one partition, in order, beginning right after `after` (null: the partition's beginning). */
export interface Run<F extends FrameFact> {
  readonly part: number;
  readonly after: Position | null;
  readonly frames: readonly F[];
}

export interface RunPlan<F extends FrameFact> {
  readonly part: number;
  /** Frames whose rows, dead letters and gaps are to be written, in order. */
  readonly apply: readonly F[];
  /** How many frames are settled, applied and skipped together: the offset moves past exactly these. */
  readonly settled: number;
  readonly skipped: number;
  readonly halt: Halt | null;
}

/** A head that moves, with the value that it must still have when it is written. */
export interface HeadMove {
  readonly producer: string;
  readonly producerKind: ProducerKind;
  readonly from: SinkHead | null;
  readonly to: SinkHead;
}

export interface GroupPlan<F extends FrameFact> {
  readonly runs: readonly RunPlan<F>[];
  readonly heads: readonly HeadMove[];
  readonly closed: readonly EpochFinal[];
}

/** What the sink holds of the producers in question, read under lock. */
export interface SinkView {
  readonly heads: ReadonlyMap<string, SinkHead>;
  readonly finals: ReadonlyMap<string, EpochFinal>;
}

const noFrames: SinkHead = Object.freeze({ epoch: 0, seq: 0, hash: Buffer.alloc(32) });
const apply: FrameVerdict = Object.freeze({ kind: "apply" });
const skip: FrameVerdict = Object.freeze({ kind: "skip" });
const hold: FrameVerdict = Object.freeze({ kind: "hold" });
const diverged: FrameVerdict = Object.freeze({ kind: "stop", code: "ENGINE_HISTORY_DIVERGED" });
const chainBroken: FrameVerdict = Object.freeze({ kind: "stop", code: "ENGINE_CHAIN_BROKEN" });
const countBroken: FrameVerdict = Object.freeze({ kind: "stop", code: "ENGINE_COUNT_BROKEN" });

/** Key of a closed epoch in a `SinkView`. */
export function finalKey(producer: string, epoch: number): string {
  return `${producer}:${epoch}`;
}

/** Last sequence number of a frame. */
export function lastSeq(link: FrameLink): number {
  return link.firstSeq + link.count - 1;
}

/** Decides what a frame is to a producer whose head in the sink is `stored`; `final` is the end of the frame's own epoch if that is closed. */
export function judgeFrame(stored: SinkHead | undefined, final: EpochFinal | undefined, link: FrameLink): FrameVerdict {
  const head = stored ?? noFrames;
  if (link.epoch < head.epoch) return judgeClosedEpoch(final, link);
  if (link.epoch > head.epoch) return judgeNewEpoch(head, link);
  if (lastSeq(link) <= head.seq) {
    return lastSeq(link) === head.seq && !link.hash.equals(head.hash) ? diverged : skip;
  }
  // An epoch lies in one partition in order, so neither a hole nor half a frame can come from this bus.
  if (link.firstSeq !== head.seq + 1) return diverged;
  return link.prevEpoch === head.epoch && link.prevSeq === head.seq && link.prevHash.equals(head.hash) ? apply : chainBroken;
}

/** A frame of an epoch that a later one has followed: stored long ago, or the bus tells another history. */
function judgeClosedEpoch(final: EpochFinal | undefined, link: FrameLink): FrameVerdict {
  if (final === undefined || lastSeq(link) > final.seq) return diverged;
  return lastSeq(link) === final.seq && !link.hash.equals(final.hash) ? diverged : skip;
}

/**
 * The first frame of an epoch waits until all that was signed before it is in the sink: the hash at the sink's head
 * is then the one that the frame has signed as its predecessor. Epochs that were sealed empty leave no trace in the sink
 * and need none. Waiting cannot go round in a circle: a frame only ever waits for frames that were appended before it.
 */
function judgeNewEpoch(head: SinkHead, link: FrameLink): FrameVerdict {
  if (link.firstSeq !== 1) return diverged;
  const afterEmpty = link.prevSeq === 0;
  const order = head.epoch - link.prevEpoch || (afterEmpty ? 0 : head.seq - link.prevSeq);
  if (head.hash.equals(link.prevHash)) return order === 0 || (afterEmpty && order < 0) ? apply : chainBroken;
  if (order < 0) return hold;
  return order > 0 ? diverged : chainBroken;
}

/** every signed sequence number is a row, a dead letter or a declared gap. */
export function addsUp(fact: FrameFact): boolean {
  const settled = fact.link.kind === "gap" ? fact.gapDeclared : fact.rows + fact.deadLettered;
  return settled === fact.link.count && settled === fact.rows + fact.deadLettered + fact.gapDeclared;
}

/** Producers whose heads must be read (and locked) before a group can be planned, in the order in which to lock them. */
export function producersOf(runs: readonly Run<FrameFact>[]): readonly string[] {
  const producers = new Set<string>();
  for (const run of runs) for (const frame of run.frames) producers.add(frame.link.producer);
  return [...producers].sort();
}

/** Closed epochs that redelivered frames belong to; empty but for a rewind or an epoch change. */
export function closedEpochsNeeded(
  heads: ReadonlyMap<string, SinkHead>,
  runs: readonly Run<FrameFact>[],
): readonly { producer: string; epoch: number }[] {
  const needed = new Map<string, { producer: string; epoch: number }>();
  for (const run of runs) {
    for (const { link } of run.frames) {
      const head = heads.get(link.producer);
      if (head !== undefined && link.epoch < head.epoch)
        needed.set(finalKey(link.producer, link.epoch), { producer: link.producer, epoch: link.epoch });
    }
  }
  return [...needed.values()];
}

/**
 * Plans one commit group. Runs are judged in the given order on heads that move as frames are applied, so a run may
 * complete the epoch for which a later run waits. A run ends at the first frame that must wait or cannot be.
 */
export function planGroup<F extends FrameFact>(view: SinkView, runs: readonly Run<F>[]): GroupPlan<F> {
  const heads = new Map(view.heads);
  const finals = new Map(view.finals);
  const moves = new Map<string, HeadMove>();
  const closed: EpochFinal[] = [];
  const plans: RunPlan<F>[] = [];
  for (const run of runs) {
    const toApply: F[] = [];
    let settled = 0;
    let halt: Halt | null = null;
    let after = run.after;
    for (const frame of run.frames) {
      const { link, position, producerKind } = frame;
      const { producer } = link;
      const head = heads.get(producer);
      const verdict = follows(after, position, run.part)
        ? judgeFrame(head, finals.get(finalKey(producer, link.epoch)), link)
        : holeOf(after, position);
      const checked = verdict.kind === "apply" && !addsUp(frame) ? countBroken : verdict;
      if (checked.kind === "hold" || checked.kind === "stop") {
        halt = { kind: checked.kind, code: checked.kind === "stop" ? checked.code : null, position, producer };
        break;
      }
      after = position;
      settled += 1;
      if (checked.kind === "skip") continue;
      if (head !== undefined && head.epoch < link.epoch) {
        const final = { producer, epoch: head.epoch, seq: head.seq, hash: head.hash };
        finals.set(finalKey(producer, head.epoch), final);
        closed.push(final);
      }
      const to = { epoch: link.epoch, seq: lastSeq(link), hash: link.hash };
      heads.set(producer, to);
      moves.set(producer, { producer, producerKind, from: view.heads.get(producer) ?? null, to });
      toApply.push(frame);
    }
    plans.push({ part: run.part, apply: toApply, settled, skipped: settled - toApply.length, halt });
  }
  return { runs: plans, heads: [...moves.values()].sort((a, b) => (a.producer < b.producer ? -1 : 1)), closed };
}

function follows(after: Position | null, position: Position, part: number): boolean {
  if (position.part !== part) return false;
  if (after === null) return position.off === firstOffset;
  return position.off === after.off + 1 && position.generation === after.generation;
}

/** Offsets of a partition begin here; the stored offset of a group that has read nothing is one less. */
export const firstOffset = 1;

function holeOf(after: Position | null, position: Position): FrameVerdict {
  const sameHistory = after === null || after.generation === position.generation;
  return sameHistory ? { kind: "stop", code: "ENGINE_OFFSET_HOLE" } : diverged;
}
