/**
 * Why it exists: alerts arrive at the keeper when the supervisor has some, and the keeper's round comes when it comes.
 * Enforces: bounded by what the supervisor hands over at once: what it hands next takes the place of what was not fetched, which is part of it.
 * Forbids: forgetting before they are kept.
 */
import type { AlertPayload, Message } from "ransomeye-pipeline";

export class AlertInbox {
  #waiting: readonly Message<AlertPayload>[] = [];

  get waiting(): readonly Message<AlertPayload>[] {
    return this.#waiting;
  }

  put(alerts: readonly Message<AlertPayload>[]): void {
    this.#waiting = alerts;
  }

  /** These are kept; others may have come meanwhile. */
  kept(alerts: readonly Message<AlertPayload>[]): void {
    if (this.#waiting === alerts) this.#waiting = [];
  }
}
