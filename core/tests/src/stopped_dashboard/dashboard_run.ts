/**
 * Why: R-26, "a crashed dashboard never stalls anyone", on the whole system: publishers go on while a group is away, and it misses nothing.
 * Enforces: the same publisher at the same pace while the dashboard runs and while it is stopped; then the dashboard is started again and counts.
 * Forbids: a verdict from anything but what was published, how long each publish took, and what the dashboard's handler was given.
 */
import { setTimeout } from "node:timers/promises";
import { systemClock } from "ransomeye-kernel";
import { type MessageLog, type MessagePriority, StreamName } from "ransomeye-pipeline";
import { startRedis, type TestRedis } from "ransomeye-pipeline/testing";
import { RunningSystem } from "../harness/running_system.ts";
import { openStreams } from "../harness/system_streams.ts";
import { Dashboard, dashboardGroup, numberedAttack, queueOn } from "./dashboard.ts";

export const adapters = ["redis_streams", "postgres"] as const;
export type Adapter = (typeof adapters)[number];

export interface DashboardPlan {
  readonly adapter: Adapter;
  /** Published while the dashboard is stopped; a tenth of them before, while it runs. */
  readonly messages: number;
  /** Messages a second; undefined: as fast as 64 at a time go. */
  readonly rate: number | undefined;
  readonly onStep?: (said: string) => void;
  /** Ends the run. */
  readonly signal?: AbortSignal;
}

/** Times of publishing, in milliseconds. */
export interface PublishTimes {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly perSecond: number;
}

export interface DashboardRecord {
  readonly adapter: Adapter;
  readonly messages: number;
  readonly running: PublishTimes;
  readonly stopped: PublishTimes;
  /** p99 while it is stopped, over p99 while it runs. */
  readonly ratio: number;
  /** Messages that were in the archive alone when it was started again; null where the log is the archive. */
  readonly archivedOnly: number | null;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Messages a second that the dashboard read on with. */
  readonly readPerSecond: number;
}

const tickMs = 10;
/** Of what is sent at a pace: it counts as late from when it was due. */
const paceMs = 1;
const inFlightMax = 64;
const patienceMs = 30_000;

/** One run on a system of its own. */
export async function dashboardRun(plan: DashboardPlan): Promise<DashboardRecord> {
  const { adapter, messages, rate, signal, onStep = () => undefined } = plan;
  const server = adapter === "redis_streams" ? await startRedis() : undefined;
  try {
    // The trigger reads the same stream: what it costs is the same in both phases, and not asked here.
    const environment = { RANSOMEYE_BUS_URL: server?.url ?? "", RANSOMEYE_FORENSICS_ENABLED: "false" };
    await using system = await RunningSystem.start([], environment);
    const [publishing, reading] = [await openStreams(system), await openStreams(system)];
    try {
      const held = server === undefined ? null : (): Promise<number> => entriesHeld(server);
      const run = measured({ publishing, reading, held }, { adapter, messages, rate, onStep });
      return await (signal === undefined ? run : Promise.race([run, ended(signal)]));
    } finally {
      await Promise.all([publishing.close(), reading.close()]);
    }
  } finally {
    await server?.close();
  }
}

interface Ends {
  readonly publishing: MessageLog;
  readonly reading: MessageLog;
  /** Attacks in the memory of a server; null where the streams lie in the database. */
  readonly held: (() => Promise<number>) | null;
}

