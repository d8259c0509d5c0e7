/**
 * Why: the command behind `npm run docs`.
 * Enforces: with `--check`, exit code 1 where a committed reference page differs from the code, or where a room does not load.
 * Forbids: nothing of its own.
 */
import { settlePages } from "../pages.ts";
import { findRoot } from "../workspace.ts";
import { discover } from "./discover.ts";
import { referencePages } from "./pages.ts";

const root = findRoot();
const check = process.argv.includes("--check");
const { declared, problems } = await discover(root);
for (const problem of problems) console.error(`docs: ${problem}`);
const settled = settlePages(root, referencePages(declared), check, "npm run docs");
if (!settled || problems.length > 0) process.exitCode = 1;
