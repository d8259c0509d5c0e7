/**
 * Why: hearts run under a virtual clock in the simulation, so time is always handed in.
 * Enforces: one place that reads the machine's clocks and starts timers.
 * Forbids: `Date.now`, `performance.now` and `setTimeout` for logic anywhere else.
 */
import { invariant } from "./errors.ts";

/** A timer that was set. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** What a room may know about time. */
export interface Clock {
  /** Wall clock: integer microseconds since 1970, UTC. May step backwards when the machine's clock is set. */
  nowUs(): number;
  /** Milliseconds since an arbitrary moment, with a fraction; never runs backwards. For durations and deadlines. */
  monotonicMs(): number;
  /** Calls `fire` once after `ms` milliseconds (0 to `timerMsMax`). An error thrown by `fire` is a defect and ends the process. */
  setTimer(ms: number, fire: () => void): Timer;
}

/** Node fires a timer at once, with only a warning, when its delay passes 31 bits; so longer ones are refused. */
export const timerMsMax = 2_147_483_647;

/** The machine's own clocks. The wall clock has millisecond resolution: finer digits would be invented, and would drift from NTP. */
export const systemClock: Clock = Object.freeze({
  nowUs: (): number => Date.now() * 1000,
  monotonicMs: (): number => performance.now(),
  setTimer(ms: number, fire: () => void): Timer {
    invariant(ms >= 0 && ms <= timerMsMax, `a timer of ${ms} ms`);
    const handle = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(handle) };
  },
});

/** Resolves after `ms` milliseconds of `clock`; rejects with the signal's reason as soon as `signal` aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.setTimer(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
