/**
 * Why it exists: the ledger's sums are kept by whoever keeps days.
 * Enforces: one call is one transaction; a call that dies has changed nothing.
 * Forbids: adding up here; the database counts, in one statement.
 */
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
