/**
 * Why it exists: the real-time feed (BUS-11): what happens on the message streams, as it happens, for any number of onlookers in this process.
 * Enforces: one reading of a stream, however many look; each follower has a bounded buffer of its own and is told what it missed; nothing waits for any of them.
 * It begins now, at a time, or where a follower stood before.
 * Forbids: groups. A group is waited for: retention keeps what it has not read, and a stream at its bound turns publishers away. Who only looks must cost nobody that.
 */
import { BusError } from "../errors.ts";
import type { StreamName } from "../messages/message.ts";
import { type FeedItem, type FeedPlaces, Follower } from "./follower.ts";
import { type Lane, seekLanes } from "./lanes.ts";
import { type ReadingOptions, StreamReader } from "./stream_reader.ts";

export type MessageFeedOptions = ReadingOptions;

export interface FollowOptions {
  /** Default: all. */
  readonly streams?: readonly StreamName[];
  /** `now` (default); all that was published since a time, in microseconds since 1970; or on from where a follower stood. */
  readonly start?: "now" | { readonly sinceUs: number } | { readonly places: FeedPlaces };
  /** Messages that may wait for this follower. */
  readonly messagesMax?: number;
  /** Bytes of them. */
  readonly bytesMax?: number;
}

/** Whoever follows: pulls items, or loops over them; closes when it has seen enough. */
export interface FeedFollower extends AsyncIterable<FeedItem> {
  readonly places: FeedPlaces;
  next(): Promise<FeedItem | undefined>;
  close(): void;
}

const messagesMaxDefault = 1024;
const bytesMaxDefault = 8 * 1024 * 1024;

export class MessageFeed {
  readonly #o: MessageFeedOptions;
  readonly #readers = new Map<StreamName, { readonly reader: StreamReader; followers: number }>();
  readonly #followers = new Set<FeedFollower>();
  readonly #stopping = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: MessageFeedOptions) {
    this.#o = options;
  }

  /** Resolves when it has its place: what is published from then on is seen, or counted as missed. @throws BusError BUS_BAD_ARGUMENT, and what the log throws while a time is sought */
  async follow(options: FollowOptions = {}): Promise<FeedFollower> {
    const { streams = this.#o.log.streams, start = "now", messagesMax = messagesMaxDefault, bytesMax = bytesMaxDefault } = options;
    const known = this.#o.log.streams;
    if (streams.length === 0 || streams.some((stream) => !known.includes(stream)) || messagesMax < 1 || bytesMax < 1)
      throw new BusError("BUS_BAD_ARGUMENT", "a follower names streams that exist, and room for at least one message");
    const chosen = [...new Set(streams)];
    const readers = chosen.map((stream) => this.#acquire(stream));
    try {
      await Promise.all(readers.map(({ started }) => started));
      const lanes = (await Promise.all(readers.map((reader) => this.#lanes(reader, start)))).flat();
      if (this.#isClosed) throw new BusError("BUS_CLOSED", "the feed has been closed");
      const follower: FeedFollower = new Follower({
        ...{ ...this.#o, readers, lanes, messagesMax, bytesMax },
        onClose: () => {
          this.#followers.delete(follower);
          for (const stream of chosen) this.#release(stream);
        },
      });
      this.#followers.add(follower);
      return follower;
    } catch (error) {
      for (const stream of chosen) this.#release(stream);
      throw error;
    }
  }

  /** Ends every follower, and whoever waits to become one; the log belongs to whoever opened it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const follower of this.#followers) follower.close();
    await Promise.all([...this.#stopping, ...[...this.#readers.values()].map(({ reader }) => reader.stop())]);
  }

  async #lanes(reader: StreamReader, start: NonNullable<FollowOptions["start"]>): Promise<Lane[]> {
    if (start === "now") return reader.lanes.map((lane) => ({ ...lane }));
    if ("sinceUs" in start) return seekLanes(this.#o.log, reader.stream, start.sinceUs);
    const places = start.places[reader.stream];
    return reader.lanes.map((lane) => ({ ...lane, off: places?.[lane.priority - 1] ?? lane.off }));
  }

  #acquire(stream: StreamName): StreamReader {
    const known = this.#readers.get(stream) ?? { reader: new StreamReader(stream, this.#o), followers: 0 };
    known.followers += 1;
    this.#readers.set(stream, known);
    return known.reader;
  }

  #release(stream: StreamName): void {
    const known = this.#readers.get(stream);
    if (known === undefined) return;
    known.followers -= 1;
    if (known.followers > 0) return;
    this.#readers.delete(stream);
    const stopped = known.reader.stop().finally(() => this.#stopping.delete(stopped));
    this.#stopping.add(stopped);
  }
}
