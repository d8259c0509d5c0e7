/**
 * Why it exists: what every part of the adapter must know: the servers, the keys and which bus they hold.
 * Enforces: a bus is opened only where it is whole: its own facts, and a partition of its generation for each that it counts.
 * Forbids: making up a partition that is missing: on a server that has held a bus, that is lost data.
 */
import type { Random } from "ransomeye-kernel";
import { BusError } from "../errors.ts";
import { BusKeys } from "./keys.ts";
import type { Call } from "./link.ts";
import { listOf, numberOf, type Reply, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";
import type { Servers } from "./servers.ts";

export interface BusPlace {
  readonly servers: Servers;
  readonly keys: BusKeys;
  readonly generation: string;
  readonly partitions: number;
}

/** What the keeper may set. */
export interface BusSettings {
  /** Of a new bus; one that stands keeps its own: producers' places hang on it. */
  readonly partitions: number;
  readonly epochOpeningsPerDayMax: number;
  /** Bytes of frames of all gates that may be on their way at once. */
  readonly inFlightBytesMax: number;
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

/**
 * Makes the bus where there is none, and sets what may be set of one that stands.
 * @throws BusError BUS_HISTORY_DIVERGED where a part of a bus that was finished is missing
 */
export async function prepareBus(servers: Servers, prefix: string, settings: BusSettings, random: Random): Promise<BusPlace> {
  const keys = new BusKeys(prefix);
  const { partitions, epochOpeningsPerDayMax, inFlightBytesMax } = settings;
  const facts: Call = {
    script: scripts.prepareBus,
    keys: [keys.state],
    args: [random.uuid(), String(partitions), String(inFlightBytesMax)],
  };
  const [reply] = await servers.change(keys.state, [facts]);
  const found = busFacts(reply);
  if (found === undefined) throw new BusError("BUS_INTERNAL", "the bus has no facts after it was given some");
  const generations = await Promise.all(
    parts(found.partitions).map(async (part) => {
      const state = keys.partitionState(part);
      const call: Call = {
        script: scripts.preparePartition,
        keys: [state, keys.log(part)],
        args: [found.generation, found.prepared ? "0" : "1", String(epochOpeningsPerDayMax)],
      };
      const [answer] = await servers.change(state, [call]);
      return textOf(listOf(answer)[0]);
    }),
  );
  assertWhole(generations, found.generation);
  if (!found.prepared) await servers.change(keys.state, [{ command: ["HSET", keys.state, "prepared", "1"] }]);
  return { servers, keys, generation: found.generation, partitions: found.partitions };
}

/** 0 … partitions - 1. */
export function parts(partitions: number): number[] {
  return Array.from({ length: partitions }, (_, part) => part);
}

function busFacts(reply: Reply | undefined): { generation: string; partitions: number; prepared: boolean } | undefined {
  const [generation, partitions, prepared] = listOf(reply);
  if (generation === null || generation === undefined) return undefined;
  return { generation: textOf(generation), partitions: numberOf(partitions), prepared: textOf(prepared) === "1" };
}

function assertWhole(generations: readonly string[], generation: string): void {
  const part = generations.findIndex((found) => found !== generation);
  if (part < 0) return;
  const found = generations[part] as string;
  throw new BusError("BUS_HISTORY_DIVERGED", found === "" ? "a partition of the bus is missing" : "a partition is of another generation", {
    fields: { part, generation: found },
  });
}
