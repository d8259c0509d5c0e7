/**
 * Why: "in front of 50,000 endpoints" is a number of sockets, of bytes and of handshakes (G-3).
 * Enforces: real producers in several processes against several gateways on one port; what bounds the number is said first, memory and rates are
 *   measured in the same run, and the ledger has the last word.
 * Forbids: calling a simulated producer a connection.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { openResult } from "ransomeye-tests";
import { cpuSecondsOf, cpuSecondsOfTree, memoryBytes } from "../cpu_account.ts";
import { BenchSystem } from "../load/bench_system.ts";
import type { Settled } from "../load/settle.ts";
import { toWire, type WireIdentity } from "../load/wire_identity.ts";
import { sharedClockUs, Worker } from "../load/worker.ts";
import { percentiles } from "../stats.ts";
import type { CrowdAnswer, CrowdQuestion } from "./crowd_main.ts";
import type { ConnectionsOptions } from "./options.ts";
import { type ConnectionsFigures, connectionsPage, connectionsVerdict, type CoresOf } from "./page.ts";

const crowdPath = fileURLToPath(new URL("./crowd_main.js", import.meta.url));
/** Files of a process that are no producer's connection. */
const otherFiles = 500;
const enrolAtOnce = 2_000;
const settleMs = 5_000;
/** Heap of a process that plays producers: a client's session is as large as a server's. */
const generatorHeapMib = 6_144;

/** Connects, holds and measures; prints the figures and gives the exit code. */
export async function connectionsBench(options: ConnectionsOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const { producers, gateways, generators, seconds, interval } = options;
  const keep =
    options.result === undefined
      ? undefined
      : await openResult<ConnectionsFigures>({ path: options.result, script: "bench", append: false, pageOf: connectionsPage });
  const filesMax = Number(execFileSync("/bin/sh", ["-c", "ulimit -n"]).toString());
  process.stdout.write(`${filesSay(options, filesMax)}\n`);
  await using system = await BenchSystem.start({ RANSOMEYE_GATEWAY_PROCESSES: String(gateways) });
  const enrolFromUs = sharedClockUs();
  const shares: WireIdentity[][] = Array.from({ length: generators }, () => []);
  for (let n = 0; n < producers; n += enrolAtOnce) {
    const some = await system.enrol(`crowd-${n}`, Math.min(enrolAtOnce, producers - n));
    for (const [i, identity] of some.entries()) shares[(n + i) % generators]?.push(toWire(identity));
    say(`${n + some.length} enrolled`);
  }
  const enrolledPerSecond = producers / ((sharedClockUs() - enrolFromUs) / 1e6);
  const crowds = shares.map(() => new Worker(crowdPath, [`--max-old-space-size=${generatorHeapMib}`]));
  const gatewayPids = Array.from({ length: gateways }, (_, i) => system.pidOf(`gateway-${i + 1}`));
  const memoryOf = (pids: readonly number[]): number => sumOf(pids, memoryBytes);
  const all = <T>(question: (n: number) => CrowdQuestion): Promise<T[]> => Promise.all(crowds.map((crowd, n) => crowd.ask<T>(question(n))));
  try {
    await all(() => ({ ask: "measure", seconds: 0 }));
    const gatewayBefore = memoryOf(gatewayPids);
    const generatorBefore = memoryOf(crowds.map(({ pid }) => pid));
    const openFromUs = sharedClockUs();
    const { gateway } = system.runtime;
    const opened = await all<number>((n) => ({ ask: "open", identities: shares[n] ?? [], gateway, from: `127.0.0.${n + 2}` }));
    const connectSeconds = (sharedClockUs() - openFromUs) / 1e6;
    const connected = sumOf(opened, (count) => count);
    say(`${connected} connected after ${connectSeconds.toFixed(0)} s`);
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const gatewayBytesPerConnection = (memoryOf(gatewayPids) - gatewayBefore) / connected;
    const generatorBytesPerConnection = (memoryOf(crowds.map(({ pid }) => pid)) - generatorBefore) / connected;
    const sessionsOfGateways = await Promise.all(gatewayPids.map((_, i) => system.gatewayMetric("gateway_sessions", `gateway-${i + 1}`)));
    await all(() => ({ ask: "begin", intervalSeconds: interval }));
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const processes = {
      gateways: () => sumOf(gatewayPids, cpuSecondsOf),
      postgres: () => cpuSecondsOfTree(system.postgresPid),
      engine: () => cpuSecondsOf(system.pidOf("engine")),
      generators: () => sumOf(crowds, ({ pid }) => cpuSecondsOf(pid)),
    };
    const cpuNow = (): CoresOf => mapValues(processes, (seconds) => seconds());
    const statesBefore = await stateChanges(system, gateways);
    const cpuBefore = cpuNow();
    const seen = await all<CrowdAnswer>(() => ({ ask: "measure", seconds }));
    const cpuAfter = cpuNow();
    const pressureChanges = (await stateChanges(system, gateways)) - statesBefore;
    const lingersMs = await Promise.all(gatewayPids.map((_, i) => system.gatewayMetric("gateway_linger_ms", `gateway-${i + 1}`)));
    const ends = await all<Settled>(() => ({ ask: "finish" }));
    const receiptMs = seen.flatMap((answer) => [...answer.receiptMs]);
    const figures: ConnectionsFigures = {
      producers,
      gateways,
      generators,
      filesMax,
      connected,
      enrolledPerSecond,
      connectSeconds,
      stayed: sumOf(seen, (answer) => answer.connected),
      gatewayBytesPerConnection,
      generatorBytesPerConnection,
      sessionsOfGateways,
      seconds,
      framesPerSecond: receiptMs.length / seconds,
      receiptMs: percentiles(receiptMs),
      coresOf: mapValues(cpuAfter, (after, of) => (after - cpuBefore[of]) / seconds),
      pressureChanges,
      lingerMs: Math.max(...lingersMs),
      ended: sumByName(seen.map((answer) => answer.ended)),
      unanswered: sumOf(ends, (end) => end.unanswered),
      ledgerBalanced: await system.isBalanced(),
    };
    await keep?.(figures);
    const verdict = connectionsVerdict(figures);
    process.stdout.write(`${verdict.lines.join("\n")}\n`);
    return verdict.holds ? 0 : 1;
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.stop()));
  }
}

/** Whether files could bound the number of connections, said before anything is tried: the run takes minutes. */
function filesSay({ producers, gateways, generators }: ConnectionsOptions, filesMax: number): string {
  const room = Math.min(gateways, generators) * (filesMax - otherFiles);
  return room < producers
    ? `a process may open ${filesMax} files: ${gateways} gateway and ${generators} generator processes hold ${room} connections at most; use more processes`
    : `a process may open ${filesMax} files, which suffices`;
}

/** Changes of the backpressure state that all gateways have counted. */
async function stateChanges(system: BenchSystem, gateways: number): Promise<number> {
  const pages = await Promise.all(
    Array.from({ length: gateways }, (_, i) => system.gatewaySum("gateway_pressure_changes_total", `gateway-${i + 1}`)),
  );
  return sumOf(pages, (changes) => changes);
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

function sumByName(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

function mapValues<Name extends string, From, To>(
  record: Readonly<Record<Name, From>>,
  to: (value: From, name: Name) => To,
): Record<Name, To> {
  return Object.fromEntries(Object.entries<From>(record).map(([name, value]) => [name, to(value, name as Name)])) as Record<Name, To>;
}
