/**
 * Why: "in front of 50,000 endpoints" is a number of sockets, of bytes and of handshakes (G-3).
 * Enforces: real producers in several processes against several gateways on one port; what bounds the number is said first, memory and rates are
 *   measured in the same run, and the ledger has the last word.
 * Forbids: calling a simulated producer a connection.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { openResult } from "ransomeye-tests";
import { cpuSecondsOf, memoryBytes } from "../cpu_account.ts";
import { BenchSystem } from "../load/bench_system.ts";
import type { Settled } from "../load/settle.ts";
import { toWire, type WireIdentity } from "../load/wire_identity.ts";
import { sharedClockUs, Worker } from "../load/worker.ts";
import { percentiles } from "../stats.ts";
import type { CrowdAnswer, CrowdQuestion } from "./crowd_main.ts";
import type { ConnectionsOptions } from "./options.ts";
import { type ConnectionsFigures, connectionsPage, connectionsVerdict } from "./page.ts";

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
  const boundedBy = boundOf(options, filesMax);
  process.stdout.write(`bounded by: ${boundedBy}\n`);
  await using system = await BenchSystem.start({
    RANSOMEYE_GATEWAY_PROCESSES: String(gateways),
    RANSOMEYE_GATEWAY_HANDSHAKE_OVERRIDES: "127.0.0.0/8=unlimited",
  });
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
  const memoryOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + memoryBytes(pid), 0);
  const all = <T>(question: (n: number) => CrowdQuestion): Promise<T[]> => Promise.all(crowds.map((crowd, n) => crowd.ask<T>(question(n))));
  try {
    await all(() => ({ ask: "measure", seconds: 0 }));
    const gatewayBefore = memoryOf(gatewayPids);
    const generatorBefore = memoryOf(crowds.map(({ pid }) => pid));
    const openFromUs = sharedClockUs();
    const { gateway } = system.runtime;
    const opened = await all<number>((n) => ({ ask: "open", identities: shares[n] ?? [], gateway, from: `127.0.0.${n + 2}` }));
    const connectSeconds = (sharedClockUs() - openFromUs) / 1e6;
    const connected = opened.reduce((sum, count) => sum + count, 0);
    say(`${connected} connected after ${connectSeconds.toFixed(0)} s`);
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const gatewayBytesPerConnection = (memoryOf(gatewayPids) - gatewayBefore) / connected;
    const generatorBytesPerConnection = (memoryOf(crowds.map(({ pid }) => pid)) - generatorBefore) / connected;
    const sessionsOfGateways = await Promise.all(gatewayPids.map((_, i) => system.gatewayMetric("gateway_sessions", `gateway-${i + 1}`)));
    await all(() => ({ ask: "begin", intervalSeconds: interval }));
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const cpuBefore = gatewayPids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
    const seen = await all<CrowdAnswer>(() => ({ ask: "measure", seconds }));
    const cpu = gatewayPids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0) - cpuBefore;
    const lingerMs = await system.gatewayMetric("gateway_linger_ms");
    const ends = await all<Settled>(() => ({ ask: "finish" }));
    const receiptMs = seen.flatMap((answer) => [...answer.receiptMs]);
    const figures: ConnectionsFigures = {
      producers,
      gateways,
      generators,
      filesMax,
      boundedBy,
      connected,
      enrolledPerSecond,
      connectSeconds,
      stayed: seen.reduce((sum, answer) => sum + answer.connected, 0),
      gatewayBytesPerConnection,
      generatorBytesPerConnection,
      sessionsOfGateways,
      seconds,
      framesPerSecond: receiptMs.length / seconds,
      receiptMs: percentiles(receiptMs),
      gatewayCpuShare: cpu / seconds,
      lingerMs,
      ended: Object.assign({}, ...seen.map((answer) => answer.ended)) as Record<string, number>,
      unanswered: ends.reduce((sum, end) => sum + end.unanswered, 0),
      ledgerBalanced: await system.isBalanced(),
    };
    await keep?.(figures);
    const verdict = connectionsVerdict(figures);
    process.stdout.write(`${verdict.lines.slice(1).join("\n")}\n`);
    return verdict.holds ? 0 : 1;
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.stop()));
  }
}

/** What the number of connections is bounded by, before anything was tried. */
function boundOf({ producers, gateways, generators }: ConnectionsOptions, filesMax: number): string {
  const usable = filesMax - otherFiles;
  const sides = [
    ["gateway", gateways],
    ["generator", generators],
  ] as const;
  for (const [side, count] of sides) {
    if (count * usable < producers)
      return `files: ${count} ${side} processes may open ${filesMax} each, which is fewer than ${producers} connections need; use more processes`;
  }
  return `nothing known: files suffice (${filesMax} a process, ${gateways} gateway and ${generators} generator processes); memory and cores are shared with the generators`;
}
