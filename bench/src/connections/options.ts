/**
 * Why: one place says what `npm run bench -- connections` takes, so that help and parsing agree.
 * Enforces: numbers are positive integers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { parseArgs } from "node:util";
import { positive, UsageError } from "../usage.ts";

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
  const { values } = parse(args);
  return {
    producers: positive("producers", values.producers),
    gateways: positive("gateways", values.gateways),
    generators: positive("generators", values.generators),
    seconds: positive("seconds", values.seconds),
    interval: positive("interval", values.interval),
    result: values.result,
  };
}

// The return type is what parseArgs derives from the table below.
// oxlint-disable-next-line typescript/explicit-function-return-type
function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        producers: { type: "string", default: "50000" },
        gateways: { type: "string", default: "3" },
        generators: { type: "string", default: "3" },
        seconds: { type: "string", default: "60" },
        interval: { type: "string", default: "120" },
        result: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
