/**
 * Why: `npm run test:outage -- --fault engine|bus|network|all --seconds 60 --seed N [--result FILE]` is how a stranger sees a minute's outage (issue 3, Must show).
 * Enforces: prints memory, what producers were told, the recovery and the counts, the figures last; exits 1 where a run failed.
 * Forbids: a run without a printed seed.
 */
import { count, countIfGiven, oneOrAll, readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { type FaultName, faultNames } from "./faults.ts";
import { outagePage, type OutageRecord } from "./outage_page.ts";
import { type OutageOptions, outageRun } from "./outage_run.ts";

const {
  fault: faults,
  result: path,
  rate,
  ...system
} = readCommandLine({
  typed: "npm run test:outage --",
  does: "takes a part of the running system away for a while, and shows memory, what producers were told, the recovery, and that nothing was lost",
  options: {
    fault: oneOrAll("--fault <name>", "what goes away", faultNames),
    seconds: count("--seconds <n>", "for how long", 60),
    seed: count("--seed <n>", "what the producers' events and pauses are drawn from", 1),
    gateways: count("--gateways <n>", "gateway processes on the port", 1),
    producers: count("--producers <n>", "agents that send all the while", 8),
    rate: countIfGiven("--rate <n>", "events per second of all producers together"),
    result: resultFile,
  },
  notes: "A result page is added to.",
  exits: ["every outage passed", "one did not"],
}).values;
const common = { ...system, ...(rate === undefined ? {} : { eventsPerSecond: rate }) };
const keep = path === undefined ? undefined : await openResult({ path, script: "test:outage", append: true, pageOf: outagePage });

const records: OutageRecord[] = [];
for (const fault of faults) {
  const record = await recorded({ ...common, fault });
  records.push(record);
  process.stdout.write(`${told(record)}\n`);
  await keep?.(records);
}
const failures = records.filter(({ verdict }) => verdict?.passed !== true).length;
process.stdout.write(`${records.length} outages, ${failures === 0 ? "all passed" : `${failures} failed`}\n`);
process.exit(failures === 0 ? 0 : 1);

async function recorded(options: OutageOptions & { readonly fault: FaultName }): Promise<OutageRecord> {
  try {
    return { ...options, verdict: await outageRun(options), failure: null };
  } catch (error) {
    return { ...options, verdict: null, failure: error instanceof Error ? error.message : String(error) };
  }
}

function told({ fault, seconds, seed, verdict, failure }: OutageRecord): string {
  const head = `${fault} away for ${seconds} s, seed ${seed}`;
  if (verdict === null) return `${head}: came to no verdict: ${failure} FAILED`;
  const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);
  const { gateBytesEarly, gateBytesLate, memoryFlat, reasons, toldPaused, curve, stored, lost, duplicated, outOfOrder, balanced } = verdict;
  return [
    head,
    `  gateway memory early ${mib(gateBytesEarly)} MiB, at the end ${mib(gateBytesLate)} MiB: ${memoryFlat ? "flat" : "GREW"}`,
    `  producers at the end of the outage: ${JSON.stringify(verdict.samples.findLast(({ phase }) => phase === "outage")?.states)}; paused by ${JSON.stringify(reasons)}${toldPaused ? "" : " NOT TOLD"}`,
    `  events/s before ${curve.before.join(" ")} · in the outage ${curve.outage.join(" ")} · after ${curve.after.join(" ")}`,
    `  half of the rate before after ${curve.secondsToHalf ?? "no"} s, then ${curve.medianAfter} a second, before ${curve.medianBefore}`,
    `  stored ${stored} lost ${lost} duplicated ${duplicated} out of order ${outOfOrder} ledger ${balanced ? "balanced" : "NOT BALANCED"} ${verdict.passed ? "ok" : "FAILED"}`,
  ].join("\n");
}
