/**
 * Why: one place says what `npm run bench -- ledger` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface LedgerOptions {
  readonly producers: number;
  readonly rows: number;
  /** Rows that come in before each question. */
  readonly fresh: number;
  readonly rounds: number;
  readonly result: string | undefined;
}

export const ledgerCommand: CommandSpec<LedgerOptions> = {
  typed: "npm run bench -- ledger",
  does: "what a question to the ledger costs beside a recount of all rows, and what a fold costs",
  options: {
    producers: count("--producers <n>", "producers, each with one open epoch", 50_000),
    rows: count("--rows <n>", "rows that are stored when it begins; before that it is measured with a fifth of them", 10_000_000),
    fresh: count("--fresh <n>", "rows that come in before each question, of every other producer", 250_000),
    rounds: count("--rounds <n>", "rounds; the median is told", 5),
    result: resultFile,
  },
  notes: "Needs about 500 bytes of disk for each row in the temporary directory.",
  exits: ["it was measured, and both ledgers said the same", "the ledger did not balance, or the two differ"],
};
