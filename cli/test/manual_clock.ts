/** A clock that moves when a test says so. */
import type { Clock, Timer } from "ransomeye-kernel";

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(startUs = 1_700_000_000_000_000): ManualClock {
  let nowMs = 0;
  let timers: { at: number; fire: () => void }[] = [];
  return {
    nowUs: () => startUs + nowMs * 1000,
    monotonicMs: () => nowMs,
    setTimer(ms, fire): Timer {
      const timer = { at: nowMs + ms, fire };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    advance(ms) {
      const end = nowMs + ms;
      for (;;) {
        const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        nowMs = next.at;
        timers = timers.filter((other) => other !== next);
        next.fire();
      }
      nowMs = end;
    },
  };
}
