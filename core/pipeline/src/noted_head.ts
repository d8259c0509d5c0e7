/**
 * Why it exists: where log and archive are not one, each tells the other how far producers have come.
 * Enforces: one shape, in both directions.
 * Forbids: use in verdicts; those are made on the log's own heads.
 */
import type { ProducerHead } from "./bus.ts";

/** A head of the log, and what the ledger shows beside it. */
export interface NotedHead extends Pick<ProducerHead, "epoch" | "seq" | "hash" | "part" | "prevSeq" | "prevHash"> {
  readonly producer: string;
  readonly keyId: string;
  readonly offered: number;
  readonly receivedUs: number;
  /** Null where the end of the chain at the epoch's opening is not known here. */
  readonly prevEpoch: number | null;
}
