/**
 * Who is told of the gate's state, and when.
 *
 * Why: a state that changes concerns those who want to send. Telling twenty thousand silent sessions costs a second of the gate's time, and a gate that was
 *   short of time when its state changed would be shorter of it afterwards, and change again.
 * Enforces: told are sessions that wait, for credit or for a receipt, those that speak while the gate is not open, and those that have heard of trouble
 *   when it is over; a bounded number between two ticks, each of the state as it is then: what has passed meanwhile is no news.
 * Forbids: deciding anything about credit: news explains, the ledger enforces.
 */
import type { Session, Throttling } from "./session_state.ts";

/** Sessions told between two ticks. */
export const toldPerTickMax = 256;

/** The queue of those who are to be told. Deterministic. */
export class ThrottleNews {
  /** Set order is turn order. */
  readonly #due = new Set<number>();
  /** Sessions that have last heard of trouble, or have sent what has no answer yet. */
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
  note({ id, told, inFlight }: Session): void {
    if (told.state === "open" && inFlight === 0) this.#concerned.delete(id);
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
