/**
 * Why it exists: what the index of observables holds has to follow what is stored, off the road of the rows, and through any end of the process that makes it.
 * Enforces: rounds that read batches behind the marks and write their summaries with the marks; a day that is over, or has grown large, is sorted; other rules than
 *   those that the index was made by make it again. Whatever fails changes nothing, and the next round begins where the marks are.
 * Forbids: more memory than a round's summaries or one segment; the row transaction.
 */
import { OBSERVABLE_RULES } from "ransomeye-ingestion/protocol";
import { FrameKeys } from "./frame_keys.ts";
import type { IndexPlace, IndexStore, MarkMove } from "./index_store.ts";
import { type KeyOf, keysUnder } from "./observable_key.ts";
import { type FrameSummary, segmentPostingsMax } from "./segment.ts";

/** What one round did. */
export interface IndexRound {
  readonly frames: number;
  /** Payload bytes that were read. */
  readonly bytes: number;
  /** Keys that were written. */
  readonly keys: number;
  /** Batches that became part of a segment. */
  readonly sorted: number;
  /** There is more to read at once. */
  readonly isBehind: boolean;
}

/** Steps of a round; tests end the process at each. */
export type IndexStep = "read" | "written" | "sorting" | "sorted";

export interface IndexBuilderOptions {
  readonly store: IndexStore;
  /** Now, in microseconds since 1970: a day that is over is sorted. */
  readonly nowUs: () => number;
  readonly probe?: (step: IndexStep) => Promise<void>;
  /** Batches of one partition in a round. */
  readonly framesMax?: number;
  /** Keys that wait of a day before they are sorted. */
  readonly pendingMax?: number;
  /** Tests make keys that fall together. */
  readonly keysOf?: (salt: Buffer) => KeyOf;
}

const framesMaxDefault = 2000;
/** Bytes of keys of one round; the rest is the next one's. */
const roundKeysBytesMax = 16 * 1024 * 1024;
const dayUs = 86_400_000_000;

/** Builds the index; one of its methods at a time. */
export class IndexBuilder {
  readonly #o: IndexBuilderOptions;
  #keys: { readonly salt: Buffer; readonly frames: FrameKeys } | undefined;
  /** Keys that wait, by the beginning of their day; undefined: to be asked. */
  #pending: Map<number, number> | undefined;

  constructor(o: IndexBuilderOptions) {
    this.#o = o;
  }

  /** Indexes some of what is behind the marks, and sorts a day where it is time. */
  async round(): Promise<IndexRound> {
    const { store, probe } = this.#o;
    const { salt, rules } = await store.state();
    if (rules !== OBSERVABLE_RULES) {
      // The marks begin anew, and this round with them.
      await store.rebuild(OBSERVABLE_RULES);
      this.#pending = undefined;
    }
    if (this.#keys?.salt.equals(salt) !== true) this.#keys = { salt, frames: new FrameKeys((this.#o.keysOf ?? keysUnder)(salt)) };
    this.#pending ??= await store.pending();
    const { moves, summaries, bytes, frames, isBehind } = await this.#read(this.#keys.frames);
    await probe?.("read");
    if (moves.length > 0 && !(await this.#write(moves, summaries))) return { frames: 0, bytes, keys: 0, sorted: 0, isBehind: true };
    await probe?.("written");
    const keys = summaries.reduce((sum, one) => sum + one.keys.length / 4, 0);
    const sorted = await this.#sort(isBehind);
    return { frames, bytes, keys, sorted, isBehind };
  }

  async #read(frameKeys: FrameKeys): Promise<{
    readonly moves: MarkMove[];
    readonly summaries: FrameSummary[];
    readonly bytes: number;
    readonly frames: number;
    readonly isBehind: boolean;
  }> {
    const { store, framesMax = framesMaxDefault } = this.#o;
    const moves: MarkMove[] = [];
    const summaries: FrameSummary[] = [];
    let bytes = 0;
    let frames = 0;
    let keyBytes = 0;
    let isBehind = false;
    for (const place of await store.places()) {
      if (!isBehindMark(place)) continue;
      if (keyBytes >= roundKeysBytesMax) {
        isBehind = true;
        break;
      }
      let last: { off: number; receivedUs: number } | undefined;
      let count = 0;
      for await (const { off, receivedUs, payload } of store.frames(place, framesMax)) {
        const keys = frameKeys.of(payload);
        summaries.push({ part: place.part, off, receivedUs, keys });
        last = { off, receivedUs };
        bytes += payload.length;
        keyBytes += keys.length;
        count++;
      }
      frames += count;
      const isWhole = count < framesMax;
      if (!isWhole) isBehind = true;
      // All up to the engine's place is read: the mark stands on it, under its token.
      if (isWhole) moves.push({ from: place, off: place.off, receivedUs: place.received_at, fence: place.fence });
      else if (last !== undefined) moves.push({ from: place, ...last, fence: place.fence === place.mark_fence ? place.fence : null });
    }
    return { moves, summaries, bytes, frames, isBehind };
  }

  async #write(moves: readonly MarkMove[], summaries: readonly FrameSummary[]): Promise<boolean> {
    const pending = this.#pending;
    // What an unknown end leaves is asked for anew.
    this.#pending = undefined;
    if (!(await this.#o.store.write(moves, summaries))) return false;
    for (const { receivedUs, keys } of summaries) {
      const day = Math.floor(receivedUs / dayUs) * dayUs;
      if (keys.length > 0) pending?.set(day, (pending.get(day) ?? 0) + keys.length / 4);
    }
    this.#pending = pending;
    return true;
  }

  /** Sorts one day, if one has waited long enough. */
  async #sort(isBehind: boolean): Promise<number> {
    const { store, probe, nowUs, pendingMax = segmentPostingsMax } = this.#o;
    const today = Math.floor(nowUs() / dayUs) * dayUs;
    for (const [day, postings] of this.#pending ?? []) {
      if (postings < pendingMax && (isBehind || day >= today)) continue;
      this.#pending = undefined;
      const sorted = await store.sort(day, async () => probe?.("sorting"));
      await probe?.("sorted");
      return sorted;
    }
    return 0;
  }
}

/** Whether there may be batches between a mark and the engine's place. */
function isBehindMark({ off, received_at: at, fence, mark_off: markOff, mark_at: markAt, mark_fence: markFence }: IndexPlace): boolean {
  // A place without a time says nothing of what lies before it.
  if (off === 0 || at === 0) return false;
  if (markOff === null || markAt === null) return true;
  if (at < markAt || (at === markAt && off < markOff)) return false;
  return off !== markOff || at !== markAt || fence !== markFence;
}
