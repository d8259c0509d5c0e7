/**
 * Why: one place says what `npm run bench -- ingest` takes, so that help, parsing and the result page agree.
 * Enforces: numbers are positive integers, shapes are known; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { parseArgs } from "node:util";
import { positive, UsageError } from "../usage.ts";

const shapeNames = ["throughput", "latency", "fleet"] as const;
export type ShapeName = (typeof shapeNames)[number];

/** What one bench run is asked to do. */
export interface IngestOptions {
  readonly shapes: readonly ShapeName[];
  /** Events of each throughput run, all producers together. */
  readonly events: number;
  /** Interleaved pairs (system, raw). */
  readonly runs: number;
  /** Seconds that each of the two other shapes is measured. */
  readonly seconds: number;
  /** Real sessions that carry the simulated fleet. */
  readonly producers: number;
  /** Offered load of the latency shape; undefined: half of what the throughput shape has just measured. */
  readonly rate: number | undefined;
  readonly profile: boolean;
  /** Where the profiles stay, for a look with Chrome's developer tools; undefined: they are removed. */
  readonly profileDir: string | undefined;
  readonly json: string | undefined;
  readonly page: string | undefined;
  /** Printed on the page as it is given, so that a page can be made again. */
  readonly date: string;
}

export const ingestUsage: string = `npm run bench -- ingest [options]

  --shape NAME      throughput, latency, fleet or all (default all)
  --events N        events of each throughput run (default 600000)
  --runs K          interleaved pairs of system and raw COPY (default 3)
  --seconds N       how long latency and fleet are measured (default 20)
  --rate N          events per second of the latency shape (default: half of the measured throughput)
  --producers N     real sessions that carry the fleet's 50,000 simulated producers (default 2000)
  --no-profile      leave out the profiled run (CPU by step, GC pauses)
  --profile-dir DIR keep the .cpuprofile files there
  --json FILE       write the figures as JSON
  --page FILE       write the result page (Markdown), made from the same figures
  --date DATE       the date that the page states (default: none)

Examples
  npm run bench -- ingest --shape throughput --runs 5
  npm run bench -- ingest --json bench/results/ingest.json --page bench/results/ingest.md --date 2026-01-31

Exit codes: 0 all shapes ran and every ledger balanced · 1 one did not · 2 the command line is wrong`;

/** @throws UsageError */
export function parseIngestOptions(args: readonly string[]): IngestOptions {
  const { values } = parse(args);
  const shape = values.shape;
  const shapes = shape === "all" ? shapeNames : shapeNames.filter((name) => name === shape);
  if (shapes.length === 0) throw new UsageError(`--shape takes all or one of: ${shapeNames.join(", ")}`);
  return {
    shapes,
    events: positive("events", values.events),
    runs: positive("runs", values.runs),
    seconds: positive("seconds", values.seconds),
    producers: positive("producers", values.producers),
    rate: values.rate === undefined ? undefined : positive("rate", values.rate),
    profile: !values["no-profile"],
    profileDir: values["profile-dir"],
    json: values.json,
    page: values.page,
    date: values.date,
  };
}

// The return type is what parseArgs derives from the table below.
// oxlint-disable-next-line typescript/explicit-function-return-type
function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        shape: { type: "string", default: "all" },
        events: { type: "string", default: "600000" },
        runs: { type: "string", default: "3" },
        seconds: { type: "string", default: "20" },
        producers: { type: "string", default: "2000" },
        rate: { type: "string" },
        "no-profile": { type: "boolean", default: false },
        "profile-dir": { type: "string" },
        json: { type: "string" },
        page: { type: "string" },
        date: { type: "string", default: "" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
