// Why: logs are followed by pattern, and which files match changes while the agent runs.
// Enforces: `*` and `?` within one part of a path, nothing else; what a rotation has moved away is no source of its own; a bound on matches.
// Forbids: following a file twice.

import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { rotationOf } from "./rotated_files.ts";

/** Files that one agent follows at most. */
export const followedMax = 4096;

/** True if it stands for more than itself. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}

/** Paths that a pattern stands for now, in order; a plain path stands for itself whether it exists or not. */
export async function matching(pattern: string): Promise<string[]> {
  const absolute = resolve(pattern);
  if (!isPattern(absolute)) return [absolute];
  let found = ["/"];
  for (const part of absolute.split("/").filter((one) => one !== "")) {
    if (!isPattern(part)) {
      found = found.map((folder) => join(folder, part));
      continue;
    }
    const match = partPattern(part);
    const lists = await Promise.all(found.map((folder) => readdir(folder).catch(() => [] as string[])));
    found = lists.flatMap((names, at) => names.filter((name) => match.test(name)).map((name) => join(found[at] as string, name)));
    if (found.length > followedMax * 4) break;
  }
  return withoutRotated(found).sort();
}

/** Rotated files of files that match as well, or did before they were moved, are read for what is missing, and not again. */
function withoutRotated(paths: readonly string[]): string[] {
  const all = new Set(paths);
  // A rotated file's name begins with the live one's and goes on with a dot or a dash; each against each would be millions in a large folder.
  const isRotated = (path: string): boolean => {
    const name = basename(path);
    for (let end = name.length - 1; end > 0; end -= 1) {
      if (name[end] !== "." && name[end] !== "-") continue;
      const live = name.slice(0, end);
      if (rotationOf(live, name) !== undefined && all.has(join(dirname(path), live))) return true;
    }
    return false;
  };
  return paths.filter((path) => !isRotated(path));
}

function partPattern(part: string): RegExp {
  const source = part
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${part.startsWith("*") || part.startsWith("?") ? "(?!\\.)" : ""}${source}$`);
}
