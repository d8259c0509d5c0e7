/**
 * Why it exists: how many partitions a member of a group should hold, decided once for every adapter (`bus.group_quota` mirrors it in SQL).
 * Enforces: fair shares among live members, and no partition left over because a member wants less than its share.
 * Forbids: knowing which partitions; an adapter takes any that are free.
 */

import type { Lease } from "./bus.ts";

/** `wanted` are the partsMax of the other live members. */
export function groupQuota(partitions: number, partsMax: number, wanted: readonly number[]): number {
  const share = Math.ceil(partitions / (wanted.length + 1));
  const others = wanted.reduce((sum, max) => sum + Math.min(max, share), 0);
  return Math.min(partsMax, Math.max(share, partitions - others));
}

/** Leases of one call, sorted out by group and member. */
export function byMember(leases: readonly Lease[]): [group: string, member: string, own: Lease[]][] {
  const found = new Map<string, [string, string, Lease[]]>();
  for (const lease of leases) {
    const key = `${lease.group}\n${lease.member}`;
    const entry = found.get(key) ?? [lease.group, lease.member, []];
    entry[2].push(lease);
    found.set(key, entry);
  }
  return [...found.values()];
}
