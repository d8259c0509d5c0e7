/**
 * Why it exists: how much of a stream is kept, and how long a group that says nothing is waited for.
 * Enforces: one set of bounds with one set of defaults, for every adapter.
 * Forbids: unbounded streams.
 */

export interface MessageLogOptions {
  /** Entries of a stream, all priorities together, that are kept after every group has settled them (BUS-5). */
  readonly entriesMax: number;
  /** Of them that lie in a server's memory, on adapters that have an archive elsewhere; without it publishers are told here that the stream is full. */
  readonly entriesHotMax: number;
  /** Entries that are kept for groups that have yet to settle them; beyond it publishers are told that the stream is full. At least `entriesMax`. */
  readonly entriesUnreadMax: number;
  /** How long entries are kept that every group has settled. */
  readonly keepMsMax: number;
  /** A group that has not asked for so long is dead: nobody waits for it any more, its places are kept. */
  readonly groupDeadMs: number;
}

/** Where publishers are told that a stream is full. */
export function publishBound({ entriesMax, entriesUnreadMax }: Pick<MessageLogOptions, "entriesMax" | "entriesUnreadMax">): number {
  return Math.max(entriesMax, entriesUnreadMax);
}

/** Entries that a stream at its bound is trimmed to: a little below, so that not every message has to make its own room. */
export function entriesAfterTrim(entriesMax: number): number {
  return entriesMax - Math.max(1, Math.ceil(entriesMax / 100));
}

/** From this share of a server's memory on, all of a stream that the archive has leaves it: messages may be large. */
export const memoryComfort = 0.5;

/** What is left in a server's memory where the archive has the rest: room for what is published until somebody looks again. */
export function entriesLeftHot(entriesHotMax: number, memoryUsed = 0): number {
  return memoryUsed > memoryComfort ? 0 : Math.floor(entriesHotMax * 0.8);
}

export const messageLogDefaults: MessageLogOptions = {
  entriesMax: 100_000,
  entriesHotMax: 100_000,
  entriesUnreadMax: 10_000_000,
  keepMsMax: 7 * 24 * 3600 * 1000,
  groupDeadMs: 7 * 24 * 3600 * 1000,
};
