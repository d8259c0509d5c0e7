/**
 * Why: one place says what `npm run bench -- dataplane` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface DataplaneOptions {
  readonly events: number;
  readonly sessions: number;
  /** Milliseconds between a session's reads. */
  readonly pause: number;
  readonly rounds: number;
  readonly result: string | undefined;
}

export const dataplaneCommand: CommandSpec<DataplaneOptions> = {
  typed: "npm run bench -- dataplane",
  does: "events become rows while sessions read through views, beside a bare COPY of the same rows; lock waits, deadlocks, bloat",
  options: {
    events: count("--events <n>", "events to store, in all rounds together", 1_000_000),
    sessions: count("--sessions <n>", "database sessions that read all the time", 64),
    pause: count("--pause <ms>", "between the reads of a session", 1_000),
    rounds: count("--rounds <n>", "rounds of storing and copying; the median of their ratios is told", 5),
    result: resultFile,
  },
  notes: "Needs about 3 KB of disk for each event in the temporary directory.",
  exits: ["it was measured, and every claim holds", "a claim does not hold; the output says which"],
};
