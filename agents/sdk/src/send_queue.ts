/**
 * Why: three marks on the chain say everything about sending: what is acknowledged, what goes next, and how much waits behind that.
 * Enforces: acknowledged never lies behind the next to send; the sums always belong to the marks.
 * Forbids: deciding where the marks go.
 */
import { headerBytes } from "ransomeye-ingestion/protocol";
import type { Entry } from "./chain_types.ts";
import type { FrameChain } from "./frame_chain.ts";
import type { Cost, SendWindow } from "./send_window.ts";

/** Bytes that a frame costs beside its payload: header and signature. */
export const frameOverheadBytes: number = headerBytes + 64;

/** What decides a frame's cost. */
type Priced = Pick<Entry, "kind" | "payloadBytes" | "count">;

/** What a frame costs of the session's credit. A gap carries no events, however many sequences it declares lost: it costs one, as the gate counts it. */
export function costOf(entry: Priced): Cost {
  return { bytes: entry.payloadBytes + frameOverheadBytes, events: entry.kind === "gap" ? 1 : entry.count };
}

/** The marks of one producer on its chain. */
export class SendQueue {
  readonly #chain: FrameChain;
  #acked = 0;
  #next = 0;
  #bytes = 0;
  #events = 0;

  constructor(chain: FrameChain) {
    this.#chain = chain;
    this.moveTo(0);
  }

  /** Entries before this position are durable at the server. */
  get acked(): number {
    return this.#acked;
  }

  /** What waits to be sent, or sent again. */
  get waiting(): Cost {
    return { bytes: this.#bytes, events: this.#events };
  }

  /** The next entry to send. */
  peek(): Entry | undefined {
    return this.#chain.at(this.#next);
  }

  /** The next entry is on its way. */
  advance(): void {
    const entry = this.peek();
    if (entry === undefined) return;
    this.#add(entry, -1);
    this.#next += 1;
  }

  /** An entry was put at the chain's end. */
  added(entry: Priced): void {
    this.#add(entry, 1);
  }

  /** Batches that had no place yet were replaced by others. */
  replaced(gone: readonly Priced[], entries: readonly Priced[]): void {
    for (const entry of gone) this.#add(entry, -1);
    for (const entry of entries) this.#add(entry, 1);
  }

  /** How many of the batches without a place the session's credit covers, behind those that have one and wait. */
  covered(window: SendWindow): number {
    let total: Cost = { bytes: 0, events: 0 };
    let count = 0;
    if (this.#chain.unsigned === 0) return 0;
    for (let at = this.#next; at < this.#chain.length; at += 1) {
      const entry = this.#chain.at(at);
      if (entry === undefined) break;
      const cost = costOf(entry);
      total = { bytes: total.bytes + cost.bytes, events: total.events + cost.events };
      if (!window.covers(total)) break;
      if (entry.link === undefined) count += 1;
    }
    return count;
  }

  /** Everything before `position` is durable at the server; sending goes on there or further on. */
  ack(position: number): void {
    this.#acked = position;
    if (this.#next < position) this.moveTo(position);
  }

  /** Acknowledged up to `position`, and sent again from there: the start of a session. */
  resume(position: number): void {
    this.#acked = position;
    this.moveTo(position);
  }

  /** Sending goes on at `position`. */
  moveTo(position: number): void {
    this.#next = position;
    this.#bytes = 0;
    this.#events = 0;
    for (let at = position; at < this.#chain.length; at += 1) {
      const entry = this.#chain.at(at);
      if (entry !== undefined) this.#add(entry, 1);
    }
  }

  /** The chain forgot this many acknowledged entries. */
  forgot(count: number): void {
    this.#acked -= count;
    this.#next -= count;
  }

  /** Age of the oldest that waits, microseconds. */
  oldestUs(nowUs: number): number {
    const entry = this.peek();
    return entry === undefined ? 0 : Math.max(0, nowUs - entry.createdUs);
  }

  #add(entry: Priced, sign: 1 | -1): void {
    const cost = costOf(entry);
    this.#bytes += sign * cost.bytes;
    this.#events += sign * cost.events;
  }
}
