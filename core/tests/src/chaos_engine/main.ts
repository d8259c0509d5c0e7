/**
 * Why: `npm run chaos:engine -- --faults 520 --seed 1 [--result]` is how a stranger sees what the way from the log into rows survives.
 * Enforces: a line for each fault, the verdict last; exits 1 where anything was lost, doubled, altered or stuck, or a fault never struck.
 * Forbids: leaving processes or servers behind, also when somebody interrupts it.
 */
import { fileURLToPath } from "node:url";
import { count, flag, readCommandLine } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { engineChaosPage, passed } from "./engine_chaos_page.ts";
import { faultSeries, type SeriesFigures } from "./series.ts";

const resultPath = fileURLToPath(new URL("../../../results/chaos_engine.md", import.meta.url));

const { faults, seed, result } = readCommandLine({
  typed: "npm run chaos:engine --",
  does: "strikes engines at each step of the row transaction, their sessions and COMMITs, and PostgreSQL, while producers send, and looks for every event afterwards",
  options: {
    faults: count("--faults <n>", "faults, of all kinds in turn", 36),
    seed: count("--seed <n>", "gives the order of faults and what is sent", 1),
    result: flag("--result", "write core/tests/results/chaos_engine.md, and the figures (JSON) beside it"),
  },
  notes: "With PG_URL on that server, which is not killed then.",
  exits: ["nothing lost, doubled, altered or stuck", "something was, or a fault never struck"],
}).values;
const keep = result
  ? await openResult<SeriesFigures>({ path: resultPath, script: "chaos:engine", append: false, pageOf: engineChaosPage })
  : undefined;

const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => ended.abort(new Error(`interrupted by ${signal}`)));

const figures = await faultSeries({
  faults,
  seed: String(seed),
  signal: ended.signal,
  told: ({ name, hit, recovered, seconds, evidence }, n) => {
    const word = recovered ? (hit ? "stored" : "never STRUCK") : "STUCK";
    process.stdout.write(
      `${String(n).padStart(4)}  ${name.padEnd(50)} ${word} ${seconds.toFixed(2)} s\n${evidence.map((line) => `        ${line}\n`).join("")}`,
    );
  },
});
await keep?.(figures);
const { findings, failure } = figures;
if (failure !== null) process.stdout.write(`${failure}\n`);
if (findings !== null) {
  const { accepted, lost, doubled, altered, foreign, outOfOrder, imbalance, misplacedEpochs } = findings;
  process.stdout.write(
    `${figures.faults.length} faults, ${accepted} events accepted: lost ${lost}, doubled ${doubled}, altered ${altered}, foreign ${foreign}, out of order ${outOfOrder}; ` +
      `the ledger's imbalance ${imbalance}, misplaced epochs ${misplacedEpochs}\n`,
  );
}
process.exit(passed(figures) ? 0 : 1);
