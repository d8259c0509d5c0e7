/**
 * Why: when is a gateway fair? Said once, in numbers.
 * Enforces: every check is printed, whether it holds or not; one that does not fails the run.
 * Forbids: thresholds anywhere else.
 */
import { limits } from "ransomeye-kernel";
import { median } from "../stats.ts";
import type { FloodAnswer } from "./flood_main.ts";

const jainMin = 0.95;
const p99RatioMax = 2;
/** Of what the honest ones leave the greedy one gets at least this part, for nobody else wants it. */
const leftUsedMin = 0.8;

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
    ...(isShared(figures) ? [greedyShare(figures)] : []),
    [figures.unanswered === 0, `honest events without a receipt at the end: ${figures.unanswered}`],
    [figures.ledgerBalanced, `ledger ${figures.ledgerBalanced ? "balanced" : "NOT balanced"}`],
  ];
  return {
    lines: checks.map(([holds, line]) => `${holds ? "ok  " : "FAIL"}  ${line}`),
    faults: checks.filter(([holds]) => !holds).map(([, line]) => line),
  };
}

/** Whether the gateway takes less than is offered. */
export function isShared({ totalEventsPerSecond, honestEventsPerSecond, greedyEventsPerSecond }: FairnessFigures): boolean {
  return totalEventsPerSecond < honestEventsPerSecond + greedyEventsPerSecond;
}

/** What the honest ones leave is the greedy one's, and besides what the gate's bucket held when the flood began. */
function greedyShare({ totalEventsPerSecond, pairs }: FairnessFigures): readonly [holds: boolean, line: string] {
  const got = sum(pairs.map(({ flood }) => flood.receipted));
  const left = sum(pairs.map(({ eventsPerSecondFlooded, flood }) => (totalEventsPerSecond - eventsPerSecondFlooded) * flood.seconds));
  // The bucket of a rate holds a second's worth, or two of the largest frames.
  const held = pairs.length * Math.max(totalEventsPerSecond, 2 * limits.frameEventsMax);
  const [least, most] = [Math.round(leftUsedMin * left), Math.round(left + held)];
  return [
    got >= least && got <= most,
    `events of the greedy one with a receipt: ${got} of ${sum(pairs.map(({ flood }) => flood.offered))} offered; the honest ones left it ${Math.round(left)}, full buckets ${held} (at least ${least}, at most ${most})`,
  ];
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
