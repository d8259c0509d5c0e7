/**
 * Why it exists: "nothing was lost" is a sum that anybody may add up again; this reads it.
 * Enforces: stored and dead-lettered are counted from the tables by the views, never derived by subtraction, so the check can fail;
 * one statement and so one snapshot: both sides of the sum belong to one moment. The recount is held against the sums at each time.
 * Forbids: reading tables: role ransomeye_reader sees views only (DB-2).
 */
import type { Pool } from "ransomeye-db";
import { gapReasons } from "ransomeye-ingestion/protocol";

/** The ledger of one producer. All counts are sequence numbers, summed over its epochs. */
export interface ProducerLedger {
  readonly producer: string;
  readonly kind: string | null;
  /** The producer's own signed counter; minus `accepted` it is what its spool still held then. */
  readonly offered: number;
  readonly accepted: number;
  readonly stored: number;
  readonly dead_lettered: number;
  readonly gaps: number;
  readonly in_flight: number;
  /** What retention has removed; it is part of the counts before, so that the sum still closes. */
  readonly expired: number;
  /** accepted − stored − dead_lettered − gaps − in_flight, without its sign: anything but 0 is a broken promise. */
  readonly imbalance: number;
  /** Epochs in which the sum of the sequence numbers found is not that of 1 to the last: one lost and one doubled would show here. */
  readonly misplaced_epochs: number;
  /** Epochs of which the recount finds anything else than the sums that had been made as rows came in. */
  readonly sums_differ_epochs: number;
}

/** An epoch of which the recount finds anything else than the sums. Counts are sequence numbers. */
export interface LedgerDifference {
  readonly producer: string;
  readonly epoch: number;
  readonly stored: number;
  readonly dead_lettered: number;
  readonly gaps: number;
  readonly expired: number;
  readonly summed_stored: number;
  readonly summed_dead_lettered: number;
  readonly summed_gaps: number;
  readonly summed_expired: number;
}

/** The whole ledger, as `audit --json` prints it. */
export interface Ledger {
  readonly balanced: boolean;
  readonly offered: number;
  readonly accepted: number;
  readonly stored: number;
  readonly dead_lettered: number;
  readonly in_flight: number;
  /** Transmissions that gateways refused, by code; beside the sum, not in it. */
  readonly refused: number;
  readonly refused_by_code: Readonly<Record<string, number>>;
  /** Batches that came once more and were not stored again, by where they had been accepted first; beside the sum, too. */
  readonly duplicates: number;
  readonly duplicates_by_code: Readonly<Record<string, number>>;
  readonly gaps: number;
  /** `server_lost`, `spool_full`, `spool_age`; `foreign` is whatever else a producer has written. */
  readonly gaps_by_reason: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly imbalance: number;
  readonly misplaced_epochs: number;
  readonly sums_differ_epochs: number;
  /** At most {@link differencesMax} of them. */
  readonly differences: readonly LedgerDifference[];
  readonly producers: readonly ProducerLedger[];
}

/** The ledger of the sums, over the whole system. Counts are sequence numbers. */
export interface LedgerNow {
  readonly balanced: boolean;
  readonly producers: number;
  readonly accepted: number;
  readonly stored: number;
  readonly dead_lettered: number;
  readonly gaps: number;
  readonly in_flight: number;
  readonly imbalance: number;
  readonly misplaced_epochs: number;
  /** Epochs in which anything is wrong. */
  readonly unbalanced_epochs: number;
}

/** Of so many epochs a difference is told. */
export const differencesMax = 1000;

const nowSql = `
  SELECT unbalanced_epochs = 0 AS balanced, producers, bus_head AS accepted, stored, dead_lettered, gap_declared AS gaps, in_flight, imbalance, misplaced_epochs,
    unbalanced_epochs
  FROM views.ledger_live`;

/** Asks the ledger of the sums: the cost grows with producers, and with what came since the last fold; not with what is stored. As reader or keeper. */
export async function readLedgerNow(pool: Pool): Promise<LedgerNow> {
  return (await pool.query<LedgerNow>(nowSql)).rows[0] as LedgerNow;
}

