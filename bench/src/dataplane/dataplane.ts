/**
 * Why: rows must come in at the machine's speed while people read, without anybody waiting for a lock (issue: 0.7 of a bare COPY).
 * Enforces: storing and copying take turns on one server under the same readers, the same rows each; the ledger is recounted at the end.
 * Forbids: a figure from rows that are not all there.
 */
import { fileURLToPath } from "node:url";
import { LedgerFolder, openPool, type Pool } from "ransomeye-db";
import { openTestServer, type TestServer } from "ransomeye-db/testing";
import { createTelemetry, systemClock } from "ransomeye-kernel";
import { openResult } from "ransomeye-tests";
import { cpuSecondsOfTree } from "../cpu_account.ts";
import { encodedSince, rawCopy } from "../ingest/raw_copy.ts";
import { Worker } from "../load/worker.ts";
import type { EngineAnswer, EngineQuestion } from "./engine_main.ts";
import { LogLoad } from "./log_load.ts";
import type { DataplaneOptions } from "./options.ts";
import { dataplanePage } from "./page.ts";
import type { ReadersAnswer, ReadersQuestion } from "./readers_main.ts";
import { serverFacts, watchSettings } from "./server_watch.ts";
import { type DataplaneFigures, judge, type RoundFigures, type StoreFigures } from "./verdict.ts";

/** The engine in a process of its own. */
export const enginePath: string = fileURLToPath(new URL("./engine_main.js", import.meta.url));
const readersPath = fileURLToPath(new URL("./readers_main.js", import.meta.url));
const table = "data.events_agent";
const producers = 16;
/** Fill caches, compile hot functions, and give readers something to read. */
const warmUpEvents = 50_000;
/** Without anything but reads. */
const quietMs = 10_000;
/** How often the keeper asks whether a fold is due. */
const keeperMs = 1_000;
/** Until sessions have told what they counted. */
const countsMs = 2_000;
const telemetry = createTelemetry({ role: "bench", level: "error" });
const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs it, prints the figures and gives the exit code. */
export async function dataplaneBench(options: DataplaneOptions): Promise<number> {
  const keep =
    options.result === undefined
      ? undefined
      : await openResult<DataplaneFigures>({ path: options.result, script: "bench", append: false, pageOf: dataplanePage });
  const settings = { ...watchSettings, shared_buffers: "1GB", max_wal_size: "8GB", max_connections: "200" };
  const server = await openTestServer({ settings });
  const engine = new Worker(enginePath);
  const readers = new Worker(readersPath);
  try {
    const figures = await measure({ server, engine, readers, options });
    const verdict = judge(figures);
    process.stdout.write(`${verdict.lines.join("\n")}\n`);
    await keep?.(figures);
    return verdict.faults.length === 0 ? 0 : 1;
  } finally {
    await Promise.all([engine.stop(), readers.stop()]);
    await server.close();
  }
}

async function newestUs(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ us: number }>("SELECT max(received_us) AS us FROM bus.partition_head");
  return rows[0]?.us ?? 0;
}

async function ledgerOf(pool: Pool): Promise<DataplaneFigures["ledger"]> {
  const { rows } = await pool.query<DataplaneFigures["ledger"]>(
    'SELECT stored, imbalance, misplaced_epochs AS "misplacedEpochs" FROM views.ledger',
  );
  const [ledger] = rows;
  if (ledger === undefined) throw new Error("the ledger is empty");
  return ledger;
}

/** As the keeper does, from the first event on. */
async function foldMeanwhile(keeper: Pool, ended: () => boolean): Promise<void> {
  const folder = new LedgerFolder(keeper, systemClock);
  while (!ended()) {
    await folder.round();
    await pause(keeperMs);
  }
}

interface Stage {
  readonly server: TestServer;
  readonly engine: Worker;
  readonly readers: Worker;
  readonly options: DataplaneOptions;
}

async function measure({ server, engine, readers, options }: Stage): Promise<DataplaneFigures> {
  const { embedded } = server;
  if (embedded === undefined) throw new Error("the bench reads its server's log: unset PG_URL");
  const database = await server.database();
  const load = await LogLoad.open(database, producers, telemetry);
  const keeper = openPool({ connection: database.roleConnection("ransomeye_keeper"), max: 1, applicationName: "bench keeper", telemetry });
  const store = (ask: EngineQuestion["ask"]): Promise<EngineAnswer> =>
    engine.ask({ ask, connection: database.roleConnection("ransomeye_engine") } satisfies EngineQuestion);
  const read = (question: ReadersQuestion): Promise<ReadersAnswer> => readers.ask(question);
  let measured = false;
  const folding = foldMeanwhile(keeper, () => measured);
  try {
    let events = await load.append(warmUpEvents);
    await store("engine");
    const connection = database.roleConnection("ransomeye_reader");
    await read({ ask: "open", connection, sessions: options.sessions, pauseMs: options.pause });
    await pause(quietMs);
    const quiet = await read({ ask: "told" });
    const rounds: RoundFigures[] = [];
    /** What comes in, is stored so, and is copied bare. */
    const turn = async (ask: EngineQuestion["ask"]): Promise<StoreFigures> => {
      const beforeUs = await newestUs(database.pool);
      const came = await load.append(options.events / options.rounds);
      events += came;
      // As before the bare COPY: what the log's filling has left to write is not storing's to pay.
      await database.pool.query("CHECKPOINT");
      await read({ ask: "told" });
      const cpuBefore = cpuSecondsOfTree(embedded.pid);
      const stored = await store(ask);
      const postgresCpuSeconds = cpuSecondsOfTree(embedded.pid) - cpuBefore;
      const reads = await read({ ask: "told" });
      const raw = await rawCopy(database.connection, embedded.pid, table, await encodedSince(database.connection, table, beforeUs));
      if (raw.rows !== came) throw new Error(`${came} events came, and ${raw.rows} of them are rows`);
      say(`${ask}: ${(came / stored.seconds).toFixed(0)} rows/s stored, ${raw.rowsPerSecond.toFixed(0)} copied`);
      return { events: came, stored: { ...stored, postgresCpuSeconds }, raw, reads };
    };
    for (let round = 1; round <= options.rounds; round += 1) rounds.push({ engine: await turn("engine"), sink: await turn("sink") });
    await readers.stop();
    measured = true;
    await folding;
    await pause(countsMs);
    const facts = await serverFacts(database.pool, embedded.logFile);
    return {
      sessions: options.sessions,
      pause: options.pause,
      producers,
      events,
      quiet,
      rounds,
      ledger: await ledgerOf(database.pool),
      server: facts,
    };
  } finally {
    measured = true;
    await folding.catch(() => undefined);
    await load.close();
    await keeper.end();
  }
}
