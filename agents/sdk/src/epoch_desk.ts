/**
 * Why: a new epoch is asked for rarely, and each time but the first somebody has lost something.
 * Enforces: a bound on openings a day: beyond it the producer is a suspected clone and an operator decides; only what was opened counts, so that
 *   a server which is away cannot use the bound up. What is lost on both sides is declared.
 * Forbids: forgetting that one was asked for: the answer may be lost, and the epoch is ours all the same.
 */
import { encodeGap } from "ransomeye-ingestion/protocol";
import type { ChainPoint, ChainState } from "./chain_types.ts";
import type { EpochReason } from "./machine_types.ts";

const reopensPerDayMax = 5;
const dayUs = 86_400_000_000;

/** The openings of one producer. */
export class EpochDesk {
  #intent: number | undefined;
  #reopenedUs: readonly number[];
  #reason: EpochReason = "first";

  constructor(intent: number | undefined, reopenedUs: readonly number[]) {
    this.#intent = intent;
    this.#reopenedUs = reopenedUs;
  }

  /** Epoch from which a new one was last asked for. */
  get intent(): number | undefined {
    return this.#intent;
  }

  get reopenedUs(): readonly number[] {
    return this.#reopenedUs;
  }

  get reason(): EpochReason {
    return this.#reason;
  }

  /** Notes a question; false where the day's bound is reached. */
  ask(expectedEpoch: number, reason: EpochReason, nowUs: number): boolean {
    this.#reopenedUs = this.#reopenedUs.filter((at) => nowUs - at < dayUs);
    if (reason !== "first" && this.#reopenedUs.length >= reopensPerDayMax) return false;
    this.#reason = reason;
    this.#intent = expectedEpoch;
    return true;
  }

  /** Notes an answer; false where it answers no question. */
  answered(epoch: number, nowUs: number): boolean {
    if (epoch !== (this.#intent ?? -1) + 1) return false;
    if (this.#reason !== "first") this.#reopenedUs = [...this.#reopenedUs, nowUs];
    return true;
  }
}

/** Sequences that the spool has forgotten and that the sealed end `prev` does not hold: gone on both sides. */
export function lostBehind({ epoch, base }: ChainState, prev: ChainPoint): number {
  return Math.max(0, prev.epoch === epoch ? base.seq - prev.seq : prev.epoch < epoch ? base.seq : 0);
}

/** The payload that declares them. */
export function lostPayload({ epoch, base }: ChainState, count: number): Buffer {
  return encodeGap("server_lost", { epoch, first_seq: base.seq - count + 1, last_seq: base.seq });
}