const producersSql = `
  SELECT producer_id AS producer, kind, sum(offered)::bigint AS offered, sum(bus_head)::bigint AS accepted, sum(stored)::bigint AS stored,
    sum(dead_lettered)::bigint AS dead_lettered, sum(gap_declared)::bigint AS gaps, sum(expired)::bigint AS expired,
    sum(in_flight)::bigint AS in_flight, sum(abs(imbalance))::bigint AS imbalance, (count(*) FILTER (WHERE misplaced <> 0))::bigint AS misplaced_epochs,
    (count(*) FILTER (WHERE sums_differ))::bigint AS sums_differ_epochs
  FROM views.ledger_audit GROUP BY producer_id, kind ORDER BY producer_id`;

const differencesSql = `
  SELECT producer_id AS producer, epoch, stored, dead_lettered, gap_declared AS gaps, expired, summed_stored, summed_dead_lettered,
    summed_gap_declared AS summed_gaps, summed_expired
  FROM views.ledger_audit WHERE sums_differ ORDER BY producer_id, epoch LIMIT ${differencesMax}`;

const transmissionsSql = `SELECT name, sum(value)::bigint AS value FROM views.transmissions WHERE starts_with(name, $1) GROUP BY name ORDER BY name`;

const gapsSql = `SELECT CASE WHEN reason = ANY($1) THEN reason ELSE 'foreign' END AS reason, sum(count)::bigint AS events FROM views.gaps GROUP BY 1 ORDER BY 1`;

/** Prefixes of the gateways' counters of refused transmissions and of batches that they had already; the code follows. */
export const refusedPrefix = "refused_";
const duplicatePrefix = "duplicate_";

/** Adds up the whole ledger, and holds it against the sums. The cost grows with the rows stored: it counts them. */
export async function readLedger(pool: Pool): Promise<Ledger> {
  const producers = (await pool.query<ProducerLedger>(producersSql)).rows;
  const refusals = await transmissionsByCode(pool, refusedPrefix);
  const duplicates = await transmissionsByCode(pool, duplicatePrefix);
  const gaps = (await pool.query<{ reason: string; events: number }>(gapsSql, [gapReasons])).rows;
  const sum = (column: Exclude<keyof ProducerLedger, "producer" | "kind">): number =>
    producers.reduce((total, producer) => total + producer[column], 0);
  const differing = sum("sums_differ_epochs");
  return {
    balanced: producers.every(addsUp),
    offered: sum("offered"),
    accepted: sum("accepted"),
    stored: sum("stored"),
    dead_lettered: sum("dead_lettered"),
    in_flight: sum("in_flight"),
    refused: total(refusals),
    refused_by_code: refusals,
    duplicates: total(duplicates),
    duplicates_by_code: duplicates,
    gaps: sum("gaps"),
    gaps_by_reason: Object.fromEntries(gaps.map(({ reason, events }) => [reason, events])),
    expired: sum("expired"),
    imbalance: sum("imbalance"),
    misplaced_epochs: sum("misplaced_epochs"),
    sums_differ_epochs: differing,
    differences: differing === 0 ? [] : (await pool.query<LedgerDifference>(differencesSql)).rows,
    producers,
  };
}

async function transmissionsByCode(pool: Pool, prefix: string): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ name: string; value: number }>(transmissionsSql, [prefix]);
  return Object.fromEntries(rows.map(({ name, value }) => [name.slice(prefix.length), value]));
}

const total = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((sum, n) => sum + n, 0);

/** Whether one producer's side of the ledger holds. */
export function addsUp(ledger: Pick<ProducerLedger, "imbalance" | "misplaced_epochs" | "in_flight" | "sums_differ_epochs">): boolean {
  return ledger.imbalance === 0 && ledger.misplaced_epochs === 0 && ledger.in_flight >= 0 && ledger.sums_differ_epochs === 0;
}

/** Batches accepted by the bus that some group has not read yet: cheap, from heads alone. */
export async function readLag(pool: Pool): Promise<number> {
  return (
    (await pool.query<{ entries: number }>("SELECT coalesce(sum(entries), 0)::bigint AS entries FROM views.consumer_lag")).rows[0]
      ?.entries ?? 0
  );
}
