/**
 * Why: one place says what `npm run bench -- bus` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, flag, oneOrAll, resultFile } from "ransomeye-tests/command_line";

/** Where the bus lies. */
export const adapterNames = ["memory", "postgres", "redis", "redis_replicated", "redis_cluster"] as const;
export type AdapterName = (typeof adapterNames)[number];

/** What one run is asked to do. */
export interface BusOptions {
  readonly adapter: readonly AdapterName[];
  readonly rounds: number;
  /** How long frames are appended in each round. */
  readonly seconds: number;
  /** Messages of each round. */
  readonly messages: number;
  readonly withBullmq: boolean;
  readonly result: string | undefined;
}

export const busCommand: CommandSpec<BusOptions> = {
  typed: "npm run bench -- bus",
  does: "frames and messages through each adapter, beside the server's own commands and BullMQ",
  options: {
    adapter: oneOrAll<AdapterName>("--adapter <name>", "where the bus lies", adapterNames),
    rounds: count("--rounds <n>", "rounds; the median is told", 3),
    seconds: count("--seconds <n>", "seconds for which frames are appended in a round", 3),
    messages: count("--messages <n>", "messages of a round", 30_000),
    withBullmq: flag(
      "--with-bullmq",
      "measure BullMQ as well; it is installed for the run from the npm registry, in a folder that goes with it",
    ),
    result: resultFile,
  },
  notes: `The servers' own commands go through the same client (ioredis), with as many calls in flight and as many bytes. Adapters on Redis need redis-server on PATH;
every write is flushed before it is answered (appendfsync always).`,
  exits: ["it was measured", "what was published did not all arrive"],
};
