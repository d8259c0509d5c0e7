/**
 * Why: planted bugs are worth something only if each is looked for in the same way, by whichever command.
 * Enforces: a check that fails without any bug, or that runs nothing, is as wrong as a bug that survives: a renamed test would find every bug, or none.
 * Forbids: bugs outside of the workshop.
 */
import { fileURLToPath } from "node:url";
import { type Check, describeCheck, type Mutant } from "./mutant.ts";
import { Workshop } from "./workshop.ts";

const checkout = fileURLToPath(new URL("../../../../../", import.meta.url));

/** What became of one planted bug. */
export interface Finding {
  readonly mutant: Mutant;
  readonly outcome: "found" | "survived" | "misfit";
  /** The test that failed; else what did not. */
  readonly by: string;
}

export interface Hunt {
  readonly findings: readonly Finding[];
  /** Checks that fail without a bug, or run nothing. */
  readonly unsound: readonly string[];
  readonly wrong: number;
}

/** Plants each bug and runs its check, telling through `print` as it goes. */
export async function hunt(mutants: readonly Mutant[], print: (line: string) => void): Promise<Hunt> {
  const workshop = await Workshop.open(checkout);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      workshop.interrupt();
      void workshop.close().finally(() => process.exit(1));
    });
  }
  try {
    const unsound = await unsoundChecks(workshop, mutants);
    for (const line of unsound) print(`UNSOUND  ${line}`);
    const findings: Finding[] = [];
    for (const mutant of mutants) {
      const finding = await find(workshop, mutant);
      print(`${marks[finding.outcome]} ${mutant.rule}: ${mutant.bug}\n         → ${finding.by}`);
      findings.push(finding);
    }
    return { findings, unsound, wrong: unsound.length + findings.filter(({ outcome }) => outcome !== "found").length };
  } finally {
    await workshop.close();
  }
}

const marks: Readonly<Record<Finding["outcome"], string>> = { found: "found   ", survived: "SURVIVED", misfit: "MISFIT  " };

/** Without a bug every check passes, and runs something. */
async function unsoundChecks(workshop: Workshop, mutants: readonly Mutant[]): Promise<string[]> {
  const checks = new Map(mutants.map(({ check }) => [check.kind === "flush" ? "flush proof" : describeCheck(check), check]));
  const unsound: string[] = [];
  for (const [name, check] of checks) {
    const result = await workshop.run(check);
    if (!result.passed || result.ran === 0)
      unsound.push(`${name}: ${result.ran === 0 ? "runs nothing" : "fails without a bug"}: ${result.said}`);
  }
  return unsound;
}

async function find(workshop: Workshop, mutant: Mutant): Promise<Finding> {
  let finding: Finding | undefined;
  const misfit = await workshop.planted(mutant.patches, async () => {
    const { passed, said } = await workshop.run(mutant.check);
    const found = !passed && isMeant(mutant.check, said);
    finding = found
      ? { mutant, outcome: "found", by: said }
      : { mutant, outcome: "survived", by: `${describeCheck(mutant.check)} says ${said}` };
  });
  return finding ?? { mutant, outcome: "misfit", by: misfit ?? "" };
}

/** The flush proof must fail by the promise that the bug breaks: a system that does not even start fails as well. */
function isMeant(check: Check, said: string): boolean {
  return check.kind !== "flush" || said.includes(check.promised);
}
