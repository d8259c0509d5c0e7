/**
 * Why it exists: consumer groups over the log in memory, with the same leases and fencing tokens as every other adapter.
 * Enforces: one valid token per (group, partition), growing at takeover, release and rewind; fair shares (group_share.ts); trim never
 * passes a group. Expiry is by the injected clock, looked at when somebody calls: there are no timers.
 * Forbids: use in production.
 */
import type { Clock } from "ransomeye-kernel";
import type { AcquireOptions, Bus, BusControl, GroupLag, Lease, Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import { byMember, groupQuota } from "../group_share.ts";
import { type Backlog, type MemoryBusOptions, MemoryLog } from "./log.ts";

interface Slot {
  position: Position | null;
  fence: number;
  owner: string | null;
  leaseUntilMs: number;
}

interface Group {
  readonly members: Map<string, { leaseUntilMs: number; partsMax: number }>;
  readonly slots: Slot[];
}

/** The whole bus in memory, with what only tests and simulation need. */
export interface MemoryBus extends Bus, BusControl {
  /** Tells the bus what the sink holds, as the engine's heads would on PostgreSQL. */
  noteStored(producer: string, epoch: number, seq: number): void;
}

export function openMemoryBus(options: MemoryBusOptions): MemoryBus {
  return new MemoryGroups(options);
}

class MemoryGroups extends MemoryLog implements MemoryBus {
  readonly #clock: Clock;
  readonly #groups = new Map<string, Group>();

  constructor(options: MemoryBusOptions) {
    super(options);
    this.#clock = options.clock;
  }

  async acquire(group: string, member: string, options: AcquireOptions): Promise<Lease[]> {
    const found = this.#group(group);
    const nowMs = this.#clock.monotonicMs();
    const leaseUntilMs = nowMs + options.leaseMs;
    for (const [name, { leaseUntilMs: until }] of found.members) if (until <= nowMs) found.members.delete(name);
    found.members.set(member, { leaseUntilMs, partsMax: options.partsMax });
    const held = new Set(options.held.map((lease) => heldSlot(found, lease)).filter((slot) => (slot?.leaseUntilMs ?? 0) > nowMs));
    let room = this.#quota(found, member) - held.size;
    const leases: Lease[] = [];
    for (const [part, slot] of found.slots.entries()) {
      if (room <= 0) break;
      if (held.has(slot) || (slot.owner !== null && slot.owner !== member && slot.leaseUntilMs > nowMs)) continue;
      slot.owner = member;
      slot.leaseUntilMs = leaseUntilMs;
      slot.fence += 1;
      room -= 1;
      leases.push({ group, member, part, token: slot.fence, position: slot.position });
    }
    return leases;
  }

  async renew(leases: readonly Lease[], leaseMs: number): Promise<Lease[]> {
    const kept: Lease[] = [];
    for (const [group, member, own] of byMember(leases)) {
      const found = this.#group(group);
      const leaseUntilMs = this.#clock.monotonicMs() + leaseMs;
      found.members.set(member, { leaseUntilMs, partsMax: found.members.get(member)?.partsMax ?? own.length });
      const quota = this.#quota(found, member);
      let renewed = 0;
      for (const lease of own.toSorted((a, b) => a.part - b.part)) {
        const slot = heldSlot(found, lease);
        if (slot === undefined) continue;
        if (renewed >= quota) {
          free(slot);
          continue;
        }
        renewed += 1;
        slot.leaseUntilMs = leaseUntilMs;
        kept.push({ ...lease, position: slot.position });
      }
    }
    return kept;
  }

  async release(leases: readonly Lease[]): Promise<void> {
    for (const [group, member, own] of byMember(leases)) {
      const found = this.#group(group);
      for (const lease of own) {
        const slot = heldSlot(found, lease);
        if (slot !== undefined) free(slot);
      }
      if (!found.slots.some((slot) => slot.owner === member)) found.members.delete(member);
    }
  }

  async commit(lease: Lease, position: Position): Promise<"committed" | "fenced"> {
    const slot = heldSlot(this.#group(lease.group), lease);
    if (slot === undefined) return "fenced";
    if (position.part !== lease.part || position.off < (slot.position?.off ?? 0)) {
      throw new BusError("BUS_BAD_ARGUMENT", "a commit never moves backward", { fields: { part: lease.part, off: position.off } });
    }
    slot.position = position;
    return "committed";
  }

  async lag(group: string): Promise<GroupLag[]> {
    return this.#group(group).slots.map((slot, part) => {
      const tail = this.tail(part);
      const off = Math.max(slot.position?.off ?? 0, this.lowMark(part)?.off ?? 0);
      return { part, off, tail, entries: tail - off };
    });
  }

  async rewind(group: string, part: number, position: Position | null): Promise<void> {
    const slot = this.#group(group).slots[part];
    if (slot === undefined || (position !== null && position.part !== part))
      throw new BusError("BUS_BAD_ARGUMENT", "no such partition", { fields: { part } });
    slot.position = position ?? this.lowMark(part);
    free(slot);
  }

  protected override readUpTo(part: number): number {
    let low = Number.MAX_SAFE_INTEGER;
    for (const { slots } of this.#groups.values()) low = Math.min(low, slots[part]?.position?.off ?? 0);
    return low;
  }

  protected override backlog(): Backlog {
    let entries = 0;
    let oldestUs: number | undefined;
    for (const { slots } of this.#groups.values()) {
      let behind = 0;
      for (const [part, slot] of slots.entries()) {
        const off = slot.position?.off ?? 0;
        behind += this.tail(part) - off;
        const nextUs = this.receivedAfter(part, off);
        if (nextUs !== undefined) oldestUs = Math.min(oldestUs ?? nextUs, nextUs);
      }
      entries = Math.max(entries, behind);
    }
    return { entries, oldestUs };
  }

  #group(name: string): Group {
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    const slots: Slot[] = [];
    for (let part = 0; part < this.partitions; part++) slots.push({ position: this.lowMark(part), fence: 0, owner: null, leaseUntilMs: 0 });
    const group: Group = { members: new Map(), slots };
    this.#groups.set(name, group);
    return group;
  }

  #quota(group: Group, member: string): number {
    const nowMs = this.#clock.monotonicMs();
    const wanted = [...group.members]
      .filter(([name, { leaseUntilMs }]) => name !== member && leaseUntilMs > nowMs)
      .map(([, { partsMax }]) => partsMax);
    return groupQuota(this.partitions, group.members.get(member)?.partsMax ?? 0, wanted);
  }
}

/** The slot, if the lease is still the one that holds it. An expired lease that nobody has taken over still does. */
function heldSlot(group: Group, lease: Lease): Slot | undefined {
  const slot = group.slots[lease.part];
  return slot !== undefined && slot.owner === lease.member && slot.fence === lease.token ? slot : undefined;
}

function free(slot: Slot): void {
  slot.owner = null;
  slot.fence += 1;
}
