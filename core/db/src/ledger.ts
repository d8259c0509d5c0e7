/**
 * Why it exists: the ledger's sums are kept by whoever keeps days.
 * Enforces: one call is one transaction; a call that dies has changed nothing; folds are so frequent that a question has little to count.
 * Forbids: adding up here; the database counts, in one statement.
 */
import type { Clock } from "ransomeye-kernel";
import type { Queryable } from "./pool.ts";

/** What a fold has brought into the sums. */
export interface LedgerFold {
  /** Epochs of producers whose sums have changed. */
  readonly epochs: number;
  /** Sequence numbers: rows, dead-lettered and declared lost. */
  readonly folded: number;
}

/** Moves what the engine has stored since the last fold into the sums. As keeper, not inside a transaction; the first fold ever counts all rows. */
export async function foldLedger(pool: Queryable): Promise<LedgerFold> {
  return (await pool.query<LedgerFold>("SELECT epochs, folded FROM ops.ledger_fold()")).rows[0] as LedgerFold;
}

/** Makes the sums again from the tables, after a finding that somebody has looked into: what they remembered is gone. As keeper. */
export async function rebuildLedger(pool: Queryable): Promise<LedgerFold> {
  return (await pool.query<LedgerFold>("SELECT epochs, folded FROM ops.ledger_rebuild()")).rows[0] as LedgerFold;
}

/** A question to the ledger counts what has come since the last fold: about so many sequence numbers at most, as far as the past tells. */
const unfoldedMax = 25_000;
/** A fold also touches a row of the sums for each epoch that has sent: so many of them a second at most. */
const epochsPerSecondMax = 2_500;
/** Each row is counted once, however often is folded; on a machine that cannot do even that beside its work, folding keeps to a quarter of the time. */
const foldShareMax = 1 / 4;
const foldMs = { min: 1_000, max: 10_000, dearMax: 60_000 } as const;

/** What the last fold found, of `overMs` milliseconds, and that it took `tookMs`. */
export interface LastFold extends LedgerFold {
  readonly overMs: number;
  readonly tookMs: number;
}

/** How long after the beginning of the last fold the next one is due. */
export function foldPauseMs({ epochs, folded, overMs, tookMs }: LastFold): number {
  const unfoldedMs = folded === 0 ? foldMs.max : (unfoldedMax / folded) * Math.max(overMs, 1);
  const dearMs = Math.max((epochs / epochsPerSecondMax) * 1000, tookMs / foldShareMax);
  return Math.round(Math.min(foldMs.dearMax, Math.max(foldMs.min, Math.min(foldMs.max, unfoldedMs), dearMs)));
}

/** Folds at the pace at which events come in. */
export class LedgerFolder {
  readonly #pool: Queryable;
  readonly #clock: Clock;
  #begunMs: number | undefined;
  #pauseMs = 0;

  constructor(pool: Queryable, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  /** Folds if it is time to; to be asked each second or so. Undefined: not yet. */
  async round(): Promise<LastFold | undefined> {
    const begunMs = this.#clock.monotonicMs();
    const before = this.#begunMs;
    if (before !== undefined && begunMs - before < this.#pauseMs) return undefined;
    const fold = await foldLedger(this.#pool);
    const last = { ...fold, overMs: begunMs - (before ?? begunMs), tookMs: this.#clock.monotonicMs() - begunMs };
    // The first fold of a process may have had much to make up for, and tells nothing of how fast events come in.
    this.#pauseMs = foldPauseMs(before === undefined ? { ...last, epochs: 0, folded: 0 } : last);
    this.#begunMs = begunMs;
    return last;
  }
}
