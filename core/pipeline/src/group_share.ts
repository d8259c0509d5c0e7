/**
 * Why it exists: how many partitions a member of a group should hold, decided once for every adapter (`bus.group_quota` mirrors it).
 * Enforces: fair shares among live members, and no partition left over because a member wants less than its share.
 * Forbids: knowing which partitions; an adapter takes any that are free.
 */

/** `wanted` are the partsMax of the other live members. */
export function groupQuota(partitions: number, partsMax: number, wanted: readonly number[]): number {
  const share = Math.ceil(partitions / (wanted.length + 1));
  const others = wanted.reduce((sum, max) => sum + Math.min(max, share), 0);
  return Math.min(partsMax, Math.max(share, partitions - others));
}
