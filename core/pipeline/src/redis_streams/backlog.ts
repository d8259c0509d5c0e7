/**
 * Why it exists: how far the slowest group is behind, which is what gates push back by.
 * Enforces: one look at each partition, whatever the number of groups.
 * Forbids: changing anything.
 */
import { type Clock } from "ransomeye-kernel";
import { ofSameBus } from "./append_call.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { decodeSlot } from "./group_slots.ts";
import type { Call } from "./link.ts";
import { listOf, numberOf, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";

export interface Backlog {
  readonly backlogEntries: number;
  readonly backlogMs: number;
}

export class Backlogs {
  readonly #place: BusPlace;
  readonly #clock: Clock;

  constructor(place: BusPlace, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
  }

  /** Of the group that has most entries before it; the age is that of the oldest entry that any group has not committed. */
  async slowest(): Promise<Backlog> {
    const { servers, keys, partitions, generation } = this.#place;
    const [names] = await servers.read(keys.state, [{ command: ["SMEMBERS", keys.groups] }]);
    const groups = listOf(names).map(textOf);
    if (groups.length === 0) return { backlogEntries: 0, backlogMs: 0 };
    const fields = parts(partitions).map((part) => `s${part}`);
    const slots = await servers.read(
      keys.state,
      groups.map((group): Call => ({ command: ["HMGET", keys.group(group), ...fields] })),
    );
    const behind = groups.map(() => 0);
    let oldestUs = Number.POSITIVE_INFINITY;
    await Promise.all(
      parts(partitions).map(async (part) => {
        const offs = slots.map((slot) => decodeSlot(listOf(slot)[part])?.off ?? 0);
        const state = keys.partitionState(part);
        const call: Call = { script: scripts.oldest, keys: [state, keys.log(part)], args: [generation, ...offs.map(String)] };
        const [reply] = await servers.read(state, [call]);
        const [tail, , ...times] = listOf(ofSameBus(reply));
        for (const [index, off] of offs.entries()) {
          behind[index] = (behind[index] ?? 0) + numberOf(tail) - off;
          const time = textOf(times[index]);
          if (time !== "") oldestUs = Math.min(oldestUs, Number(time));
        }
      }),
    );
    const nowUs = this.#clock.nowUs();
    return { backlogEntries: Math.max(...behind), backlogMs: Math.max(0, nowUs - Math.min(nowUs, oldestUs)) / 1000 };
  }
}
