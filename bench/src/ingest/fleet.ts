/**
 * Why: shape C: 50,000 endpoints at 1.6 events a second each must not become 50,000 frames a second.
 * Enforces: the server sets the linger, by the rate that it sees; what was real and what was simulated is printed with the figures.
 * Forbids: calling it 50,000 connections.
 */
import { fileURLToPath } from "node:url";
import { memoryBytes } from "../cpu_account.ts";
import { BenchSystem } from "../load/bench_system.ts";
import type { FleetAnswer, FleetEnd, FleetQuestion } from "./fleet_main.ts";
import { cpuBetween, cpuNow, systemSeconds } from "./process_account.ts";
import type { FleetResult } from "./result.ts";
import { toWire } from "../load/wire_identity.ts";
import { sharedClockUs, Worker } from "../load/worker.ts";

const simulatedProducers = 50_000;
const producerEventsPerSecond = 1.6;
const rampSeconds = 90;
/** After the ramp, until the linger has found its place. */
const settleSeconds = 30;
const fleetPath = fileURLToPath(new URL("./fleet_main.js", import.meta.url));

/** Opens `sessionCount` sessions, ramps the load up, measures for `seconds`, drains and recounts. */
export async function fleetShape(sessionCount: number, seconds: number, say: (line: string) => void): Promise<FleetResult> {
  await using system = await BenchSystem.start();
  const identities = await system.enrol("fleet", sessionCount);
  say(`${sessionCount} producers enrolled`);
  const fleet = new Worker(fleetPath);
  const looker = await system.client("bench looker");
  const ask = <T>(question: FleetQuestion): Promise<T> => fleet.ask<T>(question);
  try {
    const memoryBefore = memoryBytes(system.pidOf("gateway"));
    const openedFromUs = sharedClockUs();
    await ask({ ask: "open", identities: identities.map(toWire), gateway: system.runtime.gateway });
    const connectSeconds = (sharedClockUs() - openedFromUs) / 1e6;
    const memoryIdle = memoryBytes(system.pidOf("gateway"));
    say(`${sessionCount} sessions open after ${connectSeconds.toFixed(1)} s; ramping up`);
    await ask({ ask: "begin", simulatedProducers, producerEventsPerSecond, rampSeconds });
    await new Promise((resolve) => setTimeout(resolve, (rampSeconds + settleSeconds) * 1_000));
    const before = await cpuNow(system, looker, fleet.pid);
    const seen = await ask<FleetAnswer>({ ask: "measure", seconds });
    const cpu = cpuBetween(before, await cpuNow(system, looker, fleet.pid));
    const { sent, unanswered, endedReasons } = await ask<FleetEnd>({ ask: "finish" });
    if (endedReasons.length > 0) throw new Error(`sessions ended, ${unanswered} events without a receipt: ${endedReasons.join("; ")}`);
    if (unanswered > 0) throw new Error(`${unanswered} events had no receipt long after the load had ended`);
    await system.assertBalanced(sent);
    return {
      sessions: sessionCount,
      simulatedProducers,
      offeredEventsPerSecond: simulatedProducers * producerEventsPerSecond,
      seconds: seen.seconds,
      lingerMs: seen.lingerMs,
      framesPerSecond: seen.frames / seen.seconds,
      eventsPerSecond: seen.events / seen.seconds,
      eventsPerFrame: seen.events / seen.frames,
      receiptMs: seen.receiptMs,
      eventLatencyMs: seen.eventLatencyMs,
      backlogEvents: seen.backlogEvents,
      gatewayBytesPerSession: (memoryIdle - memoryBefore) / sessionCount,
      connectSeconds,
      systemCpuPerMillion: systemSeconds(cpu) / (seen.events / 1e6),
      boundedBy: `${sessionCount} real mutual-TLS sessions, each carrying the frames of ${simulatedProducers / sessionCount} simulated producers: the load generator shares the machine's cores, and a process may open 20,000 files`,
    };
  } finally {
    await looker.end();
    await fleet.stop();
  }
}
