/**
 * Why: "with the gate flooded, PostgreSQL keeps its share" is a claim about numbers (DB-5, G-5).
 * Enforces: quiet and flooded windows alternate on one running system under the same honest load, and the arrangements in another order each round, so that the machine's
 *   moods fall on all; each read is timed by its client.
 * Forbids: a flood whose cost is hidden in the reader's own queue: flooders are a process in a session of its own, with the lowest priority there.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type Client, instantSql } from "ransomeye-db";
import { machineFacts } from "ransomeye-kernel";
import { openResult } from "ransomeye-tests";
import type { FloodAnswer, FloodQuestion } from "../fairness/flood_main.ts";
import type { HonestAnswer, HonestQuestion } from "../fairness/honest_main.ts";
import { BenchSystem } from "../load/bench_system.ts";
import type { Settled } from "../load/settle.ts";
import { toWire, type WireIdentity } from "../load/wire_identity.ts";
import { Worker } from "../load/worker.ts";
import { percentile } from "../stats.ts";
import type { IsolationOptions } from "./options.ts";
import { isolationPage } from "./page.ts";
import { type Arrangement, arrangements, type IsolationFigures, judge, type RoundFigures, type WindowFigures } from "./verdict.ts";

const honestPath = fileURLToPath(new URL("../fairness/honest_main.js", import.meta.url));
const floodPath = fileURLToPath(new URL("../fairness/flood_main.js", import.meta.url));
const settleMs = 3_000;
/** Until processes are warm, and there are rows to read. */
const warmUpMs = 20_000;
/** Between two reads: a console that several people use. */
const readPauseMs = 4;
/** A third of an ordinary process's share. */
const waitingNice = 5;
const idsMax = 500;
const rangeRows = 200;

interface Stage {
  readonly options: IsolationOptions;
  readonly client: Client;
  readonly reads: readonly (() => Promise<unknown>)[];
  readonly askHonest: <T>(question: HonestQuestion) => Promise<T>;
  readonly askFlood: <T>(question: FloodQuestion) => Promise<T>;
  readonly gateway: { readonly host: string; readonly port: number };
  readonly gatewayPid: number;
  /** The gateway's as the supervisor set them. */
  readonly nice: number;
}

/** Runs the rounds, prints the figures and says whether readers were isolated, as an exit code. */
export async function isolationBench(options: IsolationOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const keep =
    options.result === undefined
      ? undefined
      : await openResult<IsolationFigures>({ path: options.result, script: "bench", append: false, pageOf: isolationPage });
  await using system = await BenchSystem.start({ RANSOMEYE_GATEWAY_PROCESSES: "1" });
  const identities = (await system.enrol("honest", options.honest)).map(toWire);
  // Others in each window, for who has flooded before is quarantined from the first moment on.
  const flooding = (await system.enrol("flooder", 4 * options.rounds * arrangements.length)).map(toWire);
  const honest = new Worker(honestPath);
  const flooders = new Worker(floodPath, [], { ownSession: true });
  const { gateway } = system.runtime;
  const gatewayPid = system.pidOf("gateway");
  const client = await system.client("bench reader");
  try {
    await client.query("SET ROLE ransomeye_reader");
    // In a session of its own, the process's priority means nothing to others; the session's does.
    writeFileSync(`/proc/${flooders.pid}/autogroup`, String(constants.priority.PRIORITY_LOW));
    await honest.ask({ ask: "begin", identities, gateway, eventsPerSecond: options.load } satisfies HonestQuestion);
    await pause(warmUpMs);
    const stage: Stage = {
      options,
      client,
      reads: await readsOf(client),
      askHonest: (question) => honest.ask(question),
      askFlood: (question) => flooders.ask(question),
      gateway,
      gatewayPid,
      nice: niceOf(gatewayPid),
    };
    const rounds: RoundFigures[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      const quiet = await window(stage, undefined);
      const flooded = new Map<Arrangement, WindowFigures>();
      for (let n = 0; n < arrangements.length; n += 1) {
        const name = arrangements[(n + round) % arrangements.length] as Arrangement;
        arrange(stage, name);
        const at = 4 * (round * arrangements.length + n);
        flooded.set(name, await window(stage, flooding.slice(at, at + 4)));
        arrange(stage, "as started");
        await pause(settleMs);
      }
      rounds.push({ quiet, flooded: Object.fromEntries(flooded) as RoundFigures["flooded"] });
      say(
        `round ${round + 1}: p99 quiet ${quiet.p99Ms.toFixed(2)} ms; ${[...flooded].map(([name, w]) => `${name} ${w.p99Ms.toFixed(2)} ms (${w.greedyEventsPerSecond.toFixed(0)} greedy events/s)`).join(", ")}`,
      );
    }
    const { unanswered } = await honest.ask<Settled>({ ask: "finish" });
    const figures: IsolationFigures = {
      honest: options.honest,
      honestEventsPerSecond: options.load,
      greedyEventsPerSecond: options.flood,
      seconds: options.seconds,
      rounds,
      unanswered,
      ledgerBalanced: await system.isBalanced(),
    };
    await keep?.(figures);
    const verdict = judge(figures);
    process.stdout.write(`${verdict.lines.join("\n")}\n`);
    return verdict.faults.length === 0 ? 0 : 1;
  } finally {
    await Promise.all([honest.stop(), flooders.stop()]);
    await client.end();
  }
}

