/**
 * Why: generated pages are committed, so that they can be read without building, and must not lag behind.
 * Enforces: one way to write them and one way to check them.
 * Forbids: writing a page that is already right (its time stamp stays).
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Writes the pages (path → text), or with `check` names those that differ. Returns whether all pages are as they should be now. */
export function settlePages(root: string, pages: ReadonlyMap<string, string>, check: boolean, command: string): boolean {
  let settled = true;
  for (const [path, text] of pages) {
    const full = join(root, path);
    if (existsSync(full) && readFileSync(full, "utf8") === text) continue;
    if (check) {
      console.error(`${path} is not up to date: run ${command}`);
      settled = false;
    } else {
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, text);
      console.log(`wrote ${path}`);
    }
  }
  return settled;
}
