/**
 * Why: the command behind `npm run licences`.
 * Enforces: exit code 1 and a line per offence where a package breaks the licence rule; with `--check` also where THIRD_PARTY.md is not up to date.
 * Forbids: nothing of its own.
 */
import { join } from "node:path";
import { settlePages } from "../pages.ts";
import { findRoot, readManifest } from "../workspace.ts";
import { lockEntries, lockedPackages, missingPackages, offences } from "./lockfile.ts";
import { unknownLibraries } from "./native.ts";
import { thirdPartyPage } from "./third_party.ts";

const root = findRoot();
const entries = lockEntries(root);
const packages = lockedPackages(root, entries);
const found = [
  ...missingPackages(entries),
  ...offences(packages, readManifest(join(root, "package.json")).allowScripts),
  ...unknownLibraries(root),
];
for (const line of found) console.error(`licences: ${line}`);
const settled = settlePages(
  root,
  new Map([["THIRD_PARTY.md", thirdPartyPage(packages)]]),
  process.argv.includes("--check"),
  "npm run licences",
);
console.log(`licences: ${packages.length} packages, ${found.length} offences`);
if (found.length > 0 || !settled) process.exitCode = 1;
