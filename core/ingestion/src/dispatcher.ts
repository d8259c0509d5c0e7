/**
 * Step 7 of 7: dispatch.
 *
 * Why: one durable transaction can carry the frames of many producers, and a partition's order is the order in which its frames were queued.
 * Enforces: Input: `Trusted` frames, each for the partition of its producer's epoch. Output: batches to append, one in flight per partition
 *   and a bounded number over all. Failure: what the bus did not judge (paused, stale registry, no answer) goes back to the front of its
 *   queue in its order and is tried again after a wait; append-if-next makes the repetition harmless. Backpressure: a queue that cannot
 *   move keeps its room, so no new credit arises. A receipt is made from outcomes only, never from an enqueue. While producers wait for room, small
 *   batches go one at a time, and what waits behind one gathers: each costs as much as the frames of another ten, and it is the frames that they wait for.
 * Forbids: dropping a frame, a second batch of one partition before the first is answered, and frames that `enforceTrust` has not minted.
 */
import { invariant } from "ransomeye-kernel";
import type { AppendOutcome, FrameAppend } from "ransomeye-pipeline";
import { isTrusted, type Trusted } from "../security/trust_enforcement.ts";

/** A frame on its way to the bus. */
export interface Queued {
  readonly session: number;
  readonly frame: Trusted;
  readonly lineage: number;
  /** An append of it got no answer: whether that one stored it nobody can say. */
  readonly repeated?: true;
}

/** Frames to append in one transaction. */
export interface Batch {
  readonly id: number;
  readonly part: number;
  readonly entries: readonly Queued[];
}

/** A frame with its final answer. */
export interface Answered {
  readonly entry: Queued;
  readonly outcome: AppendOutcome;
}

/** What answers to a batch come to. `blocked` says why frames went back to their queue. */
export interface BatchResult {
  readonly part: number;
  /** Time from its leaving to its answer. */
  readonly tookMs: number;
  /** Appends of this partition that had failed in a row before this one. */
  readonly failures: number;
  readonly answered: readonly Answered[];
  readonly blocked: { readonly reason: string; readonly frames: number } | undefined;
}

/** Bounds of the dispatcher. */
export interface DispatchBounds {
  readonly appendsMax: number;
  readonly appendFramesMax: number;
  readonly appendBytesMax: number;
}

/** Share of the largest append from which on another does not wait for more. */
const worthwhileRatio = 1 / 4;

interface Lane {
  readonly part: number;
  queue: Queued[];
  inFlight: Batch | undefined;
  /** When the batch in flight left, and its bytes. */
  sinceMs: number;
  bytes: number;
  retryAtMs: number;
  failures: number;
}

/** Queues per partition. Deterministic: no clock and no I/O of its own. */
export class Dispatcher {
  readonly #bounds: DispatchBounds;
  /** Partitions in the order in which they have waited longest: Map order is turn order. */
  readonly #lanes = new Map<number, Lane>();
  readonly #batches = new Map<number, Lane>();
  #inFlightBytes = 0;
  #nextBatch = 1;

  constructor(bounds: DispatchBounds) {
    this.#bounds = bounds;
  }

  /** Batches that the bus has not answered. */
  get inFlight(): number {
    return this.#batches.size;
  }

