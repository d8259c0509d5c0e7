/**
 * Why: one place says what `npm run bench -- ingest` takes, so that help, parsing and the result page agree.
 * Enforces: numbers are positive whole numbers, shapes are known; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, countIfGiven, flag, oneOrAll, resultFile, textIfGiven } from "ransomeye-tests/command_line";

const shapeNames = ["throughput", "latency", "fleet"] as const;
export type ShapeName = (typeof shapeNames)[number];

/** What one bench run is asked to do. */
export interface IngestOptions {
  readonly shape: readonly ShapeName[];
  /** Events of each throughput run, all producers together. */
  readonly events: number;
  /** Interleaved pairs (system, raw). */
  readonly runs: number;
  /** Seconds that each of the two other shapes is measured. */
  readonly seconds: number;
  /** Offered load of the latency shape; undefined: half of what the throughput shape has just measured. */
  readonly rate: number | undefined;
  /** Real sessions that carry the simulated fleet. */
  readonly producers: number;
  readonly profile: boolean;
  /** Where the profiles stay, for a look with Chrome's developer tools; undefined: they are removed. */
  readonly profileDir: string | undefined;
  readonly result: string | undefined;
}

export const ingestCommand: CommandSpec<IngestOptions> = {
  typed: "npm run bench -- ingest",
  does: "the road from a producer's send to a visible row",
  options: {
    shape: oneOrAll("--shape <name>", "what is measured", shapeNames),
    events: count("--events <n>", "events of each throughput run", 600_000),
    runs: count("--runs <k>", "interleaved pairs of system and raw COPY", 3),
    seconds: count("--seconds <n>", "how long latency and fleet are measured", 20),
    rate: countIfGiven("--rate <n>", "events per second of the latency shape (default: half of the measured throughput)"),
    producers: count("--producers <n>", "real sessions that carry the fleet's 50,000 simulated producers", 2000),
    profile: flag("--no-profile", "leave out the profiled run (CPU by step, GC pauses)"),
    profileDir: textIfGiven("--profile-dir <dir>", "keep the .cpuprofile files there"),
    result: resultFile,
  },
  exits: ["all shapes ran and every ledger balanced", "one did not"],
};
