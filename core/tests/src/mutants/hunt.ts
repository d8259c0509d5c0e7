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

/** Workshops at once: as many as `npm test` has files. */
const jobs = 2;

/** How long a check may take with a bug: so many times what it takes without one, and this on top. What takes longer hangs. */
const patience = { times: 4, ms: 20_000 };

/** Plants each bug and runs its check, telling through `print` as it goes. */
export async function hunt(mutants: readonly Mutant[], print: (line: string) => void): Promise<Hunt> {
  const workshops = await Promise.all(Array.from({ length: jobs }, () => Workshop.open(checkout)));
  const close = async (): Promise<void> => void (await Promise.all(workshops.map((workshop) => workshop.close())));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      for (const workshop of workshops) workshop.interrupt();
      void close().finally(() => process.exit(1));
    });
  }
  try {
    const { unsound, msOf } = await withoutBugs(workshops, mutants, print);
    const findings = await shared(workshops, mutants, async (workshop, mutant) => {
      const finding = await find(workshop, mutant, (msOf.get(nameOf(mutant.check)) ?? 0) * patience.times + patience.ms);
      print(`${marks[finding.outcome]} ${mutant.rule}: ${mutant.bug}\n         → ${finding.by}`);
      return finding;
    });
    return { findings, unsound, wrong: unsound.length + findings.filter(({ outcome }) => outcome !== "found").length };
  } finally {
    await close();
  }
}

/** Shares work among the workshops; the results are in the order of the items. */
async function shared<T, R>(
  workshops: readonly Workshop[],
  items: readonly T[],
  work: (workshop: Workshop, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  await Promise.all(
    workshops.map(async (workshop) => {
      for (const [n, item] of left) results[n] = await work(workshop, item);
    }),
  );
  return results;
}

const marks: Readonly<Record<Finding["outcome"], string>> = { found: "found   ", survived: "SURVIVED", misfit: "MISFIT  " };

/** What one run shows of a check; the flush proof shows all its promises at once. */
function nameOf(check: Check): string {
  return check.kind === "flush" ? "flush proof" : describeCheck(check);
}

/** Without a bug every check passes, and runs something; how long that took is told. */
async function withoutBugs(
  workshops: readonly Workshop[],
  mutants: readonly Mutant[],
  print: (line: string) => void,
): Promise<{ readonly unsound: readonly string[]; readonly msOf: ReadonlyMap<string, number> }> {
  const checks = new Map(mutants.map(({ check }) => [nameOf(check), check]));
  const msOf = new Map<string, number>();
  const faults = await shared(workshops, [...checks], async (workshop, [name, check]) => {
    const { passed, ran, said, ms } = await workshop.run(check);
    msOf.set(name, ms);
    if (passed && ran > 0) return [];
    const fault = `${name}: ${ran === 0 ? "runs nothing" : "fails without a bug"}: ${said}`;
    print(`UNSOUND  ${fault}`);
    return [fault];
  });
  return { unsound: faults.flat(), msOf };
}

async function find(workshop: Workshop, mutant: Mutant, msMax: number): Promise<Finding> {
  let finding: Finding | undefined;
  const misfit = await workshop.planted(mutant.patches, async () => {
    const { passed, said } = await workshop.run(mutant.check, msMax);
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
