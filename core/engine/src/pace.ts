// Why: how often the engine looks, and when it has gathered enough; both decide latency and cost.
// Enforces: R-9: all tails in one query every 2 to 20 ms; commit when drained, else at the rows or milliseconds bound.
// Forbids: I/O and clocks: callers say what time it is.

/** Bounds of the pause between two looks at the bus tails. */
export const pollMsMin = 2;
export const pollMsMax = 20;
/** Pause while the bus gives no answer: each look is a line in the log. */
export const pollMsUnanswered = 500;

/** What a look at the tails has shown. */
export type Look = "news" | "silence" | "no answer";

/**
 * Pause before the next look at the tails. News shortens it to the minimum, silence doubles it up to the maximum; while
 * the writers have more than they can store, looking often is of no use to anyone.
 */
export function nextPollMs(previousMs: number, { seen, backlog }: { readonly seen: Look; readonly backlog: boolean }): number {
  if (seen === "no answer") return pollMsUnanswered;
  if (backlog) return pollMsMax;
  return seen === "news" ? pollMsMin : Math.min(pollMsMax, Math.max(pollMsMin, previousMs * 2));
}

export interface GatherLimits {
  readonly commitRowsMax: number;
  readonly commitMsMax: number;
  readonly gatherBytesMax: number;
}

export interface Gathered {
  readonly rows: number;
  readonly bytes: number;
  /** Milliseconds since the first frame of the group was read. */
  readonly elapsedMs: number;
}

/** True when a group should be stored although the bus has more. An empty group is never full. */
export function groupIsFull(gathered: Gathered, limits: GatherLimits): boolean {
  return gathered.rows >= limits.commitRowsMax || gathered.bytes >= limits.gatherBytesMax || gathered.elapsedMs >= limits.commitMsMax;
}

/** When to stop working on a lease: a third of its time is kept back for a commit that is under way. */
export function workDeadlineMs(renewalAskedMs: number, leaseMs: number): number {
  return renewalAskedMs + Math.floor((leaseMs * 2) / 3);
}
