/**
 * Why: "a flooding producer is throttled, then quarantined, and the others do not notice" is a claim about numbers (ING-6, ING-8).
 * Enforces: quiet and flooded windows alternate on one running system under the same honest load, so that the machine's moods fall on both; what is judged
 *   are ratios and counts: Jain's index of what the honest ones got through, their p99 against the quiet window before, the buffer's peak against its
 *   bound, and every refusal that a flooder met against the gateway's own count.
 * Forbids: a flood that the honest load makes room for, and a verdict without the ledger's.
 */
import { fileURLToPath } from "node:url";
import { openResult } from "ransomeye-tests";
import { BenchSystem } from "../load/bench_system.ts";
import type { Settled } from "../load/settle.ts";
import { toWire } from "../load/wire_identity.ts";
import { Worker } from "../load/worker.ts";
import { percentile } from "../stats.ts";
import type { FloodAnswer, FloodQuestion } from "./flood_main.ts";
import type { HonestAnswer, HonestQuestion } from "./honest_main.ts";
import type { FairnessOptions } from "./options.ts";
import { fairnessPage } from "./page.ts";
import { type FairnessFigures, jain, judge, type PairFigures, sum } from "./verdict.ts";

const honestPath = fileURLToPath(new URL("./honest_main.js", import.meta.url));
const floodPath = fileURLToPath(new URL("./flood_main.js", import.meta.url));
const settleMs = 3_000;
/** Until processes are warm and the linger has found its place. */
const warmUpMs = 20_000;

/** Runs the pairs, prints the figures and says whether it was fair, as an exit code. */
export async function fairnessBench(options: FairnessOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const keep =
    options.result === undefined
      ? undefined
      : await openResult<FairnessFigures>({ path: options.result, script: "bench", append: true, pageOf: fairnessPage });
  // One gateway, so that all stand in one queue.
  await using system = await BenchSystem.start({
    RANSOMEYE_GATEWAY_PROCESSES: "1",
    RANSOMEYE_GATEWAY_TOTAL_RATE_EVENTS_PER_SECOND_MAX: String(options.total),
  });
  const identities = (await system.enrol("honest", options.honest)).map(toWire);
  // Others in each window, for who has flooded before is quarantined from the first moment on.
  const flooding = (await system.enrol("flooder", 4 * options.pairs)).map(toWire);
  const honest = new Worker(honestPath);
  const flooders = new Worker(floodPath);
  const askHonest = <T>(question: HonestQuestion): Promise<T> => honest.ask<T>(question);
  const askFlood = <T>(question: FloodQuestion): Promise<T> => flooders.ask<T>(question);
  const { gateway } = system.runtime;
  try {
    await askHonest({ ask: "begin", identities, gateway, eventsPerSecond: options.load });
    await pause(warmUpMs);
    const greedyEventsPerSecond = (options.flood * options.load) / options.honest;
    const pairs: PairFigures[] = [];
    for (let pair = 1; pair <= options.pairs; pair += 1) {
      const quiet = await askHonest<HonestAnswer>({ ask: "measure", seconds: options.seconds });
      const [greedy, lawless, deaf, empty] = flooding.slice(4 * (pair - 1), 4 * pair);
      if (greedy === undefined || lawless === undefined || deaf === undefined || empty === undefined)
        throw new Error("four flooders were enrolled for each window");
      await askFlood({ ask: "flood", greedy, lawless, deaf, empty, gateway, greedyEventsPerSecond });
      await pause(settleMs);
      const flooded = await askHonest<HonestAnswer>({ ask: "measure", seconds: options.seconds });
      const flood = await askFlood<FloodAnswer>({ ask: "rest" });
      if (flooded.ended.length > 0) throw new Error(`honest sessions ended: ${flooded.ended.join("; ")}`);
      pairs.push(pairFigures(quiet, flooded, flood));
      say(`pair ${pair}: ${JSON.stringify(pairs.at(-1))}`);
      await pause(settleMs);
    }
    const { unanswered } = await askHonest<Settled>({ ask: "finish" });
    const figures: FairnessFigures = {
      honest: options.honest,
      honestEventsPerSecond: options.load,
      greedyEventsPerSecond,
      totalEventsPerSecond: options.total,
      seconds: options.seconds,
      pairs,
      unanswered,
      bufferPeakRatio:
        (await system.gatewayMetric("gateway_buffer_reserved_peak_bytes")) / (await system.gatewayMetric("gateway_buffer_bytes_max")),
      counted: await system.refusals(),
      ledgerBalanced: await system.isBalanced(),
    };
    await keep?.(figures);
    const verdict = judge(figures);
    process.stdout.write(`${verdict.lines.join("\n")}\n`);
    return verdict.faults.length === 0 ? 0 : 1;
  } finally {
    await Promise.all([honest.stop(), flooders.stop()]);
  }
}

function pairFigures(quiet: HonestAnswer, flooded: HonestAnswer, flood: FloodAnswer): PairFigures {
  const p99 = (answer: HonestAnswer): number => percentile(answer.receiptMs, 0.99);
  return {
    jainQuiet: jain(quiet.eventsOf),
    jainFlooded: jain(flooded.eventsOf),
    eventsPerSecondQuiet: sum(quiet.eventsOf) / quiet.seconds,
    eventsPerSecondFlooded: sum(flooded.eventsOf) / flooded.seconds,
    p99QuietMs: p99(quiet),
    p99FloodedMs: p99(flooded),
    p99Ratio: p99(flooded) / p99(quiet),
    flood,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
