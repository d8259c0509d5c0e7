/**
 * Why: `npm run test:crash -- --kill engine --runs 10 --events 500000 --seed 1 [--gateways N] [--result FILE]` is how a stranger sees promise 1 (checks.md, main job).
 * Enforces: prints lost, duplicated and out of order per run, the figures last; exits 1 where a run failed. A result is added to what the file holds, run by run,
 * so that many long runs can be made in parts, and an interrupted part keeps what it has.
 * Forbids: a run without a printed seed, and a system that does not come back passing for anything but a failed run.
 */
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { count, oneOrAll, readCommandLine, resultFile } from "../command_line.ts";
import type { Victim } from "../harness/running_system.ts";
import { openResult } from "../results/result_file.ts";
import { crashPage, type CrashRecord } from "./crash_page.ts";
import { crashRun } from "./crash_run.ts";

const VICTIMS: readonly Victim[] = ["gateway", "engine", "postgres", "supervisor"];

const {
  kill: victims,
  runs,
  events,
  gateways,
  seed: firstSeed,
  result: path,
} = readCommandLine({
  typed: "npm run test:crash --",
  does: "kills a process of the running system with SIGKILL while producers send, and counts what was lost, doubled or out of order",
  options: {
    kill: oneOrAll("--kill <name>", "who is killed", VICTIMS),
    runs: count("--runs <n>", "runs for each of them", 1),
    events: count("--events <n>", "events of each run", 100_000),
    gateways: count("--gateways <n>", "gateway processes on the port", 1),
    seed: count("--seed <n>", "seed of the first run; each further one takes the next", 1),
    result: resultFile,
  },
  notes: "A result page is added to, run by run: long proofs can be made in parts.",
  exits: ["every run passed", "one did not"],
}).values;
const keep = path === undefined ? undefined : await openResult({ path, script: "test:crash", append: true, pageOf: crashPage });

const records: CrashRecord[] = [];
for (const victim of victims) {
  for (let run = 0; run < runs; run++) {
    const record = await recorded(victim, firstSeed + run);
    records.push(record);
    process.stdout.write(`kill ${victim} seed ${record.seed} ${told(record)}\n`);
    await keep?.(records);
  }
}
const failures = records.filter(({ verdict }) => verdict?.passed !== true).length;
process.stdout.write(`${records.length} runs, ${failures === 0 ? "all passed" : `${failures} failed`}\n`);
process.exit(failures === 0 ? 0 : 1);

async function recorded(victim: Victim, seed: number): Promise<CrashRecord> {
  try {
    const verdict = await crashRun({ victims: [victim], events, seed, gateways, schemaVersion: OCSF_VERSION });
    return { victim, seed, events, gateways, verdict, failure: null };
  } catch (error) {
    return { victim, seed, events, gateways, verdict: null, failure: error instanceof Error ? error.message : String(error) };
  }
}

function told({ verdict, failure }: CrashRecord): string {
  if (verdict === null) return `came to no verdict: ${failure} FAILED`;
  const { killed, killedAtStored, stored, lost, duplicated, outOfOrder, balanced, seconds, passed } = verdict;
  return (
    `${killed.join()} at ${killedAtStored.join()}: stored ${stored} lost ${lost} duplicated ${duplicated} out of order ${outOfOrder} ` +
    `ledger ${balanced ? "balanced" : "NOT BALANCED"} ${seconds.toFixed(1)} s ${passed ? "ok" : "FAILED"}`
  );
}
