/**
 * Why: `npm run test:hostile -- --frames 100000 --seed N [--result FILE]` is how a stranger sees promise 4 (checks.md, gate).
 * Enforces: prints what was sent, accepted and refused by code; exits 1 where a frame was accepted or answered by a code that its class does not allow.
 * Forbids: a run without a printed seed.
 */
import { parseArgs } from "node:util";
import { positiveInteger } from "../arguments.ts";
import { openResult } from "../results/result_file.ts";
import { hostilePage } from "./hostile_page.ts";
import { hostileRun } from "./hostile_run.ts";

const { values } = parseArgs({
  options: { frames: { type: "string", default: "10000" }, seed: { type: "string", default: "1" }, result: { type: "string" } },
});
const path = values.result;
const keep = path === undefined ? undefined : await openResult({ path, script: "test:hostile", append: false, pageOf: hostilePage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const figures = await hostileRun(positiveInteger("--frames", values.frames), positiveInteger("--seed", values.seed), print);
await keep?.(figures);
for (const fault of figures.faults) print(`FAULT  ${fault}`);
print(`seed ${figures.seed}: sent ${figures.sent}, accepted ${figures.accepted}`);
for (const [code, n] of Object.entries(figures.counted)) print(`refused  ${code} ${n}`);
process.exit(figures.faults.length === 0 ? 0 : 1);
