/**
 * Who is told of the gate's state, and when.
 *
 * Why: a state that changes concerns those who want to send. Telling twenty thousand silent sessions costs a second of the gate's time, and a gate that was
 *   short of time when its state changed would be shorter of it afterwards, and change again.
 * Enforces: told are sessions that wait, for credit or for a receipt, those that hold credit beyond their floor, those that speak while the gate is not
 *   open, and those that have heard of trouble when it is over; a bounded number between two ticks, each of the state as it is then: what has passed meanwhile is no news.
 * Forbids: deciding anything about credit: news explains, the ledger enforces.
 */
import { outstanding } from "./buffer.ts";
import type { Session, Throttling } from "./session_state.ts";

/** Sessions told between two ticks. */
export const toldPerTickMax = 128;

/** The queue of those who are to be told. Deterministic. */
export class ThrottleNews {
  /** Set order is turn order. */
  readonly #due = new Set<number>();
  /** Sessions that have last heard of trouble, have sent what has no answer yet, or hold credit to send more. */
  readonly #concerned = new Set<number>();
  #left: number = toldPerTickMax;

  /** The gate's state has changed; `waiting` are those who want credit. */
  changed(waiting: Iterable<number>): void {
    for (const id of waiting) this.#due.add(id);
    for (const id of this.#concerned) this.#due.add(id);
  }

  /** A session has sent something, while the gate is in this state. */
  spoke({ id, told }: Session, now: Throttling): void {
    if (now.state !== "open" && (told.state !== now.state || told.reason !== now.reason)) this.#due.add(id);
  }

  /** Notes a live session whose state has changed. */
  note({ id, told, inFlight, account }: Session): void {
    const silent = inFlight === 0 && outstanding(account).bytes <= account.floorBytes;
    if (told.state === "open" && silent) this.#concerned.delete(id);
    else this.#concerned.add(id);
  }

  forget(id: number): void {
    this.#due.delete(id);
    this.#concerned.delete(id);
  }

  /** Time has passed: more may be told. */
  refresh(): void {
    this.#left = toldPerTickMax;
  }

  /** Whose turn it is to be told now. */
  take(): readonly number[] {
    const ids: number[] = [];
    for (const id of this.#due) {
      if (this.#left === 0) break;
      this.#left -= 1;
      this.#due.delete(id);
      ids.push(id);
    }
    return ids;
  }
}
