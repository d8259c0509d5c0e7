/**
 * Why: many faults, in an order of chance that its seed gives again.
 * Enforces: every kind comes as often as every other; after each round of all of them what is stored is held against what was accepted.
 * Forbids: going on after a fault from which nothing recovered.
 */
import { seededRandom } from "ransomeye-kernel";
import { type EngineFault, engineFaults, faultName } from "./faults.ts";
import type { Findings } from "./judge.ts";
import { Stage, type Struck } from "./stage.ts";

/** A fault and what came of it. */
export interface FaultRecord extends Struck {
  readonly name: string;
}

export interface SeriesFigures {
  readonly seed: string;
  readonly faults: readonly FaultRecord[];
  /** At the end. */
  readonly findings: Findings | null;
  /** Why it ended early. */
  readonly failure: string | null;
}

export interface SeriesPlan {
  readonly faults: number;
  readonly seed: string;
  /** Told of each fault as it is done. */
  readonly told?: (record: FaultRecord, n: number) => void;
  readonly signal?: AbortSignal;
}

/** Strikes so many faults at one database; PostgreSQL is killed only where it is ours. */
export async function faultSeries({ faults: wanted, seed, told, signal }: SeriesPlan): Promise<SeriesFigures> {
  const random = seededRandom(`order ${seed}`);
  const faults: FaultRecord[] = [];
  await using stage = await Stage.open(seed);
  const kinds = engineFaults.filter(({ kind }) => kind !== "server_killed" || stage.ownsServer);
  let findings: Findings | null = null;
  try {
    while (faults.length < wanted) {
      for (const fault of shuffled(kinds, random.uint32.bind(random)).slice(0, wanted - faults.length)) {
        signal?.throwIfAborted();
        const record = { name: faultName(fault), ...(await stage.strike(fault)) };
        faults.push(record);
        told?.(record, faults.length);
        if (!record.recovered) throw new Error(`after "${record.name}" not everything was stored within a minute`);
      }
      findings = await stage.judge();
    }
    return { seed, faults, findings, failure: null };
  } catch (error) {
    return {
      seed,
      faults,
      findings: await stage.judge().catch(() => findings),
      failure: error instanceof Error ? error.message : String(error),
    };
  }
}

function shuffled(kinds: readonly EngineFault[], uint32: () => number): EngineFault[] {
  return kinds
    .map((fault) => ({ fault, order: uint32() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ fault }) => fault);
}
