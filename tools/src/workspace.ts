/**
 * Why: the tools look at the whole checkout, and must agree on what belongs to it.
 * Enforces: one list of rooms, from the root package.json; paths relative to the root, with forward slashes, sorted.
 * Forbids: looking into node_modules, build output and data directories.
 */
import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The parts of a package.json that the tools read. */
export interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
  readonly licenses?: unknown;
  readonly workspaces?: readonly string[];
  readonly exports?: Readonly<Record<string, { readonly default?: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

const leftOut: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".ransomeye"]);

/** The root of this checkout: the nearest directory above this file whose package.json has workspaces. */
export function findRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const path = join(at, "package.json");
    if (existsSync(path) && readManifest(path).workspaces !== undefined) return at;
  }
  throw new Error("no package.json with workspaces above this file");
}

/** Reads a package.json. */
export function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, "utf8")) as Manifest;
}

/** The rooms that exist, as paths relative to the root. */
export function roomsOf(root: string): string[] {
  const listed = readManifest(join(root, "package.json")).workspaces ?? [];
  return listed.filter((room) => existsSync(join(root, room, "package.json")));
}

/** All files below `directory`, relative to `root`, without dependencies and build output (unless `into` names a folder to enter anyway). */
export function filesBelow(root: string, directory: string, into?: string): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        if (!leftOut.has(entry.name) || entry.name === into) walk(path);
      } else if (entry.isFile()) found.push(relative(root, path).replaceAll("\\", "/"));
    }
  };
  walk(join(root, directory));
  return found.sort();
}

function entriesOf(directory: string): Dirent[] {
  return existsSync(directory) ? readdirSync(directory, { withFileTypes: true }) : [];
}
