/**
 * Why: what one session may still send: credit, pauses, and which transmissions have no answer yet.
 * Enforces: cumulative credit in bytes and events, never overstepped; demand told when there is something new to tell; one rewind for one loss,
 *   however many frames were in flight behind it.
 * Forbids: memory beyond the session: a new one begins a new window.
 */
import type { Throttle } from "ransomeye-ingestion/protocol";

/** Bytes and events, as credit counts them. */
export interface Cost {
  readonly bytes: number;
  readonly events: number;
}

/** A frame put on the wire in this session and not answered yet. */
interface Transmission {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Grows with every rewind. */
  readonly round: number;
}

/** Rewinds without any progress after which the two sides do not understand each other. */
const rewindsMax = 16;
/** The longest that a gateway may pause a producer by one word, whatever it says. */
const pauseMsMax = 3_600_000;
const nothing: Cost = Object.freeze({ bytes: 0, events: 0 });

/** The sending side of one session. */
export class SendWindow {
  #credit: Cost = nothing;
  #spent: Cost = nothing;
  #told: Cost | undefined;
  #throttle: Throttle["state"] = "open";
  #pausedUntilMs = 0;
  #transmissions: Transmission[] = [];
  #round = 0;
  #rewinds = 0;

  get throttle(): Throttle["state"] {
    return this.#throttle;
  }

  /** Totals since the session began; a smaller one is an older one. */
  grant(total: Cost): void {
    this.#credit = { bytes: Math.max(this.#credit.bytes, total.bytes), events: Math.max(this.#credit.events, total.events) };
    this.#told = undefined;
  }

  covers(cost: Cost): boolean {
    return this.#spent.bytes + cost.bytes <= this.#credit.bytes && this.#spent.events + cost.events <= this.#credit.events;
  }

  /** A frame is on its way. */
  spend(cost: Cost, firstSeq: number, lastSeq: number): void {
    this.#spent = { bytes: this.#spent.bytes + cost.bytes, events: this.#spent.events + cost.events };
    this.#transmissions.push({ firstSeq, lastSeq, round: this.#round });
  }

  /** What to ask for, given what waits; undefined where it was told already and has not doubled since. */
  demand(waiting: Cost): Cost | undefined {
    const beyond = (waits: number, credit: number, spent: number): number => Math.max(0, waits - Math.max(0, credit - spent));
    const bytes = beyond(waiting.bytes, this.#credit.bytes, this.#spent.bytes);
    const events = beyond(waiting.events, this.#credit.events, this.#spent.events);
    const told = this.#told;
    if (told !== undefined && bytes < Math.max(1, told.bytes) * 2 && events < Math.max(1, told.events) * 2) return undefined;
    this.#told = { bytes, events };
    return this.#told;
  }

  throttled(throttle: Throttle, nowMs: number): void {
    this.#throttle = throttle.state;
    this.#pausedUntilMs = nowMs + Math.min(throttle.retryAfterMs, pauseMsMax);
  }

  /** When to look again; 0 where it is not paused. */
  pauseMs(nowMs: number): number {
    return this.#throttle === "paused" ? Math.max(0, this.#pausedUntilMs - nowMs) : 0;
  }

  paused(nowMs: number): boolean {
    return this.pauseMs(nowMs) > 0;
  }

  /** Everything up to this sequence is durable. */
  receipted(seq: number): void {
    this.#transmissions = this.#transmissions.filter(({ lastSeq }) => lastSeq > seq);
  }

  /** The server got further. */
  progressed(): void {
    this.#rewinds = 0;
  }

  /** Counts an attempt to begin anew; false where there were too many without progress. */
  mayRewind(): boolean {
    this.#rewinds += 1;
    return this.#rewinds <= rewindsMax;
  }

  /**
   * Whether a refused frame means going back. The oldest transmission of the frame is the one that is answered. If it was sent before the last
   * rewind, we know already; if the server has moved its expectation since, it will refuse what was sent anew as well.
   */
  refused(firstSeq: number): boolean {
    const at = this.#transmissions.findIndex((transmission) => transmission.firstSeq === firstSeq);
    const [answered] = at < 0 ? [] : this.#transmissions.splice(at, 1);
    if (answered?.round !== this.#round) return false;
    this.#round += 1;
    return true;
  }
}
