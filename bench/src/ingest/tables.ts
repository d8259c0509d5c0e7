/**
 * Why: console and result page show the same tables; they are made here once and rendered twice.
 * Enforces: figures come from the result alone, rounded to what a noisy machine can mean.
 * Forbids: a figure on the page that the JSON does not hold.
 */
import type { Table } from "ransomeye-tests";
import type { Percentiles } from "../stats.ts";
import { median } from "../stats.ts";
import type { FleetResult, IngestResult, LatencyResult, ProfileResult, ThroughputResult } from "./result.ts";

/** Everything there is to show, the summary last. */
export function resultTables(result: IngestResult): Table[] {
  const { throughput, latency, fleet } = result;
  return [
    ...(throughput === undefined ? [] : throughputTables(throughput)),
    ...(latency === undefined ? [] : [latencyTable(latency)]),
    ...(fleet === undefined ? [] : [fleetTable(fleet)]),
    summary(result),
  ];
}

function throughputTables(result: ThroughputResult): Table[] {
  const pairs: Table = {
    caption: `Shape A, throughput: ${result.producers} producers, frames of 256 KB, events of ${result.eventBytes} bytes`,
    head: ["run", "system, events/s", "CPU s/M, without generator", "raw COPY, rows/s", "CPU s/M", "system ÷ raw"],
    rows: result.runs.map((run, n) => {
      const raw = result.raw[n];
      return [
        String(n + 1),
        whole(run.eventsPerSecond),
        run.systemCpuPerMillion.toFixed(1),
        whole(raw?.rowsPerSecond ?? Number.NaN),
        ((raw?.postgresCpuPerMillion ?? Number.NaN) + (raw?.clientCpuPerMillion ?? 0)).toFixed(1),
        (run.eventsPerSecond / (raw?.rowsPerSecond ?? Number.NaN)).toFixed(2),
      ];
    }),
    notes: [
      "System: first send to last row visible, through SDK and spool, mutual TLS, gateway, bus and engine; the ledger was recounted after each run.",
      "Raw: the rows that the run had stored, already encoded, copied by a client with two connections that does nothing else, into a table of the same shape.",
    ],
  };
  const lines = Object.keys(result.runs[0]?.cpuPerMillion ?? {});
  const cpu: Table = {
    caption: "Shape A, CPU seconds per million events by process (medians)",
    head: ["process", "CPU s/M", "peak memory, MiB"],
    rows: lines.map((line) => [line, median(result.runs.map((run) => run.cpuPerMillion[line] ?? 0)).toFixed(2), memoryOf(result, line)]),
  };
  return [pairs, cpu, ...(result.profile === undefined ? [] : profileTables(result.profile))];
}

function memoryOf(result: ThroughputResult, line: string): string {
  const key = line.startsWith("generator") ? "generator" : line;
  const last = result.runs.at(-1)?.peakMemoryMib[key];
  return last === undefined ? "" : String(last);
}

function profileTables(profile: ProfileResult): Table[] {
  const steps: Table = {
    caption: "CPU seconds per million events by step, beside the budget (a run of its own, with the profiler on)",
    head: ["process", "step", "budget", "actual"],
    rows: profile.steps.map(({ process, step, budget, actual }) => [process, step, budget, actual.toFixed(2)]),
    notes: [
      "Shares of V8's sampling profile times the CPU seconds that the kernel counted for the process; native code outside JavaScript functions counts as TLS, HTTP/2 and sockets.",
    ],
  };
  const pauses: Table = {
    caption: "Pauses of the garbage collector in the same run (R-34)",
    head: ["process", "pauses", "p50, ms", "p99, ms", "longest, ms"],
    rows: Object.entries(profile.gcPauses).map(([role, p]) => [
      role,
      String(p.count),
      p.p50Ms.toFixed(2),
      p.p99Ms.toFixed(2),
      p.maxMs.toFixed(2),
    ]),
    notes: ["Observed by perf_hooks inside the process."],
  };
  return [steps, pauses];
}

function latencyTable(result: LatencyResult): Table {
  return {
    caption: `Shape B, latency: ${result.producers} producers, ${whole(result.offeredPerSecond)} events/s offered for ${result.seconds} s`,
    head: ["milliseconds", "p50", "p95", "p99", "max"],
    rows: [
      ["send → receipt", ...percentileCells(result.receiptMs)],
      ["send → visible row", ...percentileCells(result.visibleMs)],
      ["resolution: period of the observer", ...percentileCells(result.resolutionMs)],
    ],
    notes: [`${result.batches} batches, each timed from the moment it was due to its last row; the linger is in it.`],
  };
}

function fleetTable(result: FleetResult): Table {
  return {
    caption: `Shape C, fleet: ${whole(result.simulatedProducers)} simulated producers, ${whole(result.offeredEventsPerSecond)} events/s offered`,
    head: ["what", "figure"],
    rows: [
      ["events/s with receipt", whole(result.eventsPerSecond)],
      ["frames/s", whole(result.framesPerSecond)],
      ["events per frame", result.eventsPerFrame.toFixed(1)],
      ["linger set by the server, ms", whole(result.lingerMs)],
      ["frame sealed → receipt, ms (p50 / p99)", `${result.receiptMs.p50.toFixed(0)} / ${result.receiptMs.p99.toFixed(0)}`],
      ["event born → receipt, ms (p50 / p99)", `${result.eventLatencyMs.p50.toFixed(0)} / ${result.eventLatencyMs.p99.toFixed(0)}`],
      ["events waiting at the end", whole(result.backlogEvents)],
      ["CPU s/M without generator", result.systemCpuPerMillion.toFixed(1)],
      ["gateway memory per idle session, kB", (result.gatewayBytesPerSession / 1_000).toFixed(0)],
      [`time to open ${result.sessions} sessions, s`, result.connectSeconds.toFixed(1)],
    ],
    notes: [`Simulated: ${result.boundedBy}.`],
  };
}

function summary({ throughput, latency, fleet, failures }: IngestResult): Table {
  const rows: string[][] = [];
  if (throughput !== undefined) {
    rows.push(["events/s end to end", whole(throughput.eventsPerSecond), "80,000, then 120,000"]);
    rows.push(["CPU s per million events, without generator", throughput.systemCpuPerMillion.toFixed(1), "14, then 9"]);
    rows.push(["system ÷ raw binary COPY", throughput.ratio.toFixed(2), "–"]);
  }
  if (latency !== undefined)
    rows.push([
      "send → visible row, p50 / p99 ms",
      `${latency.visibleMs.p50.toFixed(0)} / ${latency.visibleMs.p99.toFixed(0)}`,
      "100 / 400",
    ]);
  if (fleet !== undefined)
    rows.push(["fleet: events/s at frames/s", `${whole(fleet.eventsPerSecond)} at ${whole(fleet.framesPerSecond)}`, "80,000 offered"]);
  rows.push(["failures", failures.length === 0 ? "none" : failures.join("; "), "none"]);
  return { caption: "Summary", head: ["figure", "measured", "target"], rows };
}

function percentileCells({ p50, p95, p99, max }: Percentiles): string[] {
  return [p50, p95, p99, max].map((value) => value.toFixed(1));
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
