/**
 * Who is told of the gate's state, and when.
 *
 * Why: a state that changes concerns those who want to send. Telling twenty thousand silent sessions costs a second of the gate's time, and a gate that was
 *   short of time when its state changed would be shorter of it afterwards, and change again.
 * Enforces: told are sessions that wait, for credit or for a receipt, those that hold credit beyond their floor, those that speak while the gate is not
 *   open, and those that have heard of trouble when it is over; a bounded number between two ticks, each of the state as it is then: what has passed
 *   meanwhile is no news.
 * Forbids: deciding anything about credit: news explains, the ledger enforces.
 */
import type { GatewaySettings } from "../config/validation.ts";
import { outstanding } from "./buffer.ts";
import { wishOf } from "./credit_wish.ts";
import type { Session, Throttling } from "./session_state.ts";

/** Sessions told between two ticks. */
export const toldPerTickMax = 128;

/** The queue of those who are to be told. Deterministic. */
export class ThrottleNews {
  readonly #settings: GatewaySettings;
  /** Set order is turn order. Whoever has ended since is told nothing. */
  readonly #due = new Set<number>();
  #left: number = toldPerTickMax;

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
  }

  /** The gate's state has changed. Looking at all sessions costs a thousandth of telling them. */
  changed(entries: Iterable<{ readonly session: Session }>): void {
    for (const { session } of entries) if (isConcerned(session, this.#settings)) this.#due.add(session.id);
  }

  /** A session has sent something, while the gate is in this state. */
  spoke({ id, told }: Session, now: Throttling): void {
    if (now.state !== "open" && (told.state !== now.state || told.reason !== now.reason)) this.#due.add(id);
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

function isConcerned(session: Session, settings: GatewaySettings): boolean {
  const { told, inFlight, account } = session;
  if (told.state !== "open" || inFlight > 0 || outstanding(account).bytes > account.floorBytes) return true;
  const wish = wishOf(session, settings);
  return wish.bytes > 0 || wish.events > 0;
}
