/**
 * Why it exists: consumer groups on Redis or Valkey, for consumers that keep no place of their own. (The engine keeps its place where its rows are, R-3.)
 * Enforces: expiry by the server's clock; tokens and shares are the scripts', one call each.
 * Forbids: deciding here: a lease in memory proves nothing, only a commit does.
 */
import type { AcquireOptions, GroupLag, Groups, Lease, Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import { byMember } from "../group_share.ts";
import { assertSame, ofSameBus } from "./append_call.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { decodeLease, decodeSlot } from "./group_slots.ts";
import type { Call } from "./link.ts";
import { listOf, numberOf, type Reply, textOf } from "./replies.ts";
import { type Script, scripts } from "./scripts.ts";

export class RedisGroups implements Groups {
  readonly #place: BusPlace;

  constructor(place: BusPlace) {
    this.#place = place;
  }

  async acquire(group: string, member: string, { leaseMs, partsMax, held }: AcquireOptions): Promise<Lease[]> {
    const { keys, partitions, generation } = this.#place;
    const args = [group, member, String(leaseMs), String(partsMax), String(partitions), ...tokens(held)];
    const reply = await this.#change(scripts.groupAcquire, [keys.group(group), keys.groups, keys.floors], args);
    return listOf(reply).map((lease) => decodeLease(lease, { group, member, generation }));
  }

  async renew(leases: readonly Lease[], leaseMs: number): Promise<Lease[]> {
    const { keys, partitions, generation } = this.#place;
    const kept: Lease[] = [];
    for (const [group, member, own] of byMember(leases)) {
      const args = [member, String(leaseMs), String(partitions), ...tokens(own.toSorted((a, b) => a.part - b.part))];
      const reply = await this.#change(scripts.groupRenew, [keys.group(group)], args);
      kept.push(...listOf(reply).map((lease) => decodeLease(lease, { group, member, generation })));
    }
    return kept;
  }

  async release(leases: readonly Lease[]): Promise<void> {
    const { keys, partitions } = this.#place;
    for (const [group, member, own] of byMember(leases))
      await this.#change(scripts.groupRelease, [keys.group(group)], [member, String(partitions), ...tokens(own)]);
  }

  async commit({ group, member, part, token }: Lease, position: Position): Promise<"committed" | "fenced"> {
    assertSame(Buffer.from(position.generation), this.#place.generation);
    const place = [String(position.off), String(position.receivedUs), position.hash.toString("hex")];
    const verdict =
      position.part === part
        ? textOf(await this.#change(scripts.groupCommit, [this.#place.keys.group(group)], [member, String(part), String(token), ...place]))
        : "backward";
    if (verdict === "committed" || verdict === "fenced") return verdict;
    throw new BusError("BUS_BAD_ARGUMENT", "a commit never moves backward", { fields: { part, off: position.off } });
  }

  async lag(group: string): Promise<GroupLag[]> {
    const { servers, keys, partitions, generation } = this.#place;
    const [found] = await servers.read(keys.state, [
      { command: ["HMGET", keys.group(group), ...parts(partitions).map((part) => `s${part}`)] },
    ]);
    const slots = listOf(found);
    return Promise.all(
      parts(partitions).map(async (part) => {
        const state = keys.partitionState(part);
        const [ends] = await servers.read(state, [{ command: ["HMGET", state, "generation", "off", "low_off"] }]);
        const [said, tailText, low] = listOf(ends);
        assertSame(said, generation);
        const tail = numberOf(tailText);
        const off = Math.max(decodeSlot(slots[part])?.off ?? 0, numberOf(low));
        return { part, off, tail, entries: tail - off };
      }),
    );
  }

  async #change(script: Script, own: readonly string[], args: readonly string[]): Promise<Reply | undefined> {
    const { servers, keys, generation } = this.#place;
    const call: Call = { script, keys: [keys.state, ...own], args: [generation, ...args] };
    const [reply] = await servers.change(keys.state, [call]);
    return ofSameBus(reply);
  }
}

function tokens(leases: readonly Lease[]): string[] {
  return leases.flatMap(({ part, token }) => [String(part), String(token)]);
}
