/**
 * Why: `npm run test:crash -- --kill engine --runs 10 --events 500000 --seed 1` is how a stranger sees promise 1 (checks.md, main job).
 * Enforces: prints lost, duplicated and out of order per run, the figures last; exits 1 where a run failed.
 * Forbids: a run without a printed seed.
 */
import { parseArgs } from "node:util";
import type { Victim } from "../harness/running_system.ts";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { crashRun } from "./crash_run.ts";

const VICTIMS: readonly Victim[] = ["gateway", "engine", "postgres", "supervisor"];

const { values } = parseArgs({
  options: {
    kill: { type: "string", default: "all" },
    runs: { type: "string", default: "1" },
    events: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" },
  },
});

const victims = values.kill === "all" ? VICTIMS : VICTIMS.filter((victim) => victim === values.kill);
if (victims.length === 0) {
  process.stderr.write(`--kill takes all or one of: ${VICTIMS.join(", ")}\n`);
  process.exit(2);
}

let failures = 0;
for (const victim of victims) {
  for (let run = 0; run < Number(values.runs); run++) {
    const seed = Number(values.seed) + run;
    const verdict = await crashRun([victim], Number(values.events), seed, OCSF_VERSION);
    if (!verdict.passed) failures++;
    process.stdout.write(
      `kill ${victim} seed ${seed} at ${verdict.killedAtStored.join()}: stored ${verdict.stored} lost ${verdict.lost} ` +
        `duplicated ${verdict.duplicated} out of order ${verdict.outOfOrder} ledger ${verdict.balanced ? "balanced" : "NOT BALANCED"} ` +
        `${verdict.passed ? "ok" : "FAILED"}\n`,
    );
  }
}
process.stdout.write(`${failures === 0 ? "all runs passed" : `${failures} runs failed`}\n`);
process.exit(failures === 0 ? 0 : 1);