async function measured(
  { publishing, reading, held }: Ends,
  plan: DashboardPlan & { readonly onStep: (said: string) => void },
): Promise<DashboardRecord> {
  const { adapter, messages, rate, onStep } = plan;
  const before = Math.ceil(messages / 10);
  const dashboard = new Dashboard(reading, before + messages);
  await publishing.createGroup(StreamName.attacks, dashboardGroup, "beginning");
  let stop = dashboard.start();
  const offs = new Float64Array(before + messages);
  const running = await publish(publishing, offs, { from: 0, count: before, rate });
  await caughtUp(dashboard, before);
  await stop();
  onStep(`dashboard running: ${told(running)}`);
  const stopped = await publish(publishing, offs, { from: before, count: messages, rate });
  onStep(`dashboard stopped: ${told(stopped)}`);
  const archivedOnly = held === null ? null : before + messages - (await held());
  const beganMs = systemClock.nowUs() / 1000;
  stop = dashboard.start();
  await caughtUp(dashboard, before + messages);
  const readSeconds = systemClock.nowUs() / 1_000_000 - beganMs / 1000;
  const place = (number: number | undefined): number => offs[number ?? 0] as number;
  // What comes a second time would come soon.
  await setTimeout(500);
  await stop();
  const { seen, came } = dashboard;
  const outOfOrder = came.reduce(
    (sum, numbers) => sum + numbers.filter((number, at) => at > 0 && place(number) <= place(numbers[at - 1])).length,
    0,
  );
  return {
    ...{ adapter, messages, running, stopped, ratio: stopped.p99 / running.p99, archivedOnly, outOfOrder },
    lost: seen.reduce((sum, times) => sum + (times === 0 ? 1 : 0), 0),
    doubled: seen.reduce((sum, times) => sum + (times > 1 ? 1 : 0), 0),
    readPerSecond: messages / readSeconds,
  };
}

function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

async function entriesHeld(server: TestRedis): Promise<number> {
  const client = server.client();
  const logs = await client.keys("*}:stream:attacks:[1-4]");
  const held = await Promise.all(logs.map((log) => client.xlen(log)));
  return held.reduce((sum, entries) => sum + entries, 0);
}

/** Publishes numbers from one on, of every priority in turn, and waits for the last; notes where in its priority each lies. */
async function publish(
  log: MessageLog,
  offs: Float64Array,
  { from, count, rate }: { readonly from: number; readonly count: number; readonly rate: number | undefined },
): Promise<PublishTimes> {
  const queue = queueOn(log, "burst");
  const times = new Float64Array(count);
  const beganMs = performance.now();
  const send = async (index: number, sinceMs: number): Promise<void> => {
    const priority = ((index % 4) + 1) as MessagePriority;
    const published = await queue.publishWhenRoom(StreamName.attacks, numberedAttack(from + index), { priority });
    if (published.kind === "published") offs[from + index] = published.off;
    times[index] = performance.now() - sinceMs;
  };
  if (rate === undefined) await atOnce(count, send);
  else await atPace(count, rate, send);
  const seconds = (performance.now() - beganMs) / 1000;
  times.sort();
  const at = (share: number): number => times[Math.min(count - 1, Math.ceil(share * count) - 1)] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1), perSecond: count / seconds };
}

type Send = (index: number, sinceMs: number) => Promise<void>;

/** Always so many on their way. */
async function atOnce(count: number, send: Send): Promise<void> {
  const lane = async (first: number): Promise<void> => {
    for (let index = first; index < count; index += inFlightMax) await send(index, performance.now());
  };
  await Promise.all(Array.from({ length: inFlightMax }, (_, first) => lane(first)));
}

/** As many a second; the time of each counts from when it was due. */
async function atPace(count: number, rate: number, send: Send): Promise<void> {
  const beganMs = performance.now();
  const pending = new Set<Promise<void>>();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - beganMs) / 1000) * rate));
    for (; sent < due; sent++) {
      const one = send(sent, beganMs + (sent / rate) * 1000).finally(() => pending.delete(one));
      pending.add(one);
    }
    await setTimeout(paceMs);
  }
  await Promise.all(pending);
}

/** Resolves when the dashboard has as many, or none has come for long. */
async function caughtUp(dashboard: Dashboard, wanted: number): Promise<void> {
  for (let [seen, stillMs] = [0, 0]; dashboard.seenAll < wanted && stillMs < patienceMs; stillMs += tickMs) {
    if (dashboard.seenAll > seen) [seen, stillMs] = [dashboard.seenAll, 0];
    await setTimeout(tickMs);
  }
}

export function told({ p50, p99, max, perSecond }: PublishTimes): string {
  return `published ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, slowest ${max.toFixed(0)} ms`;
}
