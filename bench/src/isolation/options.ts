/**
 * Why: one place says what `npm run bench -- isolation` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface IsolationOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly honest: number;
  /** Events per second of all honest producers together. */
  readonly load: number;
  /** Events per second that the greedy producer offers. */
  readonly flood: number;
  readonly result: string | undefined;
}

export const isolationCommand: CommandSpec<IsolationOptions> = {
  typed: "npm run bench -- isolation",
  does: "what who reads views notices of a flood at the gateway",
  options: {
    rounds: count("--rounds <k>", "rounds; each has a quiet window and a flooded one for each arrangement", 5),
    seconds: count("--seconds <n>", "length of each window", 10),
    honest: count("--honest <n>", "honest producers", 50),
    load: count("--load <n>", "events per second of all of them together, also in quiet windows", 2_000),
    flood: count("--flood <n>", "events per second that the greedy producer offers", 60_000),
    result: resultFile,
  },
  notes: `A flooded window has one greedy producer, one that ignores its credit and comes back at once, one that sends and never reads, and one that sends HTTP/2
frames that carry nothing. The arrangements: the gateway as the supervisor starts it, waiting for others (niceness 5 of the process and its session), and on
one core only (taskset).`,
  exits: ["isolated", "not"],
};
