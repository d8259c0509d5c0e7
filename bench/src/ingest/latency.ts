/**
 * Why: shape B: a system at half load must show an event soon, not only eventually.
 * Enforces: eight producers at a fixed rate, the linger that the server sets for a quiet gateway; each batch is timed from the moment it was due.
 * Forbids: averages, and forgetting the batches that were sent while something stalled (coordinated omission).
 */
import { percentiles } from "../stats.ts";
import type { GeneratorQuestion, PacedBatch } from "./generator_main.ts";
import type { LatencyResult } from "./result.ts";
import { SinkWatch } from "./sink_watch.ts";
import { withLoad } from "./throughput.ts";

const pacedProducers = 8;
const visibleMsMax = 60_000;
const warmUpSeconds = 3;

/** Loads a fresh system with `eventsPerSecond` for `seconds` and times every batch. */
export async function latencyShape(eventsPerSecond: number, seconds: number): Promise<LatencyResult> {
  return await withLoad(pacedProducers, {}, async ({ system, generator, producers }) => {
    await generator.ask<PacedBatch[]>({ ask: "pace", eventsPerSecond, seconds: warmUpSeconds } satisfies GeneratorQuestion);
    const watcher = await system.client("bench watch");
    const watch = new SinkWatch(watcher, producers);
    try {
      await watch.start();
      const batches = await generator.ask<PacedBatch[]>({ ask: "pace", eventsPerSecond, seconds } satisfies GeneratorQuestion);
      const total = producers.reduce(
        (sum, producer) => sum + Math.max(...batches.filter((batch) => batch.producer === producer).map((batch) => batch.lastSeq)),
        0,
      );
      await watch.reached(total, visibleMsMax);
      await watch.stop();
      await system.assertBalanced(total);
      const visible = batches.map(({ producer, lastSeq, dueUs }) => ((watch.visibleUs(producer, lastSeq) ?? Number.NaN) - dueUs) / 1_000);
      return {
        producers: pacedProducers,
        offeredPerSecond: eventsPerSecond,
        seconds,
        batches: batches.length,
        receiptMs: percentiles(batches.map(({ receiptUs, dueUs }) => (receiptUs - dueUs) / 1_000)),
        visibleMs: percentiles(visible),
        resolutionMs: percentiles(watch.periodsMs),
      };
    } finally {
      await watch.stop();
      await watcher.end();
    }
  });
}
