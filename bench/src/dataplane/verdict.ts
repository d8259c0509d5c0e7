/**
 * Why: the claims about the data plane under readers are judged in one place, for the terminal and for the page.
 * Enforces: each claim with its figure and its bound.
 * Forbids: a bound that is not written here.
 */
import type { RawCopyResult } from "../ingest/raw_copy.ts";
import { median } from "../stats.ts";
import { lockWaitMs, type ServerFacts } from "./server_watch.ts";

/** Milliseconds of each read, by what was asked. */
export type ReadTimes = Readonly<Record<string, readonly number[]>>;

/** By the whole engine, from the log; and by the sink alone, with batches that were read and encoded before. Different events, as many. */
export interface RoundFigures {
  readonly engine: StoreFigures;
  readonly sink: StoreFigures;
}

/** The same events stored and copied bare. */
export interface StoreFigures {
  readonly events: number;
  readonly stored: { readonly seconds: number; readonly cpuSeconds: number; readonly postgresCpuSeconds: number };
  readonly raw: RawCopyResult;
  /** While they were stored. */
  readonly reads: ReadTimes;
}

export interface DataplaneFigures {
  readonly sessions: number;
  /** Between a session's reads, in milliseconds. */
  readonly pause: number;
  readonly producers: number;
  /** All that came, those of the warm-up too. */
  readonly events: number;
  /** Without anything coming in. */
  readonly quiet: ReadTimes;
  readonly rounds: readonly RoundFigures[];
  readonly ledger: { readonly stored: number; readonly imbalance: number; readonly misplacedEpochs: number };
  readonly server: ServerFacts;
}

/** Least share of a bare COPY's rate. */
const ratioMin = 0.7;
/** Least share of updates that touch no index. */
const hotShareMin = 0.95;
/** Tables of heads: bytes in all, however many updates they have seen. */
const headBytesMax = 1024 * 1024;

export interface Verdict {
  readonly lines: readonly string[];
  readonly faults: readonly string[];
}

/** Rows a second, as a share of the bare COPY's of the same rows. */
export function shareOf({ events, stored, raw }: StoreFigures): number {
  return events / stored.seconds / raw.rowsPerSecond;
}

/** The median of the rounds' shares. */
export function medianShare({ rounds }: DataplaneFigures, of: keyof RoundFigures): number {
  return median(rounds.map((round) => shareOf(round[of])));
}

/** Every claim, whether it holds, and the figure. */
export function judge(figures: DataplaneFigures): Verdict {
  const { events, ledger, server } = figures;
  const ratio = medianShare(figures, "sink");
  const dead = server.tables.reduce((sum, { deadRows }) => sum + deadRows, 0);
  const updates = server.heads.reduce((sum, head) => sum + head.updates, 0);
  const hot = server.heads.reduce((sum, head) => sum + head.hotUpdates, 0) / updates;
  const headBytes = Math.max(...server.heads.map(({ bytes }) => bytes));
  const claims: readonly (readonly [holds: boolean, what: string])[] = [
    [
      ledger.stored === events && ledger.imbalance === 0 && ledger.misplacedEpochs === 0,
      `${events} events came and ${ledger.stored} are rows; imbalance ${ledger.imbalance}`,
    ],
    [
      ratio >= ratioMin,
      `rows/s of the sink (exactly once, with heads and places) ÷ rows/s of a bare COPY of the same rows: ${ratio.toFixed(2)}, at least ${ratioMin}`,
    ],
    [
      server.lockWaits.length === 0,
      `waits for a lock of more than ${lockWaitMs} ms: ${server.lockWaits.length} (and ${server.limitWaits} among the bare COPY's own connections)`,
    ],
    [server.deadlocks === 0, `deadlocks: ${server.deadlocks}`],
    [dead === 0, `dead rows in tables by day: ${dead}`],
    [hot >= hotShareMin, `updates of heads that touch no index: ${(hot * 100).toFixed(1)}% of ${updates}, at least ${hotShareMin * 100}%`],
    [headBytes <= headBytesMax, `largest table of heads: ${headBytes} bytes, at most ${headBytesMax}`],
  ];
  return {
    lines: claims.map(([holds, what]) => `${holds ? "ok    " : "FAULT "}${what}`),
    faults: claims.filter(([holds]) => !holds).map(([, what]) => what),
  };
}
