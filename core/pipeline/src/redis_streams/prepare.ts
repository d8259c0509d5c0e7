/**
 * Why it exists: a bus is made once, and it may go on from a log that has lain elsewhere.
 * Enforces: until all is in place nobody can open it, and a preparation that was interrupted is made again from the start; once finished, a part that is
 * missing is lost data and never made again.
 * Forbids: use by anybody but the keeper.
 */
import type { Random } from "ransomeye-kernel";
import { partitionOf, zeroHash } from "../append_machine.ts";
import type { Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import type { NotedHead } from "../noted_head.ts";
import { assertWhole, type BusPlace, busFacts, parts } from "./bus_place.ts";
import { encodeHead } from "./heads.ts";
import { BusKeys } from "./keys.ts";
import type { Call } from "./link.ts";
import { listOf, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";
import type { Servers } from "./servers.ts";

/** What the keeper may set. */
export interface BusSettings {
  /** Of a new bus; one that stands keeps its own: producers' places hang on it. */
  readonly partitions: number;
  readonly epochOpeningsPerDayMax: number;
  /** Bytes of frames of all gates that may be on their way at once. */
  readonly inFlightBytesMax: number;
}

/** A head from which a producer goes on, and how far the sink has come with it. */
export interface FoundingHead extends NotedHead {
  readonly storedEpoch: number;
  readonly storedSeq: number;
}

/** The log from which a new bus goes on. */
export interface Founding {
  /** One for each partition: the entry that it begins after. */
  readonly ends: readonly Pick<Position, "off" | "receivedUs" | "hash">[];
  /** In pages. */
  heads(): AsyncIterable<readonly FoundingHead[]>;
  /** The log's old place learns that it lies here from now on. Called once all is in place and before anybody may append. */
  adopt(generation: string): Promise<void>;
}

export interface Preparation {
  readonly settings: BusSettings;
  readonly random: Random;
  /**
   * Called where a bus has to be made, with the generation of one that somebody began and did not finish. Nothing: the bus begins empty.
   */
  readonly found?: (unfinished: string | undefined) => Promise<Founding>;
}

/**
 * Makes the bus where there is none, and sets what may be set of one that stands.
 * @throws BusError BUS_HISTORY_DIVERGED where a part of a bus that was finished is missing
 */
export async function prepareBus(servers: Servers, prefix: string, { settings, random, found }: Preparation): Promise<BusPlace> {
  const keys = new BusKeys(prefix);
  const [said] = await servers.read(keys.state, [{ command: ["HMGET", keys.state, "generation", "partitions", "prepared"] }]);
  const known = busFacts(said);
  const founding = known?.prepared === true ? undefined : await found?.(known?.generation);
  const partitions = founding?.ends.length ?? settings.partitions;
  const [reply] = await servers.change(keys.state, [
    {
      script: scripts.prepareBus,
      keys: [keys.state],
      args: [random.uuid(), String(partitions), String(settings.inFlightBytesMax)],
    },
  ]);
  const facts = busFacts(reply);
  if (facts === undefined) throw new BusError("BUS_INTERNAL", "the bus has no facts after it was given some");
  const place = { servers, keys, generation: facts.generation, partitions: facts.partitions };
  assertWhole(await preparePartitions(place, settings, facts.prepared, founding), facts.generation);
  if (facts.prepared) return place;
  if (founding !== undefined) {
    for await (const page of founding.heads()) await putHeads(place, page);
    await founding.adopt(facts.generation);
  }
  await servers.change(keys.state, [{ command: ["HSET", keys.state, "prepared", "1"] }]);
  return place;
}

/** Generations of all partitions, after those that may be made were made. */
async function preparePartitions(
  { servers, keys, generation, partitions }: BusPlace,
  settings: BusSettings,
  prepared: boolean,
  founding: Founding | undefined,
): Promise<string[]> {
  if (founding !== undefined && !prepared) {
    const floors = founding.ends.flatMap(({ off, receivedUs, hash }, part) => [
      String(part),
      `${off} ${receivedUs} ${hash.toString("hex")}`,
    ]);
    await servers.change(keys.floors, [{ command: ["HSET", keys.floors, ...floors] }]);
  }
  return Promise.all(
    parts(partitions).map(async (part) => {
      const state = keys.partitionState(part);
      const end = founding?.ends[part] ?? { off: 0, receivedUs: 0, hash: zeroHash };
      const call: Call = {
        script: scripts.preparePartition,
        keys: [state, keys.log(part)],
        args: [
          generation,
          prepared ? "0" : "1",
          String(settings.epochOpeningsPerDayMax),
          String(end.off),
          String(end.receivedUs),
          end.hash,
        ],
      };
      const [answer] = await servers.change(state, [call]);
      return textOf(listOf(answer)[0]);
    }),
  );
}

/** Every producer lives where its id says, wherever it has lived before: all that it sent has become rows. */
async function putHeads({ servers, keys, partitions }: BusPlace, heads: readonly FoundingHead[]): Promise<void> {
  const calls = new Map<number, Call[]>();
  for (const head of heads) {
    const part = partitionOf(head.producer, partitions);
    const own = calls.get(part) ?? [];
    calls.set(part, own);
    const fields = ["head", encodeHead({ ...head, part }), "stored", `${head.storedEpoch} ${head.storedSeq}`, "key_id", head.keyId];
    own.push(
      { command: ["HSET", keys.producer(part, head.producer), ...fields] },
      { command: ["SADD", keys.producers(part), head.producer] },
    );
  }
  await Promise.all([...calls].map(([part, own]) => servers.change(keys.partitionState(part), own)));
}
