// Why: the engine's loops and the simulation must store in the same way, one into PostgreSQL, the other into a model of it.
// Enforces: one call is one atomic commit group, answered partition by partition; nothing an answer says can be half true.
// Forbids: exceptions for what a loop has to expect: a lost fence, a frame that must wait, a server that is away.

import type { Lease, Position } from "ransomeye-pipeline";
import type { EngineCode } from "./codes.ts";
import type { PreparedFrame, RowBatch } from "./row_batch.ts";
import { type Halt, type Run, firstOffset } from "./sink_machine.ts";
import type { Gap } from "./tables.ts";

/** Prepared entries of one leased partition, from right after the offset that the group has stored. */
export interface StoreRun extends Run<PreparedFrame> {
  readonly lease: Lease;
}

export interface CommitGroup {
  /** At most one run a partition, none empty. */
  readonly runs: readonly StoreRun[];
  /** Sealed; holds the rows of every frame in `runs`. */
  readonly batch: RowBatch;
}

export type RunOutcome =
  /** Durable. `halt` tells why the rest of the run, if any, was left for later. */
  | { readonly kind: "stored"; readonly position: Position; readonly counts: StoredCounts; readonly halt: Halt | null }
  /** The run's very first frame must wait or cannot be; nothing of it was stored. */
  | { readonly kind: "halted"; readonly halt: Halt }
  /** The partition belongs to somebody else now, or was rewound; nothing of the run was stored under this lease. */
  | { readonly kind: "fenced" }
  /** Nothing of the run was stored. `rests`: it will not pass by itself soon, try again after a long pause. */
  | { readonly kind: "failed"; readonly code: EngineCode; readonly rests: boolean; readonly reason: string };

export interface StoredCounts {
  readonly frames: number;
  readonly skipped: number;
  readonly rows: number;
  readonly deadLettered: number;
  /** What producers declared lost. */
  readonly gaps: readonly Gap[];
}

export interface SinkStore {
  /** Stores one commit group; an outcome for each of its partitions. Settles unknown outcomes before it answers. */
  store(group: CommitGroup): Promise<ReadonlyMap<number, RunOutcome>>;
  /** Gives up whatever is held. A `store` under way ends in `failed`. */
  close(): Promise<void>;
}

/** Adds up what the applied frames of a plan became. */
export function countsOf(frames: readonly PreparedFrame[], skipped: number): StoredCounts {
  let rows = 0;
  let deadLettered = 0;
  const gaps: Gap[] = [];
  for (const frame of frames) {
    rows += frame.rows;
    deadLettered += frame.deadLettered;
    if (frame.gap !== null) gaps.push(frame.gap);
  }
  return { frames: frames.length, skipped, rows, deadLettered, gaps };
}

/** Stored offset of a group that has stored up to `position`; null: nothing yet. */
export function offsetOf(position: Position | null): number {
  return position === null ? firstOffset - 1 : position.off;
}
