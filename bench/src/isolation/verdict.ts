/**
 * Why: when is a reader isolated from a flood? Said once, in numbers.
 * Enforces: every check is printed, whether it holds or not; one that does not fails the run.
 * Forbids: thresholds anywhere else.
 */
import { median } from "../stats.ts";

const p99RatioMax = 3;

/** How the gateway stands to PostgreSQL: as the supervisor starts it, waiting for others (niceness 5 of the process and its session), or on one core. */
export const arrangements = ["as started", "nice", "one core"] as const;
export type Arrangement = (typeof arrangements)[number];

/** What one window showed. */
export interface WindowFigures {
  readonly reads: number;
  /** Of the reads, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Events with a receipt in a second: of the honest producers, and of the greedy one. */
  readonly honestEventsPerSecond: number;
  readonly greedyEventsPerSecond: number;
}

/** One quiet window and the flooded ones after it. */
export interface RoundFigures {
  readonly quiet: WindowFigures;
  readonly flooded: Readonly<Record<Arrangement, WindowFigures>>;
}

/** All of one run. */
export interface IsolationFigures {
  readonly honest: number;
  readonly honestEventsPerSecond: number;
  readonly greedyEventsPerSecond: number;
  readonly seconds: number;
  readonly rounds: readonly RoundFigures[];
  /** Honest events without a receipt at the end. */
  readonly unanswered: number;
  readonly ledgerBalanced: boolean;
}

/** The p99 of an arrangement's reads against the quiet window of the same round, median of the rounds. */
export function p99Ratio(figures: IsolationFigures, arrangement: Arrangement): number {
  return median(figures.rounds.map(({ quiet, flooded }) => flooded[arrangement].p99Ms / quiet.p99Ms));
}

/** What was found, and what of it is not as promised. */
export function judge(figures: IsolationFigures): { readonly lines: readonly string[]; readonly faults: readonly string[] } {
  const ratio = p99Ratio(figures, "as started");
  const idle = figures.rounds.filter(({ flooded }) => Object.values(flooded).some((window) => window.greedyEventsPerSecond === 0));
  const checks: readonly (readonly [holds: boolean, line: string])[] = [
    [
      ratio <= p99RatioMax,
      `p99 of reads in a flood against the quiet window, median of ${figures.rounds.length}: ${ratio.toFixed(2)} (at most ${p99RatioMax})`,
    ],
    [idle.length === 0, `rounds in which the greedy producer got nothing in, so that there was no flood: ${idle.length}`],
    [figures.unanswered === 0, `honest events without a receipt at the end: ${figures.unanswered}`],
    [figures.ledgerBalanced, `ledger ${figures.ledgerBalanced ? "balanced" : "NOT balanced"}`],
  ];
  return {
    lines: checks.map(([holds, line]) => `${holds ? "ok  " : "FAIL"}  ${line}`),
    faults: checks.filter(([holds]) => !holds).map(([, line]) => line),
  };
}
