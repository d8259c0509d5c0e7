/**
 * Why: one place says what `npm run bench -- storing` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface StoringOptions {
  readonly rows: number;
  readonly rounds: number;
  readonly result: string | undefined;
}

export const storingCommand: CommandSpec<StoringOptions> = {
  typed: "npm run bench -- storing",
  does: "ways of writing the same rows: COPY and INSERT, sizes of commit groups, settings of the write-ahead log",
  options: {
    rows: count("--rows <n>", "rows that each way writes in each round", 100_000),
    rounds: count("--rounds <n>", "rounds, each begins with another way; medians of the ratios are told", 5),
    result: resultFile,
  },
  notes: "Needs about 4 GB of disk in the temporary directory.",
  exits: ["it was measured, and each way has written every row", "a way did not write every row"],
};
