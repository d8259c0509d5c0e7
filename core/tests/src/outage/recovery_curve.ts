/**
 * Why: a system that comes back in one burst and collapses under it has not recovered; the seconds after an outage tell.
 * Enforces: how soon receipts come again at half the rate of before, and whether they stay.
 * Forbids: I/O.
 */
import type { Sample } from "./outage_run.ts";

export interface Curve {
  /** Receipted events in each second: before, during, after. */
  readonly before: readonly number[];
  readonly outage: readonly number[];
  readonly after: readonly number[];
  readonly medianBefore: number;
  /** From the end of the outage until receipts came at half the rate of before; null if they never did. */
  readonly secondsToHalf: number | null;
  /** Median of the seconds from then on. */
  readonly medianAfter: number;
  /** Back soon, and no second without a receipt from then on. */
  readonly recovered: boolean;
}

const secondsToHalfMax = 20;
const backShare = 0.5;

export function curveOf(samples: readonly Pick<Sample, "phase" | "receipted">[]): Curve {
  const of = (phase: Sample["phase"]): number[] => samples.filter((sample) => sample.phase === phase).map(({ receipted }) => receipted);
  const [before, outage, after] = [of("before"), of("outage"), of("after")];
  // The first second warms up.
  const medianBefore = median(before.slice(1));
  const back = after.findIndex((receipted) => receipted >= medianBefore * backShare);
  const since = back < 0 ? [] : after.slice(back);
  const medianAfter = median(since);
  const recovered =
    back >= 0 && back < secondsToHalfMax && since.every((receipted) => receipted > 0) && medianAfter >= medianBefore * backShare;
  return { before, outage, after, medianBefore, secondsToHalf: back < 0 ? null : back + 1, medianAfter, recovered };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
