/**
 * Why: `npm run mutants [WORDS…]` breaks each promise on purpose and shows which check notices.
 * Enforces: a line for each bug: rule, bug → what failed. Exit code 1 if one survives, if a patch does not fit, or if a check fails without any bug.
 * Forbids: a check that runs nothing: a renamed test would make every bug survive.
 */
import { fileURLToPath } from "node:url";
import { engineMutants } from "./engine_mutants.ts";
import { gateMutants } from "./gate_mutants.ts";
import { type Check, type Mutant } from "./mutant.ts";
import { Workshop } from "./workshop.ts";

const checkout = fileURLToPath(new URL("../../../../../", import.meta.url));
const words = process.argv.slice(2);
const chosen = [...gateMutants, ...engineMutants].filter(
  ({ rule, bug }) => words.length === 0 || words.some((word) => `${rule} ${bug}`.includes(word)),
);

const workshop = await Workshop.open(checkout);
let wrong = 0;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    workshop.interrupt();
    void workshop.close().finally(() => process.exit(1));
  });
}
try {
  wrong += await soundChecks(workshop, chosen);
  for (const mutant of chosen) wrong += (await isCaught(workshop, mutant)) ? 0 : 1;
} finally {
  await workshop.close();
}
process.stdout.write(`${chosen.length} planted bugs, ${wrong === 0 ? "each was found" : `${wrong} wrong`}\n`);
process.exitCode = wrong === 0 ? 0 : 1;

/** Without a bug every check passes, and runs something. */
async function soundChecks(shop: Workshop, mutants: readonly Mutant[]): Promise<number> {
  const seen = new Map<string, Check>();
  for (const { check } of mutants) seen.set(JSON.stringify(check), check);
  let unsound = 0;
  for (const check of seen.values()) {
    const result = await shop.run(check);
    if (result.passed && result.ran > 0) continue;
    unsound += 1;
    process.stdout.write(`UNSOUND  ${describe(check)}: ${result.ran === 0 ? "runs no test" : `fails without a bug: ${result.failed}`}\n`);
  }
  return unsound;
}

async function isCaught(shop: Workshop, { rule, bug, patches, check }: Mutant): Promise<boolean> {
  let caught = false;
  const misfit = await shop.planted(patches, async () => {
    const result = await shop.run(check);
    caught = !result.passed;
    process.stdout.write(`${caught ? "found    " : "SURVIVED "}${rule}: ${bug}\n         → ${caught ? result.failed : describe(check)}\n`);
  });
  if (misfit !== undefined) process.stdout.write(`MISFIT   ${rule}: ${bug}\n         ${misfit}\n`);
  return caught;
}

function describe(check: Check): string {
  return check.kind === "simulation" ? `simulation of ${check.worlds} worlds` : `${check.file}: ${check.name}`;
}
