/**
 * Why: `npm run test:outage -- --fault engine|bus|network|all --seconds 60 --seed N [--result FILE]` is how a stranger sees a minute's outage (issue 3, Must show).
 * Enforces: prints memory, what producers were told, the recovery and the counts, the figures last; exits 1 where a run failed.
 * Forbids: a run without a printed seed.
 */
import { parseArgs } from "node:util";
import { positiveInteger } from "../arguments.ts";
import { openResult } from "../results/result_file.ts";
import { type FaultName, faultNames } from "./faults.ts";
import { outagePage, type OutageRecord } from "./outage_page.ts";
import { type OutageOptions, outageRun } from "./outage_run.ts";

const { values } = parseArgs({
  options: {
    fault: { type: "string", default: "all" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    gateways: { type: "string", default: "1" },
    producers: { type: "string", default: "8" },
    rate: { type: "string" },
    result: { type: "string" },
  },
});

const chosen = values.fault === "all" ? faultNames : faultNames.filter((name) => name === values.fault);
if (chosen.length === 0) {
  process.stderr.write(`--fault takes all or one of: ${faultNames.join(", ")}\n`);
  process.exit(2);
}
const common = {
  seconds: positiveInteger("--seconds", values.seconds),
  seed: positiveInteger("--seed", values.seed),
  gateways: positiveInteger("--gateways", values.gateways),
  producers: positiveInteger("--producers", values.producers),
  ...(values.rate === undefined ? {} : { eventsPerSecond: positiveInteger("--rate", values.rate) }),
};
const path = values.result;
const keep = path === undefined ? undefined : await openResult({ path, script: "test:outage", append: true, pageOf: outagePage });

const records: OutageRecord[] = [];
for (const fault of chosen) {
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
