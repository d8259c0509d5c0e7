/**
 * Why: what the server has confirmed is told to whoever waits for it, and leaves the spool when it is in rows.
 * Enforces: callers are answered exactly once, in order; nothing is forgotten beyond what was acknowledged to us by hash.
 * Forbids: judging a receipt; see `answers.ts`.
 */
import type { Receipt } from "ransomeye-ingestion/protocol";
import type { FrameChain } from "./frame_chain.ts";
import type { Effect, SettleAnswer, SettledFrame } from "./machine_types.ts";
import type { SendQueue } from "./send_queue.ts";

/** The receiving side of one producer. */
export class Settlement {
  readonly #chain: FrameChain;
  readonly #queue: SendQueue;

  constructor(chain: FrameChain, queue: SendQueue) {
    this.#chain = chain;
    this.#queue = queue;
  }

  /** A Welcome's head ends at `position`: what lies before it has its answer, what follows is sent. */
  resume(position: number, answer: SettleAnswer): Effect[] {
    const frames = this.#chain.settle(position);
    this.#queue.resume(position);
    return settled(frames, answer, undefined);
  }

  /** A receipt that holds. */
  receipted(frames: readonly SettledFrame[], receipt: Receipt): Effect[] {
    return [...settled(frames, "receipt", receipt), ...this.stored(receipt.storedEpoch, receipt.storedSeq)];
  }

  /** Forgets what is in rows. */
  stored(epoch: number, seq: number): Effect[] {
    return this.#forget(this.#chain.countUpTo(this.#queue.acked, epoch, seq));
  }

  /** Forgets what is receipted, oldest first, until so many bytes are free. */
  squeeze(bytes: number): Effect[] {
    return this.#forget(this.#chain.countBytes(this.#queue.acked, bytes));
  }

  #forget(count: number): Effect[] {
    if (count === 0) return [];
    this.#queue.forgot(count);
    return [{ kind: "forget", indexes: this.#chain.forget(count) }];
  }
}

function settled(frames: readonly SettledFrame[], answer: SettleAnswer, receipt: Receipt | undefined): Effect[] {
  if (frames.length === 0) return [];
  return [{ kind: "settle", frames, answer, invalid: receipt?.invalid ?? [], invalidMore: receipt?.invalidMore ?? 0 }];
}
