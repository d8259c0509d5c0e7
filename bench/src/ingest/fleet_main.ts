/**
 * Why: the load of shape C: sessions that each carry the frames of several simulated producers.
 * Enforces: the offered load does not wait for the system: events arrive at their rate, are sealed after the linger that the server asks for, and queue
 *   where credit is short. The rate is raised over a ramp, since a fleet does not wake up in one instant.
 * Forbids: hiding what queues: the backlog is part of the answer.
 */
import { seededRandom } from "ransomeye-kernel";
import { type Percentiles, percentiles } from "../stats.ts";
import { LoadSession } from "../load/load_session.ts";
import { type Settled, settle } from "../load/settle.ts";
import { eventPool } from "../load/line_pool.ts";
import { fromWire, type WireIdentity } from "../load/wire_identity.ts";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export type FleetQuestion =
  | {
      readonly ask: "open";
      readonly identities: readonly WireIdentity[];
      readonly gateway: { readonly host: string; readonly port: number };
    }
  | { readonly ask: "begin"; readonly simulatedProducers: number; readonly producerEventsPerSecond: number; readonly rampSeconds: number }
  | { readonly ask: "measure"; readonly seconds: number }
  | { readonly ask: "finish" };

/** What was seen while measuring. */
export interface FleetAnswer {
  readonly seconds: number;
  readonly frames: number;
  readonly events: number;
  readonly lingerMs: number;
  readonly receiptMs: Percentiles;
  readonly eventLatencyMs: Percentiles;
  readonly backlogEvents: number;
}

/** What the load came to, and why sessions ended before it did. */
export interface FleetEnd extends Settled {
  readonly endedReasons: readonly string[];
}

const openAtOnce = 32;
const tickMs = 5;
const finishMsMax = 240_000;
/** Of the full rate, at the first moment of the ramp. */
const rampShareMin = 0.005;

const random = seededRandom("fleet");
const pool = eventPool(1, 8_000, random);

const sessions: LoadSession[] = [];
const dueUs: number[] = [];
const endedReasons = new Map<string, number>();
let load = { producersPerSession: 0, producerEventsPerSecond: 0, rampUs: 0, startedUs: 0 };
let timer: NodeJS.Timeout | undefined;
let measured: { frames: number; events: number; receiptMs: number[]; latencyMs: number[] } | undefined;

async function open(identities: readonly WireIdentity[], gateway: { readonly host: string; readonly port: number }): Promise<void> {
  const waiting = identities.map(fromWire);
  const openOne = async (): Promise<void> => {
    for (let identity = waiting.pop(); identity !== undefined; identity = waiting.pop()) {
      const session = new LoadSession(identity, gateway, {
        receipted({ events, lingerMs, sealedUs, receiptUs }) {
          if (measured === undefined) return;
          const receiptMs = (receiptUs - sealedUs) / 1_000;
          measured.frames += 1;
          measured.events += events;
          measured.receiptMs.push(receiptMs);
          // One event of each frame, born at any moment of the linger.
          measured.latencyMs.push(receiptMs + (events === 1 ? 1 : random.float()) * lingerMs);
        },
        ended: (reason) => void endedReasons.set(reason, (endedReasons.get(reason) ?? 0) + 1),
      });
      if (!(await session.open())) throw new Error(`a session did not open: ${[...endedReasons.keys()].join("; ")}`);
      sessions.push(session);
    }
  };
  await Promise.all(Array.from({ length: openAtOnce }, openOne));
}

function begin(question: Extract<FleetQuestion, { ask: "begin" }>): void {
  const { simulatedProducers, producerEventsPerSecond, rampSeconds } = question;
  load = {
    producersPerSession: simulatedProducers / sessions.length,
    producerEventsPerSecond,
    rampUs: rampSeconds * 1e6,
    startedUs: sharedClockUs(),
  };
  sessions.forEach((session, n) => (dueUs[n] = load.startedUs + random.float() * intervalUs(eventsPerFrame(session), rampShareMin)));
  timer = setInterval(sealDue, tickMs);
}

/** A producer's frame holds what arrives while it lingers, and at least the event that began the lingering. */
function eventsPerFrame(session: LoadSession): number {
  return Math.max(1, Math.round(load.producerEventsPerSecond * (session.lingerMs / 1_000)));
}

/** Time between two frames of a session, which carries several producers. */
function intervalUs(events: number, share: number): number {
  return (events / (load.producersPerSession * load.producerEventsPerSecond * share)) * 1e6;
}

function sealDue(): void {
  const nowUs = sharedClockUs();
  const share = Math.min(1, Math.max(rampShareMin, (nowUs - load.startedUs) / load.rampUs));
  for (const [n, session] of sessions.entries()) {
    for (let due = dueUs[n] ?? nowUs; due <= nowUs; due = dueUs[n] ?? nowUs) {
      const events = eventsPerFrame(session);
      session.seal(pool, events);
      dueUs[n] = due + intervalUs(events, share);
    }
  }
}

async function measure(seconds: number): Promise<FleetAnswer> {
  const into = { frames: 0, events: 0, receiptMs: [] as number[], latencyMs: [] as number[] };
  const startedUs = sharedClockUs();
  measured = into;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  measured = undefined;
  return {
    seconds: (sharedClockUs() - startedUs) / 1e6,
    frames: into.frames,
    events: into.events,
    lingerMs: Math.round(sessions.reduce((sum, session) => sum + session.lingerMs, 0) / sessions.length),
    receiptMs: percentiles(into.receiptMs),
    eventLatencyMs: percentiles(into.latencyMs),
    backlogEvents: waiting(),
  };
}

async function finish(): Promise<FleetEnd> {
  clearInterval(timer);
  const settled = await settle(sessions, finishMsMax);
  return { ...settled, endedReasons: [...endedReasons].map(([reason, count]) => `${count} × ${reason}`) };
}

function waiting(): number {
  return sessions.reduce((sum, session) => sum + session.waitingEvents, 0);
}

serveQuestions(
  async (question: FleetQuestion) => {
    switch (question.ask) {
      case "open":
        return await open(question.identities, question.gateway);
      case "begin":
        return begin(question);
      case "measure":
        return await measure(question.seconds);
      case "finish":
        return await finish();
    }
  },
  async () => {
    for (const session of sessions) session.close();
  },
);
