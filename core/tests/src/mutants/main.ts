/**
 * Why: `npm run mutants -- [WORDS…] [--result FILE]` breaks each promise on purpose and shows which check notices.
 * Enforces: a line for each bug: rule, bug → what failed. Exit code 1 if one survives, if a patch does not fit, if a check fails without any bug, or if one of
 * the bugs that come first to mind is not planted at all.
 * Forbids: a check that runs nothing: a renamed test would make every bug survive.
 */
import { readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { allMutants } from "./all_mutants.ts";
import { hunt } from "./hunt.ts";
import { namedBugs } from "./mutant.ts";
import { mutantsPage } from "./mutants_page.ts";

const { values, words } = readCommandLine({
  typed: "npm run mutants --",
  does: "breaks each promise on purpose, in a copy of the built code, and shows which check notices",
  options: { result: resultFile },
  words: { name: "[words...]", means: "only bugs whose rule or text holds one of these" },
  exits: ["every bug was found", "one was not, or is missing"],
});
const chosen = allMutants.filter(({ rule, bug }) => words.length === 0 || words.some((word) => `${rule} ${bug}`.includes(word)));
const notPlanted = namedBugs.filter((name) => !allMutants.some(({ named }) => named === name));
if (chosen.length === 0) {
  process.stderr.write(`no planted bug's rule or text holds ${words.join(" or ")}\n`);
  process.exit(2);
}
const path = values.result;
const keep = path === undefined ? undefined : await openResult({ path, script: "mutants", append: false, pageOf: mutantsPage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

for (const name of notPlanted) print(`MISSING  ${name}`);
const { findings, unsound, wrong } = await hunt(chosen, print);
const faults = wrong + notPlanted.length;
print(`${chosen.length} planted bugs, ${faults === 0 ? "each was found" : `${faults} wrong`}`);
const rows = findings.map(({ mutant: { rule, bug, named }, outcome, by }) => ({ rule, bug, named: named ?? null, outcome, by }));
await keep?.({ rows, unsound });
process.exitCode = faults === 0 ? 0 : 1;
