/**
 * Why: COPY, the size of a commit group and the settings of the write-ahead log were decided by these figures, and can be decided again.
 * Enforces: every way writes the same rows into a table of the shape of the real one, in each round, beginning with another one; ratios within a round.
 * Forbids: comparing rounds with each other.
 */
import { type Client, copyOut, openClient } from "ransomeye-db";
import { openTestServer, type TestDatabase } from "ransomeye-db/testing";
import { createTelemetry } from "ransomeye-kernel";
import { openResult } from "ransomeye-tests";
import { LogLoad } from "../dataplane/log_load.ts";
import { Worker } from "../load/worker.ts";
import { enginePath } from "../dataplane/dataplane.ts";
import type { EngineQuestion } from "../dataplane/engine_main.ts";
import type { StoringOptions } from "./options.ts";
import { storingPage, storingText, type StoringFigures, type WayFigures } from "./page.ts";
import { groupRows, groupSizes, type Material, reference, type Way, ways } from "./ways.ts";

const source = "data.events_agent";
const producers = 16;
/** Rows that INSERT repeats. */
const valuesMax = 10_000;
const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

/** Runs it, prints the figures and gives the exit code. */
export async function storingBench({ rows, rounds, result }: StoringOptions): Promise<number> {
  const keep =
    result === undefined
      ? undefined
      : await openResult<StoringFigures>({ path: result, script: "bench", append: false, pageOf: storingPage });
  const server = await openTestServer({ settings: { shared_buffers: "1GB", max_wal_size: "8GB" } });
  try {
    const database = await server.database();
    const stored = await fill(database, rows);
    const client = await openClient(database.connection, "bench storing");
    const figures: WayFigures[] = [];
    try {
      await client.query("CREATE SCHEMA bench");
      const material = await materialOf(client, rows);
      say(`${stored} rows lie ready`);
      for (let round = 0; round < rounds; round += 1)
        for (let n = 0; n < ways.length; n += 1) {
          const way = ways[(n + 3 * round) % ways.length] as Way;
          const measured = await timed(client, way, material, rows);
          figures.push({ round, ...measured });
          say(`round ${round + 1}, ${way.name}: ${(measured.rows / measured.seconds).toFixed(0)} rows/s`);
        }
    } finally {
      await client.end();
    }
    const all: StoringFigures = { rows, reference: reference.name, ways: ways.map(({ name }) => name), figures };
    process.stdout.write(`${storingText(all)}\n`);
    await keep?.(all);
    return figures.every((way) => way.rows > 0) ? 0 : 1;
  } finally {
    await server.close();
  }
}

/** Real rows, made by the engine from signed batches. */
async function fill(database: TestDatabase, rows: number): Promise<number> {
  const load = await LogLoad.open(database, producers, createTelemetry({ role: "bench", level: "error" }));
  const engine = new Worker(enginePath);
  try {
    const events = await load.append(rows);
    await engine.ask({ ask: "engine", connection: database.roleConnection("ransomeye_engine") } satisfies EngineQuestion);
    return events;
  } finally {
    await engine.stop();
    await load.close();
  }
}

async function materialOf(client: Client, rows: number): Promise<Material> {
  const out = async (format: "binary" | "text"): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of copyOut(client, `COPY (SELECT * FROM ${source} LIMIT ${rows}) TO STDOUT (FORMAT ${format})`))
      pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  };
  const tuples = binaryTuples(await out("binary"));
  const lines = textLines(await out("text"));
  const binary = groupSizes.map((size) => [size, groupsOf(tuples, size).map((group) => [copyHeader, ...group, copyEnd])] as const);
  return { binary: new Map(binary), text: groupsOf(lines, groupRows), values: lines.slice(0, valuesMax).map(valuesOf) };
}

/** Signature, flags and the length of an extension that is not there. */
const copyHeader = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const copyEnd = Buffer.from([0xff, 0xff]);

/** Rows of a binary COPY stream, each as it lies there. */
function binaryTuples(bytes: Buffer): Buffer[] {
  const tuples: Buffer[] = [];
  for (let at = copyHeader.length; ; ) {
    const from = at;
    const fields = bytes.readInt16BE(at);
    if (fields < 0) return tuples;
    at += 2;
    for (let field = 0; field < fields; field += 1) at += 4 + Math.max(0, bytes.readInt32BE(at));
    tuples.push(bytes.subarray(from, at));
  }
}

/** What COPY's text escapes. */
const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

function valuesOf(line: Buffer): (string | null)[] {
  const cells = line.toString("utf8", 0, line.length - 1).split("\t");
  return cells.map((cell) => (cell === "\\N" ? null : cell.replaceAll(/\\(.)/g, (_, letter: string) => escapes[letter] ?? letter)));
}

function textLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from) + 1;
    lines.push(bytes.subarray(from, end));
    from = end;
  }
  return lines;
}

/** Neighbouring pieces of one buffer, so many at a time, each time as one. */
function groupsOf(pieces: readonly Buffer[], size: number): Buffer[][] {
  return Array.from({ length: Math.ceil(pieces.length / size) }, (_, n) => [Buffer.concat(pieces.slice(n * size, (n + 1) * size))]);
}

async function timed(client: Client, way: Way, material: Material, rows: number): Promise<Omit<WayFigures, "round">> {
  const [set, reset] = way.set ?? [];
  // As the real table: partitioned by day, with its index.
  await client.query(`CREATE TABLE bench.rows (LIKE ${source} INCLUDING ALL) PARTITION BY RANGE (received_at)`);
  await client.query("CREATE TABLE bench.all_days PARTITION OF bench.rows FOR VALUES FROM (MINVALUE) TO (MAXVALUE)");
  try {
    if (set !== undefined) await inForce(client, set);
    await client.query("CHECKPOINT");
    const before = await walBytes(client);
    const from = process.hrtime.bigint();
    const written = await way.write(client, material, rows);
    const seconds = Number(process.hrtime.bigint() - from) / 1e9;
    return { name: way.name, rows: written, seconds, walBytes: (await walBytes(client)) - before };
  } finally {
    if (reset !== undefined) await inForce(client, reset);
    await client.query("DROP TABLE bench.rows");
  }
}

async function inForce(client: Client, setting: string): Promise<void> {
  await client.query(setting);
  await client.query("SELECT pg_reload_conf()");
  // The server's processes hear of it by a signal.
  await new Promise((resolve) => setTimeout(resolve, 500));
}

async function walBytes(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes");
  return rows[0]?.bytes ?? 0;
}
