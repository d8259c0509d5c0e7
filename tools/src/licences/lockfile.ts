/**
 * Why: the licence rule covers everything that `npm ci` may put on a disk, on any platform, for development too.
 * Enforces: each package of the lockfile has an allowed licence, and none runs an install script that package.json does not name.
 * Forbids: unknown licences.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Manifest, readManifest } from "../workspace.ts";
import { isAllowed } from "./spdx.ts";

/** A package of the lockfile. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression; empty if nobody knows. */
  readonly licence: string;
  /** Needed for development only, never shipped. */
  readonly development: boolean;
  readonly runsInstallScript: boolean;
}

/** As much of an entry as we read. */
export interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const folder = "node_modules/";

/** The entries of package-lock.json by path. */
export type LockEntries = Readonly<Record<string, LockEntry>>;

/** Reads the lockfile. */
export function lockEntries(root: string): LockEntries {
  return (JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as { packages: LockEntries }).packages;
}

/**
 * Optional packages of other platforms that the lockfile does not hold, one line each. npm leaves them out without a word where a registry mirror cannot
 * serve them; then `npm ci` refuses the lockfile everywhere, and this check would not see their licences.
 */
export function missingPackages(entries: LockEntries): string[] {
  const lines: string[] = [];
  for (const [path, entry] of Object.entries(entries)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (entries[`${path}/${folder}${name}`] === undefined && entries[folder + name] === undefined)
        lines.push(`${name}: missing in the lockfile, wanted by ${path}`);
    }
  }
  return lines;
}

/** All packages of the lockfile that are not our own rooms, by name and version. */
export function lockedPackages(root: string, entries: LockEntries): LockedPackage[] {
  const found = new Map<string, LockedPackage>();
  for (const [path, entry] of Object.entries(entries)) {
    if (!path.includes(folder) || entry.link === true) continue;
    const name = path.slice(path.lastIndexOf(folder) + folder.length);
    const version = entry.version ?? "";
    const licence = entry.license ?? installedLicence(join(root, path));
    const development = entry.dev === true || entry.devOptional === true;
    const known = found.get(`${name}@${version}`);
    found.set(`${name}@${version}`, {
      name,
      version,
      licence,
      development: development && (known?.development ?? true),
      runsInstallScript: entry.hasInstallScript === true,
    });
  }
  return [...found.values()].sort((a, b) => compare(a.name, b.name) || compare(a.version, b.version));
}

/** What is wrong with the packages, one line each; empty if nothing is. */
export function offences(packages: readonly LockedPackage[], allowScripts: Manifest["allowScripts"] = {}): string[] {
  const lines: string[] = [];
  for (const { name, version, licence, runsInstallScript } of packages) {
    if (licence === "") lines.push(`${name}@${version}: licence unknown`);
    else if (!isAllowed(licence)) lines.push(`${name}@${version}: ${licence} is not allowed`);
    if (runsInstallScript && allowScripts[name] === undefined && allowScripts[`${name}@${version}`] === undefined) {
      lines.push(`${name}@${version}: runs an install script that allowScripts in package.json does not name`);
    }
  }
  return lines;
}

function installedLicence(directory: string): string {
  const path = join(directory, "package.json");
  if (!existsSync(path)) return "";
  const { license, licenses } = readManifest(path);
  if (typeof license === "string") return license;
  if (isNamed(license)) return license.type;
  return Array.isArray(licenses)
    ? licenses
        .filter(isNamed)
        .map(({ type }) => type)
        .join(" OR ")
    : "";
}

/** The form that packages used before SPDX: `{ "type": "MIT" }`. */
function isNamed(value: unknown): value is { readonly type: string } {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** Plain code unit order: the page must not depend on anybody's locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
