/**
 * Whose head the bus is asked for.
 *
 * Why: a resuming fleet would ask the bus fifty thousand small questions; one large one at a time costs a fraction.
 * Enforces: one question in flight, bounded in length; who is wanted twice is asked for once. Producers whose durable frames are not in rows yet are asked
 *   for again and again, so that their spools learn how far they may forget.
 * Forbids: caching an answer.
 */
import type { GatewaySettings } from "../config/validation.ts";
import type { Session } from "./session_state.ts";

/** The queue. Deterministic. */
export class HeadQueue {
  readonly #settings: Pick<GatewaySettings, "headsPerReadMax" | "storedPollMs">;
  readonly #wanted = new Set<string>();
  /** Those whose durable frames are not all in rows. */
  readonly #behind = new Set<string>();
  #reading = false;
  #polledMs = 0;

  constructor(settings: Pick<GatewaySettings, "headsPerReadMax" | "storedPollMs">) {
    this.#settings = settings;
  }

  want(producer: string): void {
    this.#wanted.add(producer);
  }

  /** Notes a live session whose state has changed. */
  note(session: Session): void {
    if (isBehind(session)) this.#behind.add(session.identity.producer);
    else this.#behind.delete(session.identity.producer);
  }

  /** The producer has no session any more. */
  forget(producer: string): void {
    this.#behind.delete(producer);
  }

  /** From time to time: producers whose frames are durable and not yet in rows. */
  poll(nowMs: number): void {
    if (nowMs - this.#polledMs < this.#settings.storedPollMs) return;
    this.#polledMs = nowMs;
    for (const producer of this.#behind) this.#wanted.add(producer);
  }

  /** The next question, if one may be asked now. */
  take(): readonly string[] | undefined {
    if (this.#reading || this.#wanted.size === 0) return undefined;
    const producers: string[] = [];
    for (const producer of this.#wanted) {
      if (producers.length >= this.#settings.headsPerReadMax) break;
      producers.push(producer);
      this.#wanted.delete(producer);
    }
    this.#reading = true;
    return producers;
  }

  /** The question was answered, or failed. */
  answered(): void {
    this.#reading = false;
  }
}

/** Whether frames are durable that are not in rows. An epoch without frames has nothing to store: what counts is the end of the one before. */
function isBehind({ phase, durable, stored, expected }: Session): boolean {
  if (phase !== "streaming" && phase !== "draining") return false;
  const last = durable.seq > 0 ? durable : expected.prev;
  return stored.epoch < last.epoch || (stored.epoch === last.epoch && stored.seq < last.seq);
}
