/**
 * Why: one place says what `npm run bench -- observables` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface ObservablesOptions {
  readonly events: number;
  readonly batch: number;
  readonly days: number;
  readonly samples: number;
  readonly floodEvents: number;
  readonly pairs: number;
  readonly result: string | undefined;
}

export const observablesCommand: CommandSpec<ObservablesOptions> = {
  typed: "npm run bench -- observables",
  does: "what a question by a value costs, how large its index is, and what making it costs the intake",
  options: {
    events: count("--events <n>", "events stored when questions are asked, made directly in the tables", 10_000_000),
    batch: count("--batch <n>", "events of a batch", 200),
    days: count("--days <n>", "days that they are spread over", 30),
    samples: count("--samples <n>", "questions of each kind, each for another value where there are so many", 100),
    floodEvents: count("--flood-events <n>", "events of a flood through the gateway, with the indexer and without", 300_000),
    pairs: count("--pairs <n>", "pairs of floods; the median is told", 3),
    result: resultFile,
  },
  notes: "Needs about 800 bytes of disk for each event in the temporary directory.",
  exits: ["it was measured, and every answer had what was put there", "an answer was wrong"],
};
