/**
 * Why: when is a gateway fair? Said once, in numbers.
 * Enforces: every check is printed, whether it holds or not; one that does not fails the run.
 * Forbids: thresholds anywhere else.
 */
import { median } from "../stats.ts";
import type { FloodAnswer } from "./flood_main.ts";

const jainMin = 0.95;
const p99RatioMax = 2;
/** By how much the greedy one may exceed what the honest ones leave: buckets begin full. */
const greedySlack = 1.25;

/** One quiet window and the flooded one after it. */
export interface PairFigures {
  readonly jainQuiet: number;
  readonly jainFlooded: number;
  readonly eventsPerSecondQuiet: number;
  readonly eventsPerSecondFlooded: number;
  readonly p99QuietMs: number;
  readonly p99FloodedMs: number;
  readonly p99Ratio: number;
  readonly flood: FloodAnswer;
}

/** All of one run. */
export interface FairnessFigures {
  readonly honest: number;
  readonly honestEventsPerSecond: number;
  readonly greedyEventsPerSecond: number;
  /** What the gateway takes from all together. */
  readonly totalEventsPerSecond: number;
  readonly seconds: number;
  readonly pairs: readonly PairFigures[];
  /** Honest events without a receipt at the end. */
  readonly unanswered: number;
  readonly bufferPeakRatio: number;
  /** Refusals by code, as the gateway counted them. */
  readonly counted: Readonly<Record<string, number>>;
  readonly ledgerBalanced: boolean;
}

/** Jain's index of fairness: 1 where all have the same, 1/n where one has everything. */
export function jain(values: readonly number[]): number {
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 0 : sum(values) ** 2 / (values.length * squares);
}

/** What was found, and what of it is not as promised. */
export function judge(figures: FairnessFigures): { readonly lines: readonly string[]; readonly faults: readonly string[] } {
  const jainWorst = Math.min(...figures.pairs.map(({ jainFlooded }) => jainFlooded));
  const ratio = median(figures.pairs.map(({ p99Ratio }) => p99Ratio));
  const met = refusalsMet(figures);
  const uncounted = Object.entries(met).filter(([code, count]) => (figures.counted[code] ?? 0) < count);
  const checks: readonly (readonly [holds: boolean, line: string])[] = [
    [
      jainWorst >= jainMin,
      `Jain index of ${figures.honest} honest producers, worst of ${figures.pairs.length} flooded windows: ${jainWorst.toFixed(4)} (at least ${jainMin})`,
    ],
    [ratio <= p99RatioMax, `their p99 against the quiet window, median: ${ratio.toFixed(2)} (at most ${p99RatioMax})`],
    [figures.bufferPeakRatio <= 1, `buffer: peak ÷ bound ${figures.bufferPeakRatio.toFixed(3)} (at most 1)`],
    [uncounted.length === 0, `refusals met: ${list(met)}; counted: ${list(figures.counted)}`],
    [(figures.counted["INGEST_QUARANTINED"] ?? 0) > 0, "the flooder that ignores its credit was quarantined"],
    ...(greedyLeft(figures) < 1
      ? [
          [
            greedyGot(figures) <= greedySlack * greedyLeft(figures),
            `the greedy one got ${greedyGot(figures).toFixed(2)} of what it offered, the honest ones left it ${greedyLeft(figures).toFixed(2)} (at most ${greedySlack} of that)`,
          ] as const,
        ]
      : []),
    [figures.unanswered === 0, `honest events without a receipt at the end: ${figures.unanswered}`],
    [figures.ledgerBalanced, `ledger ${figures.ledgerBalanced ? "balanced" : "NOT balanced"}`],
  ];
  return {
    lines: checks.map(([holds, line]) => `${holds ? "ok  " : "FAIL"}  ${line}`),
    faults: checks.filter(([holds]) => !holds).map(([, line]) => line),
  };
}

/** The part of the greedy one's offer for which the honest ones leave room. */
function greedyLeft({ totalEventsPerSecond, honestEventsPerSecond, greedyEventsPerSecond }: FairnessFigures): number {
  return Math.max(0, totalEventsPerSecond - honestEventsPerSecond) / greedyEventsPerSecond;
}

/** The part of its offer for which it got receipts. */
function greedyGot({ pairs }: FairnessFigures): number {
  return sum(pairs.map(({ flood }) => flood.receipted)) / sum(pairs.map(({ flood }) => flood.offered));
}

function refusalsMet({ pairs }: FairnessFigures): Readonly<Record<string, number>> {
  const met: Record<string, number> = {};
  for (const { flood } of pairs)
    for (const [code, count] of Object.entries(flood.ends)) if (code.startsWith("INGEST_")) met[code] = (met[code] ?? 0) + count;
  return met;
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? "none" : entries.map(([code, count]) => `${code} ${count}`).join(", ");
}

/** Of all values. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
