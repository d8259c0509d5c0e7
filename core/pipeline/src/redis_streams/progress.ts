/**
 * Why it exists: the engine keeps its place where its rows are; the log's servers must hear of it, for trimming, for backpressure and for what
 * receipts say is stored.
 * Enforces: places and heads only grow, whatever order they are told in.
 * Forbids: belief: nobody reads on from what is noted here.
 */
import { partitionOf } from "../append_machine.ts";
import type { Position, StoredHead, StoredProgress } from "../bus.ts";
import { ofSameBus } from "./append_call.ts";
import type { BusPlace } from "./bus_place.ts";
import type { Call } from "./link.ts";
import { scripts } from "./scripts.ts";

export class RedisProgress implements StoredProgress {
  readonly #place: BusPlace;

  constructor(place: BusPlace) {
    this.#place = place;
  }

  async noteStored(group: string, positions: readonly Position[], heads: readonly StoredHead[]): Promise<void> {
    const { servers, keys, partitions, generation } = this.#place;
    const byPart = new Map<number, StoredHead[]>();
    for (const head of heads) {
      const part = partitionOf(head.producer, partitions);
      const own = byPart.get(part) ?? [];
      byPart.set(part, own);
      own.push(head);
    }
    await Promise.all(
      [...byPart].map(([part, own]) => {
        const call: Call = {
          script: scripts.noteStored,
          keys: own.map(({ producer }) => keys.producer(part, producer)),
          args: own.flatMap(({ epoch, seq }) => [String(epoch), String(seq)]),
        };
        return servers.change(keys.partitionState(part), [call]);
      }),
    );
    if (positions.length === 0) return;
    const places = positions.flatMap(({ part, off, receivedUs, hash }) => [part, off, receivedUs, hash.toString("hex")].map(String));
    const call: Call = {
      script: scripts.groupNote,
      keys: [keys.state, keys.group(group), keys.groups, keys.floors],
      args: [generation, group, String(partitions), ...places],
    };
    ofSameBus((await servers.change(keys.state, [call]))[0]);
  }
}
