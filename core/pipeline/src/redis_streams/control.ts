/**
 * Why it exists: what registry and keeper may do with a bus on Redis or Valkey.
 * Enforces: nobody is removed from under a group: first the floor rises below which no group begins, then entries go.
 * Forbids: use by gates and consumers; on the servers other ACL users have these commands.
 */
import { partitionOf, zeroHash } from "../append_machine.ts";
import { checkPartition } from "../arguments.ts";
import type { BusControl, Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import { assertSame, ofSameBus } from "./append_call.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { placeOf } from "./entry.ts";
import { decodeSlot, type GroupSlot } from "./group_slots.ts";
import { comparePosition } from "./history.ts";
import type { Argument, Call } from "./link.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";

/** What goes in one step, so that no step holds the server for long. */
const trimEntriesMax = 256;
const trimBytesMax = 2 * 1024 * 1024;

export class RedisControl implements BusControl {
  readonly #place: BusPlace;

  constructor(place: BusPlace) {
    this.#place = place;
  }

  async setRegistry({ versionMin, revoked }: { readonly versionMin: number; readonly revoked: readonly string[] }): Promise<boolean> {
    const { servers, keys, partitions, generation } = this.#place;
    const raise: Call = { script: scripts.setVersion, keys: [keys.state], args: [generation, String(versionMin)] };
    if (textOf(ofSameBus((await servers.change(keys.state, [raise]))[0])) !== "1") return false;
    const answers = await Promise.all(
      parts(partitions).map(async (part) => {
        const state = keys.partitionState(part);
        const own = revoked.filter((producer) => partitionOf(producer, partitions) === part);
        const call: Call = {
          script: scripts.setRevoked,
          keys: [state, keys.revoked(part)],
          args: [generation, String(versionMin), ...own],
        };
        return textOf(ofSameBus((await servers.change(state, [call]))[0]));
      }),
    );
    return answers.every((answer) => answer === "1");
  }

  async pause(reason: string | null): Promise<void> {
    const { servers, keys, partitions, generation } = this.#place;
    const states = [keys.state, ...parts(partitions).map((part) => keys.partitionState(part))];
    await Promise.all(
      states.map(async (state) => {
        const call: Call = { script: scripts.setPaused, keys: [state], args: [generation, reason ?? ""] };
        ofSameBus((await servers.change(state, [call]))[0]);
      }),
    );
  }

  async trim(part: number, off: number): Promise<number> {
    const { servers, keys, partitions, generation } = this.#place;
    checkPartition(part, partitions);
    const groups = await this.#groups();
    const slots = await servers.read(
      keys.state,
      groups.map((group): Call => ({ command: ["HGET", keys.group(group), `s${part}`] })),
    );
    const places = slots.map((slot) => decodeSlot(slot));
    const slowest = Math.min(...places.map((place) => place?.off ?? 0));
    const state = keys.partitionState(part);
    const [ends] = await servers.read(state, [{ command: ["HMGET", state, "generation", "off", "low_off"] }]);
    const [said, tail, lowText] = listOf(ends);
    assertSame(said, generation);
    const low = numberOf(lowText);
    const to = Math.min(off, slowest, numberOf(tail));
    if (to <= low || !(await this.#areHere(part, places)) || !(await this.#raiseFloor(part, to, groups))) return low;
    return this.#remove(part, low, to);
  }

  async rewind(group: string, part: number, position: Position | null): Promise<void> {
    const { servers, keys, partitions, generation } = this.#place;
    checkPartition(part, partitions);
    if (position !== null && position.part !== part)
      throw new BusError("BUS_BAD_ARGUMENT", "the position is of another partition", { fields: { part } });
    if (position !== null) assertSame(Buffer.from(position.generation), generation);
    const place = position === null ? ["", "", ""] : [String(position.off), String(position.receivedUs), position.hash.toString("hex")];
    const args = [generation, group, String(partitions), String(part), ...place];
    const call: Call = { script: scripts.groupRewind, keys: [keys.state, keys.group(group), keys.groups, keys.floors], args };
    ofSameBus((await servers.change(keys.state, [call]))[0]);
  }

  async #groups(): Promise<string[]> {
    const { servers, keys } = this.#place;
    const [names] = await servers.read(keys.state, [{ command: ["SMEMBERS", keys.groups] }]);
    return listOf(names).map(textOf);
  }

  /** Whether the log still has what the groups have committed: who stands in another history has not seen the entries of this one. */
  async #areHere(part: number, places: readonly (GroupSlot | undefined)[]): Promise<boolean> {
    const { generation } = this.#place;
    const known = places.filter((place) => place !== undefined);
    const found = await Promise.all(known.map((slot) => comparePosition(this.#place, { ...slot, generation, part })));
    return found.every((one) => one === "same");
  }

  /** False if a group has come or gone back meanwhile: the next trim sees it. */
  async #raiseFloor(part: number, off: number, groups: readonly string[]): Promise<boolean> {
    const { servers, keys, generation } = this.#place;
    const state = keys.partitionState(part);
    const [reply] = await servers.read(state, [{ script: scripts.place, keys: [state, keys.log(part)], args: [String(off)] }]);
    const [, , , , receivedUs, hash] = listOf(reply);
    // A hole: the entry has been removed by somebody else, and readers must be told before anything more goes.
    if (textOf(receivedUs) === "") return false;
    const call: Call = {
      script: scripts.raiseFloor,
      keys: [keys.state, keys.floors, keys.groups, ...groups.map((group) => keys.group(group))],
      args: [generation, String(part), String(off), textOf(receivedUs), bytesOf(hash).toString("hex")],
    };
    return textOf(ofSameBus((await servers.change(keys.state, [call]))[0])) === "raised";
  }

  async #remove(part: number, low: number, to: number): Promise<number> {
    const { servers, keys, generation } = this.#place;
    const state = keys.partitionState(part);
    let at = low;
    while (at < to) {
      const metas: Call = {
        script: scripts.oldestMetas,
        keys: [keys.log(part)],
        args: [String(to), String(trimEntriesMax), String(trimBytesMax)],
      };
      const entries = listOf((await servers.read(state, [metas]))[0]).map(listOf);
      const last = entries.at(-1);
      if (last === undefined) return at;
      const keyList = [state, keys.log(part)];
      const places = new Map<string, string>();
      const args: Argument[] = [generation, String(at), bytesOf(last[0]), ...endOf(last)];
      for (const [, , meta] of entries) {
        const own = placeOf(bytesOf(meta));
        if (own === undefined) continue;
        const { producer, epoch, firstSeq, lastSeq } = own;
        const place = places.get(producer) ?? String(keyList.push(keys.producer(part, producer)));
        places.set(producer, place);
        args.push(place, String(epoch), String(firstSeq), String(lastSeq));
      }
      const [answer] = await servers.change(state, [{ script: scripts.trim, keys: keyList, args }]);
      const [, mark] = listOf(ofSameBus(answer));
      if (numberOf(mark) !== numberOf(last[0])) return numberOf(mark);
      at = numberOf(mark);
    }
    return at;
  }
}

/** Received time and hash of the last entry to go. Of one that this bus has not written they are unknown, and its position is nobody's. */
function endOf([, receivedUs, meta]: readonly Reply[]): [Buffer, Buffer] {
  const facts = bytesOf(meta);
  return facts.length === 0 ? [Buffer.from("0"), zeroHash] : [bytesOf(receivedUs), facts.subarray(0, 32)];
}
