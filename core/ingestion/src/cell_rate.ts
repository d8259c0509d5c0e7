/**
 * A rate with a burst, in one number.
 *
 * Why: tens of thousands of peers and source networks each have one, so it must cost nothing to keep.
 * Enforces: the generic cell rate algorithm: the number is the time at which everything until now would have come at the permitted rate. It may
 *   run ahead of the clock by the burst.
 * Forbids: counting what was refused: whoever keeps trying still gets his rate.
 */

/** So many a second on average, and so many at once. */
export interface CellRate {
  readonly perSecondMax: number;
  readonly burstMax: number;
}

/** The number after one more at `nowMs`, or undefined when that is one too many. Starts at 0. */
export function nextDueMs(dueMs: number, nowMs: number, { perSecondMax, burstMax }: CellRate): number | undefined {
  const eachMs = 1000 / perSecondMax;
  const nextMs = Math.max(dueMs, nowMs) + eachMs;
  return nextMs - nowMs > burstMax * eachMs ? undefined : nextMs;
}
