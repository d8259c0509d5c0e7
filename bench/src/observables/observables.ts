/**
 * Why: "under a second for a rare value, ingest at most 15% dearer, bytes per event stated" are claims about cost.
 * Enforces: every answer is compared with what was put there; a reading of all rows beside it in the same run; medians and 95th percentiles of all questions.
 * Forbids: a best round; questions that were asked before, where there are other values.
 */
import { findByValues, indexFigures } from "ransomeye";
import type { Pool } from "ransomeye-db";
import { openTestServer, type TestDatabase } from "ransomeye-db/testing";
import { IndexBuilder, IndexStore } from "ransomeye-engine";
import { askedObservable, type ObservableKind } from "ransomeye-ingestion/protocol";
import { systemClock } from "ransomeye-kernel";
import { openResult } from "ransomeye-tests";
import { measureIntake } from "./intake.ts";
import type { ObservablesOptions } from "./options.ts";
import { type IndexCost, type ObservablesFigures, observablesPage, observablesText, type QuestionFigures } from "./page.ts";
import { commonDomain, makeStock, rareDomain, someHost, type Stock } from "./stock.ts";

const limit = 100;

/** Measures and prints; gives the exit code. */
export async function observablesBench(o: ObservablesOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const keep =
    o.result === undefined
      ? undefined
      : await openResult<ObservablesFigures>({ path: o.result, script: "bench", append: false, pageOf: observablesPage });
  const stored = await onStock(o, say);
  const intake = await measureIntake(o, say);
  const figures: ObservablesFigures = { ...stored, intake };
  await keep?.(figures);
  process.stdout.write(`${observablesText(figures)}\n`);
  return figures.questions.every(({ agreed }) => agreed) ? 0 : 1;
}

async function onStock(o: ObservablesOptions, say: (line: string) => void): Promise<Omit<ObservablesFigures, "intake">> {
  const server = await openTestServer({ settings: { shared_buffers: "512MB", max_wal_size: "8GB" } });
  try {
    const database = await server.database();
    const stock = await makeStock(database.pool, { events: o.events, batch: o.batch, days: o.days, rare: o.samples });
    say(`${stock.events} events in ${stock.frames} batches are stored`);
    const index = await built(database, stock);
    say(`indexed: ${JSON.stringify(index)}`);
    const reader = database.rolePool("ransomeye_reader", 1);
    const ask = (what: string, kind: ObservableKind, value: (n: number) => string, rows: number): Promise<QuestionFigures> =>
      questions(reader, what, kind, value, rows, o.samples);
    const found = [
      await ask("rare: a domain that one event has", "domain", rareDomain, 1),
      await ask("absent: a hash that nobody has", "hash", (n) => n.toString(16).padStart(64, "0"), 0),
      await ask("a host of two thousand, its newest hundred", "host", (n) => someHost(n * 13), limit),
      await ask("common: a domain that most batches have, its newest hundred", "domain", () => commonDomain, limit),
    ];
    for (const one of found) say(JSON.stringify({ ...one, ms: undefined }));
    const scanMs = await scanned(reader);
    say(`reading all rows: ${Math.round(scanMs)} ms`);
    return { stock: { ...stock, days: o.days, batch: o.batch }, index, questions: found, scanMs };
  } finally {
    await server.close();
  }
}

async function built(database: TestDatabase, stock: Stock): Promise<IndexCost> {
  const builder = new IndexBuilder({ store: new IndexStore(database.rolePool("ransomeye_indexer", 1)), nowUs: () => systemClock.nowUs() });
  const begunMs = performance.now();
  const before = process.cpuUsage();
  for (;;) {
    const { frames, sorted, isBehind } = await builder.round();
    if (frames === 0 && sorted === 0 && !isBehind) break;
  }
  const used = process.cpuUsage(before);
  const seconds = (performance.now() - begunMs) / 1000;
  await database.pool.query("VACUUM ANALYZE");
  const figures = await indexFigures(database.rolePool("ransomeye_reader", 1));
  if (figures.behind.batches > 0) throw new Error("the index is not whole");
  const keys = figures.sorted.keys + figures.waiting.keys;
  const { rows } = await database.pool.query<{ closed: number; rows: number }>(
    `SELECT sum(bytes) FILTER (WHERE table_name IN ('observable.segment', 'observable.posting'))::bigint AS closed,
       sum(bytes) FILTER (WHERE table_name LIKE 'data.events_%')::bigint AS rows FROM ops.day_sizes()`,
  );
  const millions = stock.events / 1e6;
  return {
    ...{ seconds, cpuPerMillion: (used.user + used.system) / 1e6 / millions, keysPerEvent: keys / stock.events },
    ...{ bytesPerKeySorted: (rows[0]?.closed ?? 0) / Math.max(1, figures.sorted.keys), bytesPerEvent: figures.bytes / stock.events },
    ...{
      rowBytesPerEvent: (rows[0]?.rows ?? 0) / stock.events,
      segments: figures.sorted.segments,
      waitingBatches: figures.waiting.batches,
    },
  };
}

async function questions(
  reader: Pool,
  what: string,
  kind: ObservableKind,
  value: (n: number) => string,
  expected: number,
  samples: number,
): Promise<QuestionFigures> {
  const ms: number[] = [];
  let agreed = true;
  let batches = 0;
  for (let n = 0; n < samples; n++) {
    const asked = askedObservable(kind, value(n));
    if (asked === null) throw new Error(`${value(n)} is no ${kind}`);
    const begun = performance.now();
    const { rows, coverage } = await findByValues(reader, { limit }, [{ kind, value: asked }], { clock: systemClock, budgetMs: 600_000 });
    ms.push(performance.now() - begun);
    batches += coverage.indexed + coverage.direct;
    agreed &&= rows.length === expected && coverage.reachedUs === null;
  }
  return { what, ms, agreed, batches: batches / samples };
}

/** The same question to all rows. */
async function scanned(reader: Pool): Promise<number> {
  const begun = performance.now();
  const { rows } = await reader.query<{ n: number }>("SELECT count(*) AS n FROM views.events WHERE domain = $1", [rareDomain(0)]);
  if (rows[0]?.n !== 1) throw new Error("the rare value is not in the rows");
  return performance.now() - begun;
}
