/**
 * Why it exists: a live view reads streams by place, as replay does, and shows messages in the order in which they were published.
 * Enforces: within a priority the order of the log; across priorities and streams the order of publication, as far as one round of reading sees it; entries that
 * are gone before they were read are counted.
 * Forbids: groups: what only looks must hold back no retention.
 */
import { type Message, type MessagePriority, priorities, type StreamName } from "../messages/message.ts";
import type { MessageLog, StoredMessage } from "../messages/port.ts";

/** One priority of one stream, and the last offset that was read of it; 0: nothing yet. */
export interface Lane {
  readonly stream: StreamName;
  readonly priority: MessagePriority;
  off: number;
}

/** A message and its place. */
export interface FeedEntry {
  readonly stream: StreamName;
  readonly priority: MessagePriority;
  readonly off: number;
  /** Microseconds since 1970, by the servers' clock. */
  readonly publishedUs: number;
  readonly message: Message;
}

export interface Round {
  /** In order of publication. */
  readonly entries: readonly FeedEntry[];
  /** Entries that were gone before they were read. */
  readonly missed: readonly { readonly stream: StreamName; readonly messages: number }[];
  /** There may be more at once. */
  readonly more: boolean;
}

/** Reads on in all lanes and moves them. `tailOf` says up to where somebody else has read a lane: what lies before it and is not there is gone. */
export async function readLanes(
  log: MessageLog,
  lanes: readonly Lane[],
  pageMax: number,
  tailOf: (lane: Lane) => number = () => 0,
): Promise<Round> {
  const tails = lanes.map(tailOf);
  const pages = await Promise.all(lanes.map(({ stream, priority, off }) => log.read(stream, priority, off, pageMax)));
  // Of a lane that has more only its last time is known: what was published after that waits for the next round.
  const untilUs = Math.min(...pages.filter((page) => page.length === pageMax).map((page) => (page.at(-1) as StoredMessage).publishedUs));
  const entries: FeedEntry[] = [];
  const missed: { stream: StreamName; messages: number }[] = [];
  for (const [index, lane] of lanes.entries()) {
    const { stream, priority } = lane;
    const page = pages[index] ?? [];
    const known = lane.off > 0;
    const due = page.filter(({ publishedUs }) => publishedUs <= untilUs);
    const first = page.length === 0 ? (tails[index] ?? 0) + 1 : (due[0]?.off ?? 0);
    const gone = first - lane.off - 1;
    if (gone > 0) lane.off = first - 1;
    if (gone > 0 && known) missed.push({ stream, messages: gone });
    for (const { off, publishedUs, message } of due) entries.push({ stream, priority, off, publishedUs, message });
    lane.off = due.at(-1)?.off ?? lane.off;
  }
  return {
    entries: entries.sort((a, b) => a.publishedUs - b.publishedUs),
    missed,
    more: pages.some((page) => page.length === pageMax),
  };
}

/** The four lanes of a stream, each directly before its first entry published at or after a time; Infinity: at its end. */
export function seekLanes(log: MessageLog, stream: StreamName, sinceUs: number): Promise<Lane[]> {
  return Promise.all(priorities.map(async (priority) => ({ stream, priority, off: await seek(log, stream, priority, sinceUs) })));
}

/**
 * The last offset before the first entry that was published at or after a time. Times never fall, so it is found by halving, with some twenty reads of one entry
 * where there are a million: that spares every adapter a step of its own.
 */
async function seek(log: MessageLog, stream: StreamName, priority: MessagePriority, sinceUs: number): Promise<number> {
  /** The first entry after an offset if it is early enough to be passed over. */
  const early = async (after: number): Promise<number | undefined> => {
    const [entry] = await log.read(stream, priority, after, 1);
    return entry === undefined || entry.publishedUs >= sinceUs ? undefined : entry.off;
  };
  const [oldest] = await log.read(stream, priority, 0, 1);
  if (oldest === undefined) return 0;
  if (oldest.publishedUs >= sinceUs) return oldest.off - 1;
  let low = oldest.off;
  let step = 1;
  for (let found = await early(low); found !== undefined; found = await early(low + step - 1)) {
    low = found;
    step *= 2;
  }
  let high = low + step;
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    const found = await early(middle - 1);
    if (found === undefined) high = middle;
    else low = found;
  }
  return low;
}
