/**
 * Why: the way of a batch from the application to the wire: it gets an index, a place in the chain, its signature, and its turn.
 * Enforces: a frame is sent only when batch and link are on disk, one at a time, within credit; signing anew goes in portions, so that a full spool does
 *   not hold up everything else.
 * Forbids: knowing of sessions and epochs more than it is told.
 */
import { lastSeqOf, payloadHash } from "ransomeye-ingestion/protocol";
import { lostPayload } from "./epoch_desk.ts";
import type { BatchFacts, FrameChain } from "./frame_chain.ts";
import type { Effect, Now, SealedBatch } from "./machine_types.ts";
import { costOf, type SendQueue } from "./send_queue.ts";
import type { SendWindow } from "./send_window.ts";

/** Links signed in one effect. */
const signFramesMax = 128;

/** The sending side of one producer. */
export class Outbox {
  readonly #chain: FrameChain;
  readonly #queue: SendQueue;
  readonly #schemaVersion: number;
  #nextIndex: number;
  #sending = false;
  #signing = false;

  constructor(chain: FrameChain, queue: SendQueue, schemaVersion: number, nextIndex: number) {
    this.#chain = chain;
    this.#queue = queue;
    this.#schemaVersion = schemaVersion;
    this.#nextIndex = nextIndex;
  }

  get nextIndex(): number {
    return this.#nextIndex;
  }

  /** Takes a batch; `sign`: in its place at once, unless others wait for theirs. */
  append(batch: SealedBatch, sign: boolean, pendingEvents: number, now: Now): Effect {
    const index = this.#takeIndex();
    const header = this.#chain.append({ ...batch, index, createdUs: now.us }, sign && this.#chain.unsigned === 0, pendingEvents);
    this.#queue.added(batch);
    return { kind: "append", index, header, payload: undefined, batch, createdUs: now.us };
  }

  /** A batch that declares sequences lost. It is written like any other; its place is for `FrameChain.reopen` to give. */
  declareLost(count: number, now: Now): { readonly facts: BatchFacts; readonly effect: Effect } {
    const payload = lostPayload(this.#chain.state, count);
    const about = {
      payloadBytes: payload.length,
      payloadHash: payloadHash(payload),
      schemaVersion: this.#schemaVersion,
      mappingVersion: 0,
    };
    const batch: SealedBatch = { kind: "gap", count, ...about };
    const index = this.#takeIndex();
    const effect: Effect = { kind: "append", index, header: undefined, payload, batch, createdUs: now.us };
    return { facts: { ...batch, index, createdUs: now.us }, effect };
  }

  /** The next portion to sign, when the last one is on disk. */
  signMore(): Effect | undefined {
    if (this.#signing || this.#chain.unsigned === 0) return undefined;
    const links = this.#chain.signNext(signFramesMax);
    if (links.length === 0) return undefined;
    this.#signing = true;
    return { kind: "sign", links };
  }

  /** A portion is on disk; or what was being signed has no place any more. */
  signed(): void {
    this.#signing = false;
  }

  /** Sends what may be sent; asks for credit for what may not. */
  pump(window: SendWindow, now: Now): Effect | undefined {
    const entry = this.#queue.peek();
    if (entry === undefined || window.paused(now.ms)) return undefined;
    const cost = costOf(entry);
    if (!window.covers(cost)) {
      const demand = window.demand(this.#queue.waiting);
      return demand === undefined ? undefined : { kind: "demand", ...demand, oldestUs: this.#queue.oldestUs(now.us) };
    }
    // never before batch and link are on disk, or a crash could sign this sequence a second time.
    if (this.#sending || entry.link === undefined || !entry.batchDurable || !entry.linkDurable) return undefined;
    const { firstSeq } = entry.link;
    this.#sending = true;
    window.spend(cost, firstSeq, lastSeqOf({ firstSeq, count: entry.count }));
    this.#queue.advance();
    return { kind: "send", index: entry.index };
  }

  /** The transport has room again; or there is a new one. */
  sent(): void {
    this.#sending = false;
  }

  #takeIndex(): number {
    this.#nextIndex += 1;
    return this.#nextIndex - 1;
  }
}
