/**
 * Why: one place says what `npm run bench -- connections` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

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

export const connectionsCommand: CommandSpec<ConnectionsOptions> = {
  typed: "npm run bench -- connections",
  does: "fifty thousand producers connected at once",
  options: {
    producers: count("--producers <n>", "producers connected at once", 50_000),
    gateways: count("--gateways <n>", "gateway processes; a process may open 20,000 files on many machines", 3),
    generators: count("--generators <n>", "processes that play producers, each from a source address of its own", 3),
    seconds: count("--seconds <n>", "how long all stay and are measured", 60),
    interval: count("--interval <n>", "seconds between two small frames of a producer", 120),
    result: resultFile,
  },
  notes: `Every producer is enrolled, has keys and a certificate of its own, its own mutual-TLS connection and its own epoch. The limit of handshakes per source is
switched off for 127.0.0.0/8, and said so.`,
  exits: ["all were connected and the ledger balanced", "not"],
};
