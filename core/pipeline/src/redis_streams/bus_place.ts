/**
 * Why it exists: what every part of the adapter must know: the servers, the keys and which bus they hold.
 * Enforces: a bus is opened only where it is whole: its own facts, and a partition of its generation for each that it counts.
 * Forbids: making up a partition that is missing: on a server that has held a bus, that is lost data.
 */
import { BusError } from "../errors.ts";
import { BusKeys } from "./keys.ts";
import { listOf, numberOf, type Reply, textOf } from "./replies.ts";
import type { Servers } from "./servers.ts";

export interface BusPlace {
  readonly servers: Servers;
  readonly keys: BusKeys;
  readonly generation: string;
  readonly partitions: number;
}

/** Finds the bus. @throws BusError BUS_NOT_PREPARED, BUS_HISTORY_DIVERGED */
export async function findBus(servers: Servers, prefix: string): Promise<BusPlace> {
  const keys = new BusKeys(prefix);
  const [facts] = await servers.read(keys.state, [{ command: ["HMGET", keys.state, "generation", "partitions", "prepared"] }]);
  const found = busFacts(facts);
  if (found === undefined || !found.prepared)
    throw new BusError("BUS_NOT_PREPARED", "the servers hold no bus, or one that was never finished");
  const place = { servers, keys, generation: found.generation, partitions: found.partitions };
  const generations = await Promise.all(
    parts(found.partitions).map(async (part) => {
      const state = keys.partitionState(part);
      const [generation] = await servers.read(state, [{ command: ["HGET", state, "generation"] }]);
      return generation === null || generation === undefined ? "" : textOf(generation);
    }),
  );
  assertWhole(generations, found.generation);
  return place;
}

/** 0 … partitions - 1. */
export function parts(partitions: number): number[] {
  return Array.from({ length: partitions }, (_, part) => part);
}

/** Generation, partitions and whether it was finished, as the state holds them; undefined where there is no bus. */
export function busFacts(reply: Reply | undefined): { generation: string; partitions: number; prepared: boolean } | undefined {
  const [generation, partitions, prepared] = listOf(reply);
  if (generation === null || generation === undefined) return undefined;
  return { generation: textOf(generation), partitions: numberOf(partitions), prepared: textOf(prepared) === "1" };
}

/** @throws BusError BUS_HISTORY_DIVERGED */
export function assertWhole(generations: readonly string[], generation: string): void {
  const part = generations.findIndex((found) => found !== generation);
  if (part < 0) return;
  const found = generations[part] as string;
  throw new BusError("BUS_HISTORY_DIVERGED", found === "" ? "a partition of the bus is missing" : "a partition is of another generation", {
    fields: { part, generation: found },
  });
}
