/**
 * Why it exists: how much of a stream is kept, and how long a group that says nothing is waited for.
 * Enforces: one set of bounds with one set of defaults, for every adapter. Bytes are those of a message's JSON in UTF-8, whatever it takes on disk or in memory.
 * Forbids: unbounded streams.
 */

export interface MessageLogOptions {
  /** Entries of a stream, all priorities together, that are kept after every group has settled them (BUS-5). */
  readonly entriesMax: number;
  /** Of them that lie in a server's memory, on adapters that have an archive elsewhere; without it publishers are told here that the stream is full. */
  readonly entriesHotMax: number;
  /** Entries that are kept for groups that have yet to settle them; beyond it publishers are told that the stream is full. At least `entriesMax`. */
  readonly entriesUnreadMax: number;
  /** The same three bounds in bytes: whichever is reached first holds. */
  readonly bytesMax: number;
  readonly bytesHotMax: number;
  readonly bytesUnreadMax: number;
  /** How long entries are kept that every group has settled. */
  readonly keepMsMax: number;
  /** A group that has not asked for so long is dead: nobody waits for it any more, its places are kept. */
  readonly groupDeadMs: number;
}

export interface StreamBounds {
  readonly entries: number;
  readonly bytes: number;
}

type Bounded = Omit<MessageLogOptions, "keepMsMax" | "groupDeadMs">;

/** Where publishers are told that a stream is full. */
export function publishBounds({ entriesMax, entriesUnreadMax, bytesMax, bytesUnreadMax }: Bounded): StreamBounds {
  return { entries: Math.max(entriesMax, entriesUnreadMax), bytes: Math.max(bytesMax, bytesUnreadMax) };
}

/** What is kept of a stream after every group has settled it. */
export function settledBounds({ entriesMax, bytesMax }: Bounded): StreamBounds {
  return { entries: entriesMax, bytes: bytesMax };
}

/** What a stream at its bounds is trimmed to: a little below, so that not every message has to make its own room. */
export function boundsAfterTrim(options: Bounded): StreamBounds {
  const { entries, bytes } = settledBounds(options);
  const below = (bound: number): number => bound - Math.max(1, Math.ceil(bound / 100));
  return { entries: below(entries), bytes: below(bytes) };
}

/** From this share of a server's memory on, all of a stream that the archive has leaves it: messages may be large. */
export const memoryComfort = 0.5;

/** What is left in a server's memory where the archive has the rest: room for what is published until somebody looks again. */
export function boundsLeftHot({ entriesHotMax, bytesHotMax }: Bounded, memoryUsed = 0): StreamBounds {
  const share = memoryUsed > memoryComfort ? 0 : 0.8;
  return { entries: Math.floor(entriesHotMax * share), bytes: Math.floor(bytesHotMax * share) };
}

const mebibyte = 1024 * 1024;

export const messageLogDefaults: MessageLogOptions = {
  entriesMax: 100_000,
  entriesHotMax: 100_000,
  entriesUnreadMax: 10_000_000,
  bytesMax: 1024 * mebibyte,
  bytesHotMax: 256 * mebibyte,
  bytesUnreadMax: 16 * 1024 * mebibyte,
  keepMsMax: 7 * 24 * 3600 * 1000,
  groupDeadMs: 7 * 24 * 3600 * 1000,
};
