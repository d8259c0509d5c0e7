/**
 * Why it exists: one who looks at streams: a browser's tab, a command. It may be slow, or gone without a word.
 * Enforces: what waits for it is bounded, in messages and in bytes; beyond it the oldest go, and it is told how many. Who begins in the past reads by itself, at its
 * own pace, until it has caught up, and misses nothing on the way.
 * Forbids: slowing anybody: nothing waits for a follower.
 */
import { invariant, sleep } from "ransomeye-kernel";
import { feedMissed } from "../events.ts";
import type { StreamName } from "../messages/message.ts";
import { type FeedEntry, type Lane, readLanes } from "./lanes.ts";
import type { FeedListener, ReadingOptions, SizedEntry, StreamReader } from "./stream_reader.ts";

/** What a follower is given. */
export type FeedItem =
  | ({ readonly kind: "message" } & FeedEntry)
  /** So many messages of this stream went by unseen: too many waited, or the stream no longer held them. */
  | { readonly kind: "missed"; readonly stream: StreamName; readonly messages: number }
  /** The log does not answer; it is asked again until it does. */
  | { readonly kind: "away"; readonly reason: string }
  /** It answers again, and nothing was missed but what is told. */
  | { readonly kind: "back" };

/** Offsets that were seen last, by stream, for priorities 1 to 4. */
export type FeedPlaces = Partial<Record<StreamName, readonly [number, number, number, number]>>;

export interface FollowerOptions extends ReadingOptions {
  readonly readers: readonly StreamReader[];
  /** Where it begins. */
  readonly lanes: readonly Lane[];
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly onClose: () => void;
}

/** Entries of one priority that one who catches up reads at once. */
const pageMax = 32;
const awayMs = 1000;
const itself = "catching up";

export class Follower implements FeedListener, AsyncIterable<FeedItem> {
  readonly #o: FollowerOptions;
  readonly #closed = new AbortController();
  readonly #seen: Lane[];
  /** While it catches up; then it stands where the readers stand. */
  #behind: Lane[] | undefined;
  #waiting: (FeedEntry & { readonly bytes?: number })[] = [];
  #bytes = 0;
  readonly #missed = new Map<StreamName, number>();
  /** Who has found the log away, and why. */
  readonly #away = new Map<string, string>();
  #awayTold = false;
  #wake: () => void = () => undefined;
  #asked = false;

  constructor(options: FollowerOptions) {
    this.#o = options;
    this.#seen = options.lanes.map((lane) => ({ ...lane }));
    this.#behind = options.lanes.map((lane) => ({ ...lane }));
    options.readers.forEach((reader) => reader.listeners.add(this));
  }

  /** Where it stands: after the last message that was handed out. */
  get places(): FeedPlaces {
    const places: Partial<Record<StreamName, [number, number, number, number]>> = {};
    for (const { stream, priority, off } of this.#seen) {
      const own = places[stream] ?? [0, 0, 0, 0];
      own[priority - 1] = off;
      places[stream] = own;
    }
    return places;
  }

  /** The next item; waits for it. Undefined once it is closed. One call at a time. */
  async next(): Promise<FeedItem | undefined> {
    invariant(!this.#asked, "a follower is asked once at a time");
    this.#asked = true;
    try {
      while (!this.#closed.signal.aborted) {
        const item = this.#take();
        if (item !== undefined) return item;
        if (this.#behind !== undefined && !this.#hasCaughtUp(this.#behind)) await this.#catchUp(this.#behind);
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      return undefined;
    } finally {
      this.#asked = false;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FeedItem, void> {
    try {
      for (let item = await this.next(); item !== undefined; item = await this.next()) yield item;
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new Error("nobody looks any more"));
    for (const reader of this.#o.readers) reader.listeners.delete(this);
    this.#waiting = [];
    this.#wake();
    this.#o.onClose();
  }

  onEntries(entries: readonly SizedEntry[]): void {
    // Whoever catches up will read them by itself.
    if (this.#behind !== undefined) return;
    for (const entry of entries) {
      // It had read on further than the reader, before it caught up.
      if (entry.off <= this.#laneOf(entry).off) continue;
      this.#waiting.push(entry);
      this.#bytes += entry.bytes;
    }
    const { messagesMax, bytesMax } = this.#o;
    while (this.#waiting.length > messagesMax || (this.#bytes > bytesMax && this.#waiting.length > 1)) {
      const { stream } = this.#shift();
      this.#miss(stream, 1);
    }
    this.#wake();
  }

  onMissed(stream: StreamName, messages: number): void {
    if (this.#behind !== undefined) return;
    this.#miss(stream, messages);
    this.#wake();
  }

  onAway(who: string, reason: string): void {
    this.#away.set(who, reason);
    this.#wake();
  }

  onBack(who: string): void {
    if (this.#away.delete(who)) this.#wake();
  }

  /** What can be handed out now. */
  #take(): FeedItem | undefined {
    const [stream, messages] = this.#missed.entries().next().value ?? [];
    if (stream !== undefined && messages !== undefined) {
      this.#missed.delete(stream);
      return { kind: "missed", stream, messages };
    }
    if (this.#waiting.length > 0) {
      const entry = this.#shift();
      this.#laneOf(entry).off = entry.off;
      const { priority, off, publishedUs, message } = entry;
      return { kind: "message", stream: entry.stream, priority, off, publishedUs, message };
    }
    const [reason] = this.#away.values();
    if (reason === undefined && this.#awayTold) {
      this.#awayTold = false;
      return { kind: "back" };
    }
    if (reason === undefined || this.#awayTold) return undefined;
    this.#awayTold = true;
    return { kind: "away", reason };
  }

  #shift(): FeedEntry {
    const entry = this.#waiting.shift();
    invariant(entry !== undefined, "something waits");
    this.#bytes -= entry.bytes ?? 0;
    return entry;
  }

  /** True, from then on, once everything was read that the readers had read: they tell the rest. */
  #hasCaughtUp(behind: readonly Lane[]): boolean {
    if (behind.some((lane) => lane.off < this.#tailOf(lane))) return false;
    this.#behind = undefined;
    for (const lane of behind) this.#laneOf(lane).off = lane.off;
    return true;
  }

  async #catchUp(behind: readonly Lane[]): Promise<void> {
    const { log, clock } = this.#o;
    try {
      const { entries, missed } = await readLanes(log, behind, pageMax, (lane) => this.#tailOf(lane));
      for (const { stream, messages } of missed) this.#miss(stream, messages);
      this.#waiting.push(...entries);
      this.onBack(itself);
    } catch (error) {
      this.onAway(itself, error instanceof Error ? error.message : String(error));
      if (this.#awayTold) await sleep(clock, awayMs, this.#closed.signal).catch(() => undefined);
    }
  }

  #miss(stream: StreamName, messages: number): void {
    this.#missed.set(stream, (this.#missed.get(stream) ?? 0) + messages);
    this.#o.telemetry.emit(feedMissed, { stream, messages });
  }

  #tailOf({ stream, priority }: Lane): number {
    const reader = this.#o.readers.find((one) => one.stream === stream);
    return reader?.lanes.find((lane) => lane.priority === priority)?.off ?? 0;
  }

  #laneOf({ stream, priority }: Pick<Lane, "stream" | "priority">): Lane {
    const lane = this.#seen.find((one) => one.stream === stream && one.priority === priority);
    invariant(lane !== undefined, "a follower hears of its own streams alone");
    return lane;
  }
}
