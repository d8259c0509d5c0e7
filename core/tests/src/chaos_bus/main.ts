/**
 * Why: `npm run chaos:bus -- --fault server-kill --runs 50 --seed 1 [--events N] [--result]` is how a stranger sees what a log on Redis servers survives.
 * Enforces: a line for each run with its seed, the figures last; exits 1 where a judged run failed. A result replaces the tables of the faults that were run
 *   and leaves the others.
 * Forbids: leaving servers or systems behind, also when somebody interrupts it.
 */
import { fileURLToPath } from "node:url";
import { count, countIfGiven, flag, oneOrAll, readCommandLine, textIfGiven } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { besides, chaosPage } from "./chaos_page.ts";
import { type ChaosRecord, chaosSeries } from "./chaos_series.ts";
import { type FaultName, judgedFaults, measuredFault } from "./faults.ts";
import type { Finding } from "./weak_failover.ts";

const resultPath = fileURLToPath(new URL("../../../results/chaos_bus.md", import.meta.url));

const {
  fault: chosen,
  runs,
  events,
  seed,
  keepMs,
  logs,
  result,
} = readCommandLine({
  typed: "npm run chaos:bus --",
  does: "strikes Redis servers that hold the log, or a process of the system, while producers send, and counts what was lost, doubled or out of order",
  options: {
    fault: oneOrAll<FaultName>("--fault <name>", "what is struck", [...judgedFaults, measuredFault]),
    runs: count("--runs <n>", "runs for each of them", 3),
    seed: count("--seed <n>", "seed of the first run; each further one takes the next", 1),
    events: count("--events <n>", "events of each run", 20_000),
    keepMs: countIfGiven("--keep-ms <n>", "bus.keep_ms_max of the systems: the shorter, the more is trimmed meanwhile"),
    logs: textIfGiven("--logs <folder>", "keep the logs of runs that failed there"),
    result: flag("--result", "write core/tests/results/chaos_bus.md, and the figures (JSON) beside it"),
  },
  notes: `${measuredFault} is a measurement of what the weaker level loses, and fails only where it comes to no figures.`,
  exits: ["every run passed", "one did not"],
}).values;
const keep = result
  ? await openResult<readonly ChaosRecord[]>({ path: resultPath, script: "chaos:bus", append: besides, pageOf: chaosPage })
  : undefined;

const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => ended.abort(new Error(`interrupted by ${signal}`)));

const settings = keepMs === undefined ? [] : [`bus.keep_ms_max=${keepMs}`];
const records: ChaosRecord[] = [];
try {
  for (const fault of chosen) {
    for await (const record of chaosSeries({ fault, runs, seed, events, settings, logs, signal: ended.signal })) {
      records.push(record);
      process.stdout.write(`${told(record)}\n`);
      await keep?.(records);
    }
  }
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
const failures = records.filter(({ verdict, measured }) => measured === null && verdict?.passed !== true).length;
process.stdout.write(`${records.length} runs, ${failures === 0 ? "all passed" : `${failures} failed`}\n`);
process.exit(failures === 0 ? process.exitCode : 1);

function told({ fault, seed, verdict, measured, failure, evidence }: ChaosRecord): string {
  const head = `${fault} seed ${seed}`;
  if (measured !== null) {
    const { struckAtStored, framesGone, framesGoneWithRows, alone, afterLoss, silentlyWrong, seconds } = measured;
    return [
      `${head} at ${struckAtStored}: ${framesGone} frames gone from the log, ${framesGoneWithRows} of them rows, ${seconds.toFixed(1)} s`,
      `  alone: ${found(alone)}`,
      ...(afterLoss === null ? [] : [`  after loss: ${found(afterLoss)}`]),
      `  silently wrong: ${silentlyWrong.join("; ") || "nothing"}`,
    ].join("\n");
  }
  if (verdict === null) return [`${head} came to no verdict: ${failure} FAILED`, ...evidence.map((line) => `  ${line}`)].join("\n");
  const { hit, struckAtStored, stored, lost, duplicated, outOfOrder, balanced, untold, inDoubt, resent, seconds, passed } = verdict;
  const line =
    `${head} at ${struckAtStored}: ${hit}: stored ${stored} lost ${lost} duplicated ${duplicated} out of order ${outOfOrder} ` +
    `ledger ${balanced ? "balanced" : "NOT BALANCED"}${untold === 0 ? "" : ` ${untold} frames UNTOLD`} ` +
    `(${inDoubt} calls in doubt, ${resent} batches recognised) ${seconds.toFixed(1)} s ${passed ? "ok" : "FAILED"}`;
  return [line, ...evidence.map((said) => `  ${said}`)].join("\n");
}

function found(finding: Finding): string {
  const { shippersDone, engineStopped, engineCodes, statusStopped, reconcileFound, auditExit, balanced, inFlight, serverLost } = finding;
  return (
    `shippers ${shippersDone ? "done" : "wait"}, engine stopped ${engineStopped} (${engineCodes.join(", ")}), status says stopped ${statusStopped.join(", ") || "nothing"}, ` +
    `reconcile ${reconcileFound ? "finds it" : "finds nothing"}, audit exit ${auditExit} ${balanced ? "balanced" : "NOT BALANCED"} in flight ${inFlight}, ` +
    `no rows ${finding.lost}, two rows ${finding.duplicated}, out of order ${finding.outOfOrder}, declared lost ${serverLost}`
  );
}
