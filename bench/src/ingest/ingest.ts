/**
 * Why: the bench of the main road, in the three shapes of rules.md, under one command.
 * Enforces: shapes run one after the other, each on a system of its own; a shape that fails is named and the rest still run; exit code 1 then.
 * Forbids: figures without the ledger's word, and shapes that share a warm system.
 */
import { loadavg } from "node:os";
import { openResult } from "ransomeye-tests";
import { fleetShape } from "./fleet.ts";
import { latencyShape } from "./latency.ts";
import type { IngestOptions, ShapeName } from "./options.ts";
import { ingestPage, renderText } from "./render.ts";
import type { IngestResult } from "./result.ts";
import { throughputShape } from "./throughput.ts";

/** Load of shape B where shape A was not run. */
const fallbackRate = 40_000;

/** Runs the shapes asked for, prints and writes the result. Resolves with the exit code. */
export async function ingestBench(options: IngestOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const { result: path } = options;
  const keep =
    path === undefined ? undefined : await openResult<IngestResult>({ path, script: "bench", append: false, pageOf: ingestPage });
  const failures: string[] = [];
  const attempt = async <T>(shape: ShapeName, run: () => Promise<T>): Promise<T | undefined> => {
    if (!options.shape.includes(shape)) return undefined;
    say(`shape ${shape}`);
    try {
      return await run();
    } catch (error) {
      failures.push(`${shape}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`);
      say(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return undefined;
    }
  };
  const loadBefore = loadavg()[0] ?? Number.NaN;
  const throughput = await attempt("throughput", () => throughputShape(options, say));
  const rate = options.rate ?? (throughput === undefined ? fallbackRate : Math.round(throughput.eventsPerSecond / 2));
  const latency = await attempt("latency", () => latencyShape(rate, options.seconds));
  const fleet = await attempt("fleet", () => fleetShape(options.producers, options.seconds, say));
  const result: IngestResult = { loadBefore, throughput, latency, fleet, failures };
  await keep?.(result);
  process.stdout.write(`${renderText(result)}\n`);
  return failures.length === 0 ? 0 : 1;
}
