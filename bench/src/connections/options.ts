/**
 * Why: one place says what `npm run bench -- connections` takes, so that help and parsing agree.
 * Enforces: numbers are positive integers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { readNumbers } from "../usage.ts";

/** What one run is asked to do. */
export interface ConnectionsOptions {
  readonly producers: number;
  readonly gateways: number;
  readonly generators: number;
  /** How long all stay connected and send now and then. */
  readonly seconds: number;
  /** Seconds between two frames of a producer. */
  readonly interval: number;
  readonly result: string | undefined;
}

export const connectionsUsage: string = `npm run bench -- connections [options]

  --producers N     producers connected at once (default 50000)
  --gateways N      gateway processes (default 3: a process may open 20,000 files on many machines)
  --generators N    processes that play producers, each from a source address of its own (default 3)
  --seconds N       how long all stay and are measured (default 60)
  --interval N      seconds between two small frames of a producer (default 120)
  --result FILE     write the result page (Markdown) and its figures (JSON)

Every producer is enrolled, has keys and a certificate of its own, its own mutual-TLS connection and its own epoch. The limit of handshakes per source is
switched off for 127.0.0.0/8, and said so. Exit codes: 0 all were connected and the ledger balanced · 1 not · 2 the command line is wrong`;

/** @throws UsageError */
export function parseConnectionsOptions(args: readonly string[]): ConnectionsOptions {
  return readNumbers(args, { producers: 50_000, gateways: 3, generators: 3, seconds: 60, interval: 120 });
}
