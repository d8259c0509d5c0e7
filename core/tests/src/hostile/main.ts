/**
 * Why: `npm run test:hostile -- --frames 100000 --seed N [--result FILE]` is how a stranger sees promise 4 (checks.md, gate).
 * Enforces: prints what was sent, accepted and refused by code; exits 1 where a frame was accepted or answered by a code that its class does not allow.
 * Forbids: a run without a printed seed.
 */
import { count, readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { hostilePage } from "./hostile_page.ts";
import { hostileRun } from "./hostile_run.ts";

const {
  frames,
  seed,
  result: path,
} = readCommandLine({
  typed: "npm run test:hostile --",
  does: "sends frames that are forged, replayed, damaged or out of turn, and shows that none is accepted and by which code each is refused",
  options: {
    frames: count("--frames <n>", "hostile frames to send, at least", 10_000),
    seed: count("--seed <n>", "what they are drawn from", 1),
    result: resultFile,
  },
  exits: ["nothing was accepted", "something was, or was refused by a code that is not its own"],
}).values;
const keep = path === undefined ? undefined : await openResult({ path, script: "test:hostile", append: false, pageOf: hostilePage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const figures = await hostileRun(frames, seed, print);
await keep?.(figures);
for (const fault of figures.faults) print(`FAULT  ${fault}`);
print(`seed ${figures.seed}: sent ${figures.sent}, accepted ${figures.accepted}`);
for (const [code, n] of Object.entries(figures.counted)) print(`refused  ${code} ${n}`);
process.exit(figures.faults.length === 0 ? 0 : 1);
