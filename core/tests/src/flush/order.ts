/**
 * Why: the sender and the judge must agree on what is sent.
 * Enforces: each call's lines are like no other's, and hold a text that names the call.
 * Forbids: I/O.
 */
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { numberedEvent } from "../crash/numbered_events.ts";

/** What the sender is to do. */
export interface Order {
  /** One folder for each producer. */
  readonly identities: readonly string[];
  readonly gateway: { readonly host: string; readonly port: number };
  /** For `marks` and the spools, `spool-0` and so on. */
  readonly directory: string;
  readonly callsPerProducer: number;
}

const linesPerCall = 4;
/** Keeps the numbers of different producers apart. */
const numbersPerProducer = 10_000_000;

/** The lines of one call. */
export function linesOf(producer: number, call: number): Buffer[] {
  const first = firstNumber(producer, call);
  return Array.from({ length: linesPerCall }, (_, n) => Buffer.from(numberedEvent(first + n, first * (n + 1), OCSF_VERSION)));
}

/** Text that only the lines of this call hold. */
export function tokenOf(producer: number, call: number): string {
  return `"crash-${firstNumber(producer, call)}"`;
}

function firstNumber(producer: number, call: number): number {
  return producer * numbersPerProducer + call * linesPerCall + 1;
}
