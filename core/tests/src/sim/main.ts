/**
 * Why: `npm run sim -- --seed=N [--seeds K] [--steps M]` runs worlds until one breaks a promise.
 * Enforces: a failure prints what broke, the last steps, and the command that replays it; exit code 1.
 * Forbids: carrying on after a failure: the first one is the one to look at.
 */
import { count, countIfGiven, flag, readCommandLine } from "../command_line.ts";
import { replayOf } from "./report.ts";
import { runWorld } from "./world.ts";

const {
  seed: first,
  seeds,
  steps,
  trace,
} = readCommandLine({
  typed: "npm run sim --",
  does: "runs the hearts of the system in simulated worlds with faults of all kinds until one breaks a promise",
  options: {
    seed: count("--seed <n>", "seed of the first world; each further one takes the next", 1),
    seeds: count("--seeds <n>", "worlds", 1),
    steps: countIfGiven("--steps <n>", "steps after which a world ends (default: the world's own)"),
    trace: flag("--trace", "print every step"),
  },
  exits: ["no promise was broken", "one was; the command that shows it again is printed"],
}).values;
const stepsMax = steps === undefined ? {} : { stepsMax: steps };
const lastStepsShown = 60;
const totals = { steps: 0, promises: 0, rows: 0, deadLetters: 0, virtualMs: 0 };
for (let seed = first; seed < first + seeds; seed++) {
  const verdict = await runWorld({ seed, ...stepsMax });
  totals.steps += verdict.steps;
  totals.promises += verdict.promises;
  totals.rows += verdict.rows;
  totals.deadLetters += verdict.deadLetters;
  totals.virtualMs += verdict.virtualMs;
  if (trace) process.stdout.write(`${verdict.trace.join("\n")}\n`);
  if (verdict.failures.length > 0) {
    if (!trace) process.stdout.write(`${verdict.trace.slice(-lastStepsShown).join("\n")}\n`);
    process.stdout.write(replayOf(verdict));
    process.exit(1);
  }
}
process.stdout.write(
  `${seeds} worlds from seed ${first}: ${totals.steps} steps, ${Math.round(totals.virtualMs / 1000)} s of virtual time, ${totals.promises} events receipted, ${totals.rows} rows, ${totals.deadLetters} dead letters; no promise broken\n`,
);
