/**
 * Why: the index is made of what has just been stored, on the host that stores it; what that takes from the intake has to be known.
 * Enforces: floods through a whole system in pairs, one with the indexer stopped (SIGSTOP) and one with it running, which comes first in turn; between two the indexer
 *   catches up, so that each pays for its own events alone.
 * Forbids: a figure from a run whose ledger does not balance.
 */
import { indexFigures } from "ransomeye";
import type { Pool } from "ransomeye-db";
import { cpuNow, indexerBackends, indexerLine } from "../ingest/process_account.ts";
import { flood, floodProducers, type LoadedSystem, withLoad } from "../ingest/throughput.ts";
import type { ObservablesOptions } from "./options.ts";

export interface IntakePair {
  /** Events a second. */
  readonly without: number;
  readonly with: number;
  /** CPU seconds a million events of the whole system, and of them those of the indexer and its backend, until everything was indexed. */
  readonly cpuWithout: number;
  readonly indexerCpu: number;
  /** Seconds after the flood until everything was indexed. */
  readonly behindSeconds: number;
}

const warmUpEvents = 60_000;
const behindMsMax = 600_000;

export async function measureIntake(o: ObservablesOptions, say: (line: string) => void): Promise<IntakePair[]> {
  const pairs: IntakePair[] = [];
  await withLoad(floodProducers, {}, async (loaded) => {
    const pool = await loaded.system.reader();
    try {
      let stored = floodProducers;
      const run = async (
        events: number,
        indexes: boolean,
      ): Promise<Awaited<ReturnType<typeof flood>> & { readonly behindSeconds: number; readonly indexerCpu: number }> => {
        const pid = loaded.system.pidOf("indexer");
        const before = await indexerSeconds(loaded);
        if (!indexes) process.kill(pid, "SIGSTOP");
        try {
          const done = await flood(loaded, events, stored);
          stored += done.run.events;
          if (!indexes) process.kill(pid, "SIGCONT");
          const begun = performance.now();
          await untilIndexed(pool);
          const behindSeconds = (performance.now() - begun) / 1000;
          return { ...done, behindSeconds, indexerCpu: ((await indexerSeconds(loaded)) - before) / (done.run.events / 1e6) };
        } finally {
          process.kill(pid, "SIGCONT");
        }
      };
      await run(warmUpEvents, true);
      for (let pair = 0; pair < o.pairs; pair++) {
        const first = await run(o.floodEvents, pair % 2 === 0);
        const second = await run(o.floodEvents, pair % 2 !== 0);
        const [on, off] = pair % 2 === 0 ? [first, second] : [second, first];
        pairs.push({
          ...{ without: off.run.eventsPerSecond, with: on.run.eventsPerSecond },
          ...{ cpuWithout: off.run.systemCpuPerMillion, indexerCpu: on.indexerCpu, behindSeconds: on.behindSeconds },
        });
        say(`pair ${pair + 1}: ${JSON.stringify(pairs.at(-1))}`);
      }
    } finally {
      await pool.end();
    }
  });
  return pairs;
}

async function untilIndexed(pool: Pool): Promise<void> {
  const endMs = performance.now() + behindMsMax;
  while ((await indexFigures(pool)).behind.batches > 0) {
    if (performance.now() > endMs) throw new Error("the indexer has not caught up in ten minutes");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** CPU seconds of the indexer and of the backend that serves it. */
async function indexerSeconds({ system, generator }: LoadedSystem): Promise<number> {
  const looker = await system.client("bench looker");
  try {
    const lines = await cpuNow(system, looker, generator.pid);
    return (lines.get(indexerLine) ?? 0) + (lines.get(indexerBackends) ?? 0);
  } finally {
    await looker.end();
  }
}
