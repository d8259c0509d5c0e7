/**
 * Why it exists: "nothing was lost" is a sum that anybody may add up again; this reads it.
 * Enforces: stored and dead-lettered are recounted from the tables by the views, never derived by subtraction, so the check can fail;
 * one snapshot, so that both sides of the sum belong to one moment.
 * Forbids: reading tables: role ransomeye_reader sees views only (DB-2).
 */
import { inTransaction, type Pool } from "ransomeye-db";

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
  /** accepted − stored − dead_lettered − gaps − in_flight: anything but 0 is a broken promise. */
  readonly imbalance: number;
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
  readonly gaps: number;
  readonly imbalance: number;
  readonly producers: readonly ProducerLedger[];
}
