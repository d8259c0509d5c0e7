// Why: what an engine knows about one partition that it owns, shared by the lease keeper and the writer.
// Enforces: reading goes on from what was read, storing from what was stored, and any doubt goes back to the stored offset.
// Forbids: working past the lease's deadline.

import type { Lease, Position } from "ransomeye-pipeline";

export interface Assignment {
  readonly lease: Lease;
  /** Monotonic milliseconds; no work begins after it. Moved on by each renewal. */
  deadlineMs: number;
  /** Up to here rows are durable. */
  stored: Position | null;
  /** Up to here entries were read, at or past `stored`. */
  read: Position | null;
  /** True once the bus was seen to hold the entry at the stored position. */
  checked: boolean;
  /** No work begins before this time: after a failure, while held or stopped. */
  restUntilMs: number;
  /** Since when the partition has been waiting for another one; null: it is not. */
  heldSinceMs: number | null;
  stopped: boolean;
  /** Failures in a row, of reading or storing. */
  failures: number;
}

export function newAssignment(lease: Lease, deadlineMs: number): Assignment {
  return {
    lease,
    deadlineMs,
    stored: lease.position,
    read: lease.position,
    checked: lease.position === null,
    restUntilMs: 0,
    heldSinceMs: null,
    stopped: false,
    failures: 0,
  };
}

/** Back to the stored offset, not to be touched before `untilMs`. What was read ahead is void. */
export function rest(assignment: Assignment, untilMs: number): void {
  assignment.read = assignment.stored;
  assignment.restUntilMs = untilMs;
}

export function mayWork(assignment: Assignment, nowMs: number): boolean {
  return nowMs < assignment.deadlineMs && nowMs >= assignment.restUntilMs;
}
