/**
 * Why: `npm run proof:flush -- [--frames N] [--self-check] [--result FILE]` shows on the real processes that no receipt leaves before the flush that covers
 * it, and that no promise of the SDK settles, and no frame leaves, before its spool's flush (promise 1, R-4, R-6; checks.md, main job).
 * Enforces: exit code 1 where one of these is violated, and where a planted bug is not noticed; the figures last.
 * Forbids: success where nothing was sent.
 *
 * How: gateway, PostgreSQL with all its backends, and a process with two producers run under one strace. The sender logs its TLS secrets, so the judge opens what
 * both sides wrote and knows which write carries which frame and which receipt. A frame is found again by its signature: in the writes to the spool, and in the
 * writes to the write-ahead log, behind whose fdatasync its receipt must stand. Frames of both producers are on their way at once, and share flushes.
 *
 * What it cannot see: what the kernel and the disk make of fdatasync; and the commit record, which PostgreSQL flushes with or behind the frame's own record in the
 * log (that a server which does not wait for its commits is noticed, the self-check shows). strace slows everybody down; what it shows is the order.
 */
import { count, flag, readCommandLine, resultFile } from "../command_line.ts";
import { flushMutants } from "../mutants/flush_mutants.ts";
import { type Finding, hunt } from "../mutants/hunt.ts";
import { openResult } from "../results/result_file.ts";
import { flushRun } from "./flush_run.ts";
import { flushPage, violationsByPromise } from "./flush_page.ts";

const {
  frames,
  selfCheck,
  result: path,
} = readCommandLine({
  typed: "npm run proof:flush --",
  does: "traces the real processes and shows that no receipt leaves before the flush that covers it",
  options: {
    frames: count("--frames <n>", "signed frames to send, at least", 40),
    selfCheck: flag("--self-check", "plant bugs that break the order, and show that each is noticed"),
    result: resultFile,
  },
  notes: "Needs strace.",
  exits: ["nothing left before its flush", "something did, or a planted bug was not noticed"],
}).values;
const keep = path === undefined ? undefined : await openResult({ path, script: "proof:flush", append: false, pageOf: flushPage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { violations, ...counts } = await flushRun(frames);
const violated = violationsByPromise(violations);
for (const { promised, times, first } of violated) if (times > 0) print(`VIOLATED ${promised}: ${times} times, first: ${first}`);
let planted: readonly Finding[] = [];
let wrong = violations.length + (counts.frames < frames ? 1 : 0);
if (selfCheck) {
  const found = await hunt(flushMutants, print);
  planted = found.findings;
  wrong += found.wrong;
}
print(
  `frames ${counts.frames}, receipts ${counts.receipts}, promises ${counts.promises}, flushes of spools ${counts.spoolFlushes}, flushes of the log ${counts.logFlushes}, violations ${violations.length}`,
);
if (planted.length > 0) print(`planted bugs ${planted.length}, found ${planted.filter(({ outcome }) => outcome === "found").length}`);
await keep?.({ counts, violated, planted: planted.map(({ mutant, outcome, by }) => ({ bug: mutant.bug, outcome, by })) });
process.exitCode = wrong === 0 ? 0 : 1;
