/**
 * Why: `npm run test:revocation -- [--streams 20] [--result FILE]` shows on the real processes that an open stream ends within five seconds of the operator's
 * command: revocation and suspension of a producer, revocation of one certificate and of one batch key (promise 4, R-13; checks.md, gate).
 * Enforces: exit code 1 where one stream lived longer, or ended with another code, or where what was taken away opened another; the figures last.
 * Forbids: success where nothing was opened.
 */
import { count, readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { closedWithinMs, revocationRun } from "./revocation_run.ts";
import { revocationPage } from "./revocation_page.ts";

const { streams, result: path } = readCommandLine({
  typed: "npm run test:revocation --",
  does: "opens streams, takes each one's right away by an operator's command, and measures how long the stream lives on",
  options: { streams: count("--streams <n>", "streams in all; they are ended in each way in turn", 20), result: resultFile },
  exits: ["each ended in time and with its code, and no other was opened", "one did not"],
}).values;
const keep = path === undefined ? undefined : await openResult({ path, script: "test:revocation", append: false, pageOf: revocationPage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const closings = await revocationRun(streams, ({ way, code, ms, again, ok }) =>
  print(
    `${ok ? "closed" : "WRONG "}  ${way.padEnd(11)}  ${String(ms).padStart(5)} ms  ${code}${again === undefined ? "" : `, then ${again}`}`,
  ),
);
const closed = closings.filter(({ ok }) => ok).length;
const slowestMs = Math.max(...closings.map(({ ms }) => ms));
print(
  `streams ${closings.length}, closed within ${closedWithinMs} ms of the command ${closed}, slowest ${slowestMs} ms (the command's own start is in it)`,
);
await keep?.({ streams: closings.length, closed, slowestMs, closings });
process.exitCode = closed === closings.length ? 0 : 1;
