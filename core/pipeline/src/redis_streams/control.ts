/**
 * Why it exists: what registry and keeper may do with a bus on Redis or Valkey.
 * Enforces: nobody is removed from under a group: first the floor rises below which no group begins, then entries go.
 * Forbids: use by gates and consumers; on the servers other ACL users have these commands.
 */
import { partitionOf } from "../append_machine.ts";
import { checkPartition } from "../arguments.ts";
import type { BusControl, Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import { otherGeneration } from "./append_call.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { placeOf } from "./entry.ts";
import { decodeSlot } from "./group_slots.ts";
import type { Argument, Call } from "./link.ts";
import { bytesOf, listOf, numberOf, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";

/** Entries that go in one step, so that no step holds the server for long. */
const trimEntriesMax = 256;

export class RedisControl implements BusControl {
  readonly #place: BusPlace;

  constructor(place: BusPlace) {
    this.#place = place;
  }

  async setRegistry({ versionMin, revoked }: { readonly versionMin: number; readonly revoked: readonly string[] }): Promise<boolean> {
    const { servers, keys, partitions, generation } = this.#place;
    const [raised] = await servers.change(keys.state, [{ script: scripts.setVersion, keys: [keys.state], args: [String(versionMin)] }]);
    if (textOf(raised) !== "1") return false;
    const answers = await Promise.all(
      parts(partitions).map(async (part) => {
        const state = keys.partitionState(part);
        const own = revoked.filter((producer) => partitionOf(producer, partitions) === part);
        const call: Call = {
          script: scripts.setRevoked,
          keys: [state, keys.revoked(part)],
          args: [generation, String(versionMin), ...own],
        };
        return textOf((await servers.change(state, [call]))[0]);
      }),
    );
    if (answers.includes("")) throw otherGeneration(Buffer.alloc(0));
    return answers.every((answer) => answer === "1");
  }

  async pause(reason: string | null): Promise<void> {
    const { servers, keys, partitions } = this.#place;
    const states = [keys.state, ...parts(partitions).map((part) => keys.partitionState(part))];
    // Taking the old word away is allowed on a full server, too; after it the new one.
    const calls = (state: string): Call[] => [
      { command: ["HDEL", state, "paused"] },
      ...(reason === null ? [] : [{ command: ["HSET", state, "paused", reason] } as const]),
    ];
    await Promise.all(states.map((state) => servers.change(state, calls(state))));
  }

  async trim(part: number, off: number): Promise<number> {
    const { servers, keys, partitions } = this.#place;
    checkPartition(part, partitions);
    const groups = await this.#groups();
    const slots = await servers.read(
      keys.state,
      groups.map((group): Call => ({ command: ["HGET", keys.group(group), `s${part}`] })),
    );
    const slowest = Math.min(...slots.map((slot) => decodeSlot(slot)?.off ?? 0));
    const state = keys.partitionState(part);
    const [ends] = await servers.read(state, [{ command: ["HMGET", state, "off", "low_off"] }]);
    const [tail, lowText] = listOf(ends);
    const low = numberOf(lowText);
    const to = Math.min(off, slowest, numberOf(tail));
    if (to <= low || !(await this.#raiseFloor(part, to, groups))) return low;
    return this.#remove(part, low, to);
  }

  async rewind(group: string, part: number, position: Position | null): Promise<void> {
    const { servers, keys, partitions } = this.#place;
    checkPartition(part, partitions);
    if (position !== null && position.part !== part)
      throw new BusError("BUS_BAD_ARGUMENT", "the position is of another partition", { fields: { part } });
    const place = position === null ? ["", "", ""] : [String(position.off), String(position.receivedUs), position.hash.toString("hex")];
    const args = [group, String(partitions), String(part), ...place];
    await servers.change(keys.state, [{ script: scripts.groupRewind, keys: [keys.group(group), keys.groups, keys.floors], args }]);
  }

  async #groups(): Promise<string[]> {
    const { servers, keys } = this.#place;
    const [names] = await servers.read(keys.state, [{ command: ["SMEMBERS", keys.groups] }]);
    return listOf(names).map(textOf);
  }

  /** False if a group has come or gone back meanwhile: the next trim sees it. */
  async #raiseFloor(part: number, off: number, groups: readonly string[]): Promise<boolean> {
    const { servers, keys } = this.#place;
    const state = keys.partitionState(part);
    const [reply] = await servers.read(state, [{ script: scripts.place, keys: [state, keys.log(part)], args: [String(off)] }]);
    const [, , , , receivedUs, hash] = listOf(reply);
    // A hole: the entry has been removed by somebody else, and readers must be told before anything more goes.
    if (textOf(receivedUs) === "") return false;
    const call: Call = {
      script: scripts.raiseFloor,
      keys: [keys.floors, keys.groups, ...groups.map((group) => keys.group(group))],
      args: [String(part), String(off), textOf(receivedUs), bytesOf(hash).toString("hex")],
    };
    return textOf((await servers.change(keys.state, [call]))[0]) === "raised";
  }

  async #remove(part: number, low: number, to: number): Promise<number> {
    const { servers, keys, generation } = this.#place;
    const state = keys.partitionState(part);
    let at = low;
    while (at < to) {
      const metas: Call = { script: scripts.oldestMetas, keys: [keys.log(part)], args: [String(to), String(trimEntriesMax)] };
      const entries = listOf((await servers.read(state, [metas]))[0]).map(listOf);
      const last = entries.at(-1);
      if (last === undefined) return at;
      const keyList = [state, keys.log(part)];
      const places = new Map<string, string>();
      const args: Argument[] = [generation, String(at), bytesOf(last[0]), bytesOf(last[1]), bytesOf(last[2]).subarray(0, 32)];
      for (const [, , meta] of entries) {
        const { producer, epoch, firstSeq, lastSeq } = placeOf(bytesOf(meta));
        const place = places.get(producer) ?? String(keyList.push(keys.producer(part, producer)));
        places.set(producer, place);
        args.push(place, String(epoch), String(firstSeq), String(lastSeq));
      }
      const [answer] = await servers.change(state, [{ script: scripts.trim, keys: keyList, args }]);
      const [kind, mark] = listOf(answer);
      if (textOf(kind) === "generation") throw otherGeneration(mark);
      if (numberOf(mark) !== numberOf(last[0])) return numberOf(mark);
      at = numberOf(mark);
    }
    return at;
  }
}
