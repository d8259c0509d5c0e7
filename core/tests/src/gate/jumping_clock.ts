/**
 * Why: deadlines are to strike when a test says so, and no earlier however slow the machine is.
 * Enforces: the system's clock, which only ever goes forward, by itself or by a jump.
 * Forbids: use outside tests.
 */
import { type Clock, systemClock, type Timer } from "ransomeye-kernel";

/** The system's clock, which a test may set forward. Timers that run already notice nothing. */
export class JumpingClock implements Clock {
  #aheadMs = 0;

  nowUs(): number {
    return systemClock.nowUs();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs;
  }

  setTimer(ms: number, fire: () => void): Timer {
    return systemClock.setTimer(ms, fire);
  }

  jump(ms: number): void {
    this.#aheadMs += ms;
  }
}
