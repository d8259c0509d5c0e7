/**
 * Why: one place says what `npm run bench -- fairness` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface FairnessOptions {
  readonly pairs: number;
  readonly seconds: number;
  readonly honest: number;
  /** Events per second of all honest producers together. */
  readonly load: number;
  /** The flooder offers this many times a fair share of the load. */
  readonly flood: number;
  /** Events per second that the gateway takes from all together. */
  readonly total: number;
  readonly result: string | undefined;
}

/** A total rate that no load of this bench comes near. */
const unbounded = 10_000_000;

export const fairnessCommand: CommandSpec<FairnessOptions> = {
  typed: "npm run bench -- fairness",
  does: "what honest producers notice of others that flood the gateway",
  options: {
    pairs: count("--pairs <k>", "interleaved quiet and flooded windows", 5),
    seconds: count("--seconds <n>", "length of each window", 10),
    honest: count("--honest <n>", "honest producers", 200),
    load: count("--load <n>", "events per second of all of them together", 20_000),
    flood: count("--flood <n>", "the greedy producer offers n times an honest one's load", 10),
    total: {
      ...count("--total <n>", "events per second that the gateway takes from all together", unbounded),
      said: "far more than are offered",
    },
    result: resultFile,
  },
  notes: `Beside the honest producers a flooded window has: one greedy producer, one that ignores its credit and comes back at once, one that sends and never
reads, and one that sends HTTP/2 frames that carry nothing, of one kind after the other. With a --total between the honest load and all that is
offered the gateway has to share: what the honest ones leave is the greedy one's, and no more.
A result page is added to, so that one may hold both.`,
  exits: ["fair", "not"],
};
