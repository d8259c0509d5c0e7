/**
 * Step 5 of 7: buffering.
 *
 * Why: the gate's memory is bounded (promise 5) because credit is a reservation: whoever was told that he may send has his room already.
 * Enforces: `floors + granted + held <= gateway_buffer_bytes_max`, asserted at every change of every account. Input: a frame whose cost is
 *   covered by credit. Output: the same account with the cost moved from `granted` to `held`. Failure behaviour: a frame beyond credit
 *   has no room and its session ends (INGEST_CREDIT_EXCEEDED). Backpressure: no free room, no new credit.
 * Forbids: buffering anything that was not granted, and files: the buffer is memory and never receipted.
 */
import { invariant } from "ransomeye-kernel";
import type { Cost } from "./rate_limit.ts";

/** One session's account with the buffer. Totals only grow, as in the protocol's Credit message. Frozen. */
export interface Account {
  /** Room reserved for the session whether it uses it or not; 0 once it has ended. */
  readonly floorBytes: number;
  readonly grantedBytesTotal: number;
  readonly grantedEventsTotal: number;
  readonly spentBytesTotal: number;
  readonly spentEventsTotal: number;
  /** Bytes of frames that have arrived and whose append has not been answered. */
  readonly heldBytes: number;
}

/** The account of a session that was told nothing yet. */
export function openAccount(floorBytes: number): Account {
  return Object.freeze({ floorBytes, grantedBytesTotal: 0, grantedEventsTotal: 0, spentBytesTotal: 0, spentEventsTotal: 0, heldBytes: 0 });
}

/** Credit granted and not used yet. */
export function outstanding(account: Account): Cost {
  return {
    bytes: account.grantedBytesTotal - account.spentBytesTotal,
    events: account.grantedEventsTotal - account.spentEventsTotal,
  };
}

/** Adds credit. */
export function grant(account: Account, more: Cost): Account {
  return Object.freeze({
    ...account,
    grantedBytesTotal: account.grantedBytesTotal + more.bytes,
    grantedEventsTotal: account.grantedEventsTotal + more.events,
  });
}

/** Moves a frame's cost from granted to held; undefined when it was not granted. */
export function hold(account: Account, cost: Cost): Account | undefined {
  const free = outstanding(account);
  if (cost.bytes > free.bytes || cost.events > free.events) return undefined;
  return Object.freeze({
    ...account,
    spentBytesTotal: account.spentBytesTotal + cost.bytes,
    spentEventsTotal: account.spentEventsTotal + cost.events,
    heldBytes: account.heldBytes + cost.bytes,
  });
}

/** Gives back the room of a frame that is settled. */
export function release(account: Account, bytes: number): Account {
  invariant(bytes <= account.heldBytes, "a session releases what it held, once");
  return Object.freeze({ ...account, heldBytes: account.heldBytes - bytes });
}

/** Room that a session occupies: what it was granted and holds, but never less than its floor. */
export function reservation(account: Account): number {
  return Math.max(account.floorBytes, account.grantedBytesTotal - account.spentBytesTotal + account.heldBytes);
}

/** The whole gate's buffer: the sum of all reservations, kept as they change. */
export class BufferLedger {
  readonly bytesMax: number;
  #reservedBytes = 0;
  #heldBytes = 0;
  #reservedBytesPeak = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** floors + granted + held. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** What really lies in memory. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get reservedBytesPeak(): number {
    return this.#reservedBytesPeak;
  }

  get freeBytes(): number {
    return this.bytesMax - this.#reservedBytes;
  }

  /** Follows one account from its old value to its new one; undefined is a session that does not exist. Asserts the bound. */
  move(before: Account | undefined, after: Account | undefined): void {
    if (before !== undefined) {
      this.#reservedBytes -= reservation(before);
      this.#heldBytes -= before.heldBytes;
    }
    if (after !== undefined) {
      this.#reservedBytes += reservation(after);
      this.#heldBytes += after.heldBytes;
    }
    if (this.#reservedBytes > this.#reservedBytesPeak) this.#reservedBytesPeak = this.#reservedBytes;
    invariant(this.#reservedBytes <= this.bytesMax, "floors + granted + held <= gateway_buffer_bytes_max");
    invariant(this.#reservedBytes >= 0 && this.#heldBytes >= 0, "the buffer gives back only what it gave");
  }
}
