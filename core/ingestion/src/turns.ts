/**
 * The event loop's time, shared between what peers say and everything else.
 *
 * Why: verifying a small frame costs as much as a large one, and thousands of peers can hand over frames for seconds of work at once; meanwhile
 *   answers of the bus, receipts, ticks and a new linger would wait, and the overload would feed itself.
 * Enforces: what peers say gets at most `msMax` of each turn of the loop; what has no time waits in the order in which it came.
 * Forbids: holding more than was read already: who waits does not read on, so his window closes and he waits too.
 */
import type { Clock } from "ransomeye-kernel";

/** Time for peers in one turn of the loop. A chunk that has begun is finished. */
export const peerTurnMsMax = 10;

/** Turns of the event loop. */
export class Turns {
  readonly #clock: Clock;
  readonly #msMax: number;
  readonly #nextTurn: (work: () => void) => void;
  #waiting: (() => void)[] = [];
  #sinceMs: number | undefined;

  /** `nextTurn` calls back once everything else has had its turn; replaced in tests. */
  constructor(clock: Clock, msMax: number = peerTurnMsMax, nextTurn: (work: () => void) => void = setImmediate) {
    this.#clock = clock;
    this.#msMax = msMax;
    this.#nextTurn = nextTurn;
  }

  /** Does `work` now if there is time, else in a later turn, in order. Returns whether it was done. */
  run(work: () => void): boolean {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = this.#clock.monotonicMs();
      this.#nextTurn(() => this.#begin());
    }
    if (this.#waiting.length > 0 || !this.#hasTime()) {
      this.#waiting.push(work);
      return false;
    }
    work();
    return true;
  }

  /** Whether somebody has to wait at this moment. */
  get isBehind(): boolean {
    return this.#waiting.length > 0;
  }

  #begin(): void {
    const work = this.#waiting;
    if (work.length === 0) {
      this.#sinceMs = undefined;
      return;
    }
    this.#sinceMs = this.#clock.monotonicMs();
    // Whoever comes while these are at it waits behind them.
    let done = 0;
    while (done < work.length && (done === 0 || this.#hasTime())) work[done++]?.();
    this.#waiting = work.slice(done);
    this.#nextTurn(() => this.#begin());
  }

  #hasTime(): boolean {
    return this.#sinceMs === undefined || this.#clock.monotonicMs() - this.#sinceMs < this.#msMax;
  }
}
