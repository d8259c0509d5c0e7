/**
 * Why it exists: how much of a stream is kept, and how long a group that says nothing is waited for.
 * Enforces: one set of bounds with one set of defaults, for every adapter.
 * Forbids: unbounded streams.
 */

export interface MessageLogOptions {
  /** Entries of a stream, all priorities together (BUS-5). */
  readonly entriesMax: number;
  /** How long entries are kept that every group has settled. */
  readonly keepMsMax: number;
  /** A group that has not asked for so long is dead: nobody waits for it any more, its places are kept. */
  readonly groupDeadMs: number;
}

/** Entries that a stream at its bound is trimmed to: a little below, so that not every message has to make its own room. */
export function entriesAfterTrim(entriesMax: number): number {
  return entriesMax - Math.max(1, Math.ceil(entriesMax / 100));
}

export const messageLogDefaults: MessageLogOptions = {
  entriesMax: 100_000,
  keepMsMax: 7 * 24 * 3600 * 1000,
  groupDeadMs: 7 * 24 * 3600 * 1000,
};
