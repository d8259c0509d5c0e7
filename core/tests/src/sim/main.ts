/**
 * Why: `npm run sim -- --seed=N [--seeds K] [--steps M]` runs worlds until one breaks a promise.
 * Enforces: a failure prints what broke, the last steps, and the command that replays it; exit code 1.
 * Forbids: carrying on after a failure: the first one is the one to look at.
 */
import { parseArgs } from "node:util";
import { replayOf } from "./report.ts";
import { runWorld } from "./world.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    steps: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const first = Number(values.seed);
const count = Number(values.seeds);
const stepsMax = values.steps === undefined ? {} : { stepsMax: Number(values.steps) };
const lastStepsShown = 60;
const totals = { steps: 0, promises: 0, rows: 0, deadLetters: 0, virtualMs: 0 };
for (let seed = first; seed < first + count; seed++) {
  const verdict = await runWorld({ seed, ...stepsMax });
  totals.steps += verdict.steps;
  totals.promises += verdict.promises;
  totals.rows += verdict.rows;
  totals.deadLetters += verdict.deadLetters;
  totals.virtualMs += verdict.virtualMs;
  if (values.trace) process.stdout.write(`${verdict.trace.join("\n")}\n`);
  if (verdict.failures.length > 0) {
    if (!values.trace) process.stdout.write(`${verdict.trace.slice(-lastStepsShown).join("\n")}\n`);
    process.stdout.write(replayOf(verdict));
    process.exit(1);
  }
}
process.stdout.write(
  `${count} worlds from seed ${first}: ${totals.steps} steps, ${Math.round(totals.virtualMs / 1000)} s of virtual time, ${totals.promises} events receipted, ${totals.rows} rows, ${totals.deadLetters} dead letters; no promise broken\n`,
);
