/**
 * Why: steps of the CPU budget and pauses of the garbage collector are seen from inside a process only; production code has no place for either.
 * Enforces: loaded by `--import` into every process of a profiled system, it does nothing until SIGUSR2, profiles until the next SIGUSR2, and leaves
 *   two files named after the process id.
 * Forbids: being there in runs whose figures are compared with anything.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";

const directory = process.env["BENCH_PROBE_DIR"];
const samplingUs = 500;

let session: Session | undefined;
let pausesMs: number[] = [];
const collector = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) pausesMs.push(entry.duration);
});

if (directory !== undefined) {
  process.on("SIGUSR2", () => {
    if (session === undefined) begin();
    else finish(session, directory);
  });
}

function begin(): void {
  session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: samplingUs });
  session.post("Profiler.start");
  pausesMs = [];
  collector.observe({ entryTypes: ["gc"] });
}

function finish(open: Session, into: string): void {
  open.post("Profiler.stop", (error, answer) => {
    if (error === null) writeFileSync(join(into, `${process.pid}.cpuprofile`), JSON.stringify(answer.profile));
  });
  for (const entry of collector.takeRecords()) pausesMs.push(entry.duration);
  collector.disconnect();
  open.disconnect();
  session = undefined;
  // Written last: who waits for this file finds the profile there too.
  writeFileSync(join(into, `${process.pid}.gc.json`), JSON.stringify(pausesMs));
}