/** What a console asks for: single events, and a range of rows. Both cost the same however much comes in meanwhile. */
async function readsOf(client: Client): Promise<(() => Promise<unknown>)[]> {
  const { rows } = await client.query<{ producer_id: string; epoch: number; seq: number; received_at: number }>(
    "SELECT producer_id, epoch, seq, received_at FROM views.events ORDER BY received_at, seq LIMIT $1",
    [idsMax],
  );
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) throw new Error("nothing has been stored to be read");
  let n = 0;
  return [
    async () => {
      const { producer_id: producer, epoch, seq } = rows[(n += 1) % rows.length] ?? last;
      const found = await client.query("SELECT id, host, message FROM views.event($1, $2, $3)", [producer, epoch, seq]);
      if (found.rows.length !== 1) throw new Error("an event that was stored is not found");
    },
    () =>
      client.query(
        `SELECT id, host, message FROM views.events WHERE received_at BETWEEN ${instantSql("$1")} AND ${instantSql("$2")} ORDER BY received_at LIMIT $3`,
        [first.received_at, last.received_at, rangeRows],
      ),
  ];
}

/** Reads for one window while honest producers send, and others flood if there are any. */
async function window(stage: Stage, flooders: readonly WireIdentity[] | undefined): Promise<WindowFigures> {
  const { options, reads, askHonest, askFlood, gateway } = stage;
  if (flooders !== undefined) {
    const [greedy, lawless, deaf, empty] = flooders;
    if (greedy === undefined || lawless === undefined || deaf === undefined || empty === undefined)
      throw new Error("four flooders were enrolled for each window");
    await askFlood({ ask: "flood", greedy, lawless, deaf, empty, gateway, greedyEventsPerSecond: options.flood });
    await pause(settleMs);
  }
  let active = true;
  const goesOn = (): boolean => active;
  const measuring = askHonest<HonestAnswer>({ ask: "measure", seconds: options.seconds }).finally(() => (active = false));
  const readMs: number[] = [];
  while (goesOn()) {
    for (const read of reads) {
      const from = process.hrtime.bigint();
      await read();
      readMs.push(Number(process.hrtime.bigint() - from) / 1e6);
      await pause(readPauseMs);
    }
  }
  const measured = await measuring;
  if (measured.ended.length > 0) throw new Error(`honest sessions ended: ${measured.ended.join("; ")}`);
  const flood = flooders === undefined ? undefined : await askFlood<FloodAnswer>({ ask: "rest" });
  return {
    reads: readMs.length,
    p50Ms: percentile(readMs, 0.5),
    p99Ms: percentile(readMs, 0.99),
    honestEventsPerSecond: measured.eventsOf.reduce((total, events) => total + events, 0) / measured.seconds,
    greedyEventsPerSecond: flood === undefined ? 0 : flood.receipted / flood.seconds,
  };
}

/** Gives the running gateway the arrangement's priority and processors. */
function arrange({ gatewayPid, nice }: Stage, arrangement: Arrangement): void {
  const wanted = arrangement === "nice" ? waitingNice : nice;
  setPriority(gatewayPid, wanted);
  writeFileSync(`/proc/${gatewayPid}/autogroup`, String(wanted));
  const last = machineFacts().cores - 1;
  const cores = arrangement === "one core" ? String(last) : `0-${last}`;
  const { status, stderr } = spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", cores, String(gatewayPid)], { encoding: "utf8" });
  if (status !== 0) throw new Error(`taskset does not work here: ${stderr}`);
}

/** A session's niceness as the kernel shares processors out. */
function niceOf(pid: number): number {
  return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, "utf8"))?.[1] ?? 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