  /** Frames that wait or are in flight. */
  get frames(): number {
    let frames = 0;
    for (const lane of this.#lanes.values()) frames += lane.queue.length + (lane.inFlight?.entries.length ?? 0);
    return frames;
  }

  /** Queues a trusted frame for its partition. */
  enqueue(part: number, entry: Queued): void {
    invariant(isTrusted(entry.frame), "only what enforceTrust has minted is dispatched");
    let lane = this.#lanes.get(part);
    if (lane === undefined) {
      lane = { part, queue: [], inFlight: undefined, sinceMs: 0, bytes: 0, retryAtMs: 0, failures: 0 };
      this.#lanes.set(part, lane);
    }
    lane.queue.push(entry);
  }

  /** Whether frames wait for an append. */
  get waiting(): boolean {
    for (const { queue } of this.#lanes.values()) if (queue.length > 0) return true;
    return false;
  }

  /** Age of the oldest batch that the bus has not answered; 0 without one. */
  oldestMs(nowMs: number): number {
    let oldest = 0;
    for (const { sinceMs } of this.#batches.values()) oldest = Math.max(oldest, nowMs - sinceMs);
    return oldest;
  }

  /**
   * Batches that may go now, of `inFlightBytesMax` at most together with those in flight; with `gathers` a small one only where no other is in flight.
   * The caller appends each and brings every one back to `settle` or `fail`.
   */
  take(nowMs: number, inFlightBytesMax: number, gathers: boolean): readonly Batch[] {
    const batches: Batch[] = [];
    for (const lane of [...this.#lanes.values()]) {
      if (this.#batches.size >= this.#bounds.appendsMax) break;
      if (lane.inFlight !== undefined || lane.queue.length === 0 || lane.retryAtMs > nowMs) continue;
      if (gathers && this.#batches.size > 0 && !this.#isWorthwhile(lane)) continue;
      const { entries, bytes } = this.#cut(lane, inFlightBytesMax - this.#inFlightBytes);
      if (entries.length === 0) break;
      const batch: Batch = { id: this.#nextBatch++, part: lane.part, entries };
      lane.inFlight = batch;
      lane.sinceMs = nowMs;
      lane.bytes = bytes;
      this.#inFlightBytes += bytes;
      this.#batches.set(batch.id, lane);
      // To the end of the line: with fewer appends than busy partitions, each has its turn.
      this.#lanes.delete(lane.part);
      this.#lanes.set(lane.part, lane);
      batches.push(batch);
    }
    return batches;
  }

  /**
   * Takes the bus's answers. A frame that was not judged goes back, and with it every later one of its producer in the batch that was refused
   * only because that one was not there.
   */
  settle(id: number, outcomes: readonly AppendOutcome[], nowMs: number, retryMs: number): BatchResult {
    const { lane, batch } = this.#close(id);
    invariant(outcomes.length === batch.entries.length, "the bus answers every frame of a batch");
    const answered: Answered[] = [];
    const kept: Queued[] = [];
    const waiting = new Set<string>();
    let reason: string | undefined;
    let waitMs = retryMs;
    for (const [index, entry] of batch.entries.entries()) {
      const outcome = outcomes[index] as AppendOutcome;
      const { producer } = entry.frame.header;
      if (outcome.kind === "paused" || outcome.kind === "stale_registry") {
        reason ??= outcome.kind === "paused" ? outcome.reason : "registry_stale";
        if (outcome.kind === "paused") waitMs = Math.max(waitMs, outcome.retryAfterMs);
        waiting.add(producer);
        kept.push(entry);
      } else if (outcome.kind === "gap" && waiting.has(producer)) {
        kept.push(entry);
      } else {
        answered.push({ entry, outcome });
      }
    }
    lane.queue = kept.concat(lane.queue);
    lane.retryAtMs = kept.length > 0 ? nowMs + waitMs : 0;
    const { failures } = lane;
    lane.failures = 0;
    this.#forgetIfIdle(lane);
    return {
      part: lane.part,
      tookMs: nowMs - lane.sinceMs,
      failures,
      answered,
      blocked: reason === undefined ? undefined : { reason, frames: kept.length },
    };
  }

  /** The append got no answer: whether it happened is unknown, and sending it again settles it. `failures` counts them in a row. */
  fail(
    id: number,
    nowMs: number,
    retryMs: (failures: number) => number,
  ): { readonly part: number; readonly frames: number; readonly failures: number } {
    const { lane, batch } = this.#close(id);
    lane.queue = [...batch.entries.map((entry): Queued => ({ ...entry, repeated: true })), ...lane.queue];
    lane.retryAtMs = nowMs + retryMs(lane.failures);
    lane.failures += 1;
    return { part: lane.part, frames: batch.entries.length, failures: lane.failures };
  }

  /** Takes back the frames of a session that wait and are not in flight; for a producer that has lost its standing. */
  discard(session: number): readonly Queued[] {
    const gone: Queued[] = [];
    for (const lane of [...this.#lanes.values()]) {
      const kept = lane.queue.filter((entry) => entry.session !== session);
      if (kept.length === lane.queue.length) continue;
      for (const entry of lane.queue) if (entry.session === session) gone.push(entry);
      lane.queue = kept;
      this.#forgetIfIdle(lane);
    }
    return gone;
  }

  /** Whether a lane has a good part of what one append can carry. */
  #isWorthwhile({ queue }: Lane): boolean {
    const { appendFramesMax, appendBytesMax } = this.#bounds;
    if (queue.length >= appendFramesMax * worthwhileRatio) return true;
    return queue.reduce((bytes, { frame }) => bytes + frame.cost.bytes, 0) >= appendBytesMax * worthwhileRatio;
  }

  /** The next frames of a lane: whole, within the bounds of one append, and within what may be in flight. */
  #cut(lane: Lane, bytesMax: number): { readonly entries: readonly Queued[]; readonly bytes: number } {
    const { appendFramesMax, appendBytesMax } = this.#bounds;
    let bytes = 0;
    let frames = 0;
    for (const { frame } of lane.queue) {
      if (frames >= appendFramesMax || bytes + frame.cost.bytes > Math.min(appendBytesMax, bytesMax)) break;
      bytes += frame.cost.bytes;
      frames += 1;
    }
    return { entries: lane.queue.splice(0, frames), bytes };
  }

  #close(id: number): { readonly lane: Lane; readonly batch: Batch } {
    const lane = this.#batches.get(id);
    const batch = lane?.inFlight;
    invariant(lane !== undefined && batch?.id === id, "a batch is answered once");
    this.#batches.delete(id);
    lane.inFlight = undefined;
    this.#inFlightBytes -= lane.bytes;
    return { lane, batch };
  }

  #forgetIfIdle(lane: Lane): void {
    if (lane.inFlight === undefined && lane.queue.length === 0) this.#lanes.delete(lane.part);
  }
}

/** A trusted frame in the words of the bus. The kind comes from the certificate; header and payload are the bytes that were signed. */
export function toAppend(frame: Trusted): FrameAppend {
  const { header, identity, verdicts } = frame;
  return {
    link: header,
    producerKind: identity.kind,
    header: frame.frame.header,
    signature: frame.frame.signature,
    payload: frame.frame.payload,
    verdicts,
  };
}
