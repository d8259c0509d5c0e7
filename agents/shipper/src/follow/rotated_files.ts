// Why: what a log rotation has moved away is found by the names that rotations give.
// Enforces: one reading of those names; the order is the order in which the files were the live one, oldest first.
// Forbids: opening files.

import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** A file that was the live one once. */
export interface RotatedName {
  readonly path: string;
  /** Packed by gzip. */
  readonly packed: boolean;
}

/** `.1`, `.2.gz`, `-20260105`, `-20260105.gz`, `.2026-01-05T10`, `.old`: behind the name of the live file. */
const suffix = /^(?:[.-](\d[\d.T:_-]*)|\.old)(\.gz)?$/;

/** What a rotation has made of `live`; undefined if `name` is something else. */
export function rotationOf(live: string, name: string): { readonly stamp: string; readonly packed: boolean } | undefined {
  const found = name.startsWith(live) ? suffix.exec(name.slice(live.length)) : null;
  return found === null ? undefined : { stamp: found[1] ?? "old", packed: found[2] !== undefined };
}

/** Rotated files of a live one in their folder, oldest first. */
export async function rotatedFiles(path: string): Promise<RotatedName[]> {
  const folder = dirname(path);
  const live = basename(path);
  const names = await readdir(folder).catch(() => [] as string[]);
  return names
    .flatMap((name) => {
      const found = rotationOf(live, name);
      return found === undefined ? [] : [{ path: join(folder, name), ...found }];
    })
    .sort(byAge)
    .map((one) => ({ path: one.path, packed: one.packed }));
}

/** Small numbers count back from the live file, long ones are dates. `old` is the newest that there is. */
function byAge(a: { stamp: string; packed: boolean }, b: { stamp: string; packed: boolean }): number {
  const counts = (stamp: string): number | undefined => (stamp === "old" ? 0 : /^\d{1,5}$/.test(stamp) ? Number(stamp) : undefined);
  const [x, y] = [counts(a.stamp), counts(b.stamp)];
  if (x !== undefined && y !== undefined) return y - x || Number(b.packed) - Number(a.packed);
  if (x !== undefined || y !== undefined) return x === undefined ? -1 : 1;
  return a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : Number(b.packed) - Number(a.packed);
}
