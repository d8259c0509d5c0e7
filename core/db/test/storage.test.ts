/** How tables are stored: the page of choices against the catalogue, against rows, and against updates. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { dayUpkeep, hotShareMin, tableChoices } from "../ownership/storage.ts";
import type { TableChoice } from "../ownership/storage_choice.ts";
import { ownershipMatrix } from "../ownership/matrix.ts";
import { utcDay } from "../src/partitions.ts";
import type { Pool } from "../src/pool.ts";
import { openTestServer } from "../src/testing.ts";
import { systemClock } from "ransomeye-kernel";
import { hotUpdates, samples } from "./storage_samples.ts";

const server = await openTestServer();
after(() => server.close());

interface LiveTable {
  readonly name: string;
  readonly logged: boolean;
  readonly by_day: boolean;
  readonly options: string[] | null;
  readonly indexes: Record<string, string> | null;
}

const liveSql = `
  SELECT n.nspname || '.' || c.relname AS name, c.relpersistence = 'p' AS logged, c.relkind = 'p' AS by_day, c.reloptions AS options,
    (SELECT json_object_agg(x.relname, a.amname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam WHERE i.indrelid = c.oid) AS indexes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`;

/** In the order in which they are given. */
function optionsOf({ fillfactor, upkeep }: TableChoice): string[] | null {
  const options = [...(fillfactor === undefined ? [] : [`fillfactor=${fillfactor}`]), ...(upkeep?.options ?? [])];
  return options.length === 0 ? null : options;
}

const ours = [...new Set(ownershipMatrix.map(({ name }) => name.slice(0, name.indexOf("."))))];

test("DP-44 every table is stored as the page says: logged, by day, filled, indexed, vacuumed; none is missing, none is left over", async () => {
  await using database = await server.database();
  const { rows } = await database.pool.query<LiveTable>(liveSql, [ours]);
  const said = tableChoices.map((choice) => ({
    name: choice.name,
    logged: choice.unlogged !== true,
    by_day: choice.byDay !== undefined,
    options: optionsOf(choice),
    indexes:
      Object.keys(choice.indexes).length === 0
        ? null
        : Object.fromEntries(Object.entries(choice.indexes).map(([name, { method }]) => [name, method])),
  }));
  assert.deepEqual(
    rows,
    said.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  );
  const { rows: days } = await database.pool.query<{ name: string; options: string[] }>(
    `SELECT c.relname AS name, c.reloptions AS options FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND c.relispartition`,
    [ours],
  );
  assert.ok(days.length > 0);
  for (const { name, options } of days) assert.deepEqual(options.toSorted(), dayUpkeep.toSorted(), name);
});

test("DP-44 a table that nobody has thought about is noticed", async () => {
  await using database = await server.database();
  await database.pool.query("CREATE TABLE ops.thoughtless (a int); CREATE INDEX thoughtless_a ON data.gaps USING brin (count)");
  const { rows } = await database.pool.query<LiveTable>(liveSql, [ours]);
  const known = new Map(tableChoices.map((choice) => [choice.name as string, choice]));
  assert.deepEqual(
    rows.filter(({ name }) => !known.has(name)).map(({ name }) => name),
    ["ops.thoughtless"],
  );
  assert.ok(Object.hasOwn(rows.find(({ name }) => name === "data.gaps")?.indexes ?? {}, "thoughtless_a"));
});

const rowsMade = 20_000;
/** Within a tenth: pages are of 8 KiB, and B-trees split where they will. */
const tolerance = 0.1;

/** Where rows of today lie. */
function heapOf({ name, byDay }: TableChoice): string {
  return byDay === undefined ? name : `${name}_${utcDay(systemClock.nowUs()).replaceAll("-", "_")}`;
}

async function bytesOf(pool: Pool, choice: TableChoice): Promise<Record<string, number>> {
  const heap = heapOf(choice);
  const { rows } = await pool.query<{ heap: number; rows: number }>(
    `SELECT pg_relation_size('${heap}') AS heap, (SELECT count(*) FROM ${heap}) AS rows`,
  );
  const { heap: heapBytes = 0, rows: made = 1 } = rows[0] ?? {};
  const { rows: indexes } = await pool.query<{ name: string; bytes: number }>(
    `SELECT coalesce(p.relname, x.relname) AS name, pg_relation_size(x.oid) AS bytes FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
     LEFT JOIN pg_inherits h ON h.inhrelid = x.oid LEFT JOIN pg_class p ON p.oid = h.inhparent WHERE i.indrelid = '${heap}'::regclass`,
  );
  return { heap: heapBytes / made, ...Object.fromEntries(indexes.map(({ name, bytes }) => [name, bytes / made])) };
}

test("DP-45 rows and their index entries take the bytes that the page says, within a tenth", async () => {
  await using database = await server.database();
  const { pool } = database;
  const off: string[] = [];
  for (const choice of tableChoices) {
    const sample = samples[choice.name];
    assert.equal(
      sample === undefined,
      choice.rowBytes === undefined,
      `${choice.name}: bytes are said where rows are made, and nowhere else`,
    );
    if (sample === undefined) continue;
    await pool.query(sample.replaceAll("$n", String(rowsMade)));
    if (choice.byDay !== undefined) await pool.query(`VACUUM ${heapOf(choice)}`);
    const measured = await bytesOf(pool, choice);
    const said: Record<string, number | undefined> = {
      heap: choice.rowBytes,
      ...Object.fromEntries(Object.entries(choice.indexes).map(([name, { bytes }]) => [name, bytes])),
    };
    for (const [name, bytes = 0] of Object.entries(said)) {
      const found = measured[name] ?? 0;
      // A BRIN index is three pages at this size; what it costs is that it does not grow.
      const isBrin = choice.indexes[name]?.method === "brin";
      if (isBrin ? found * rowsMade > 8 * 8192 : Math.abs(found - bytes) > bytes * tolerance)
        off.push(`${choice.name} ${name}: ${found.toFixed(2)} bytes a row, the page says ${bytes}`);
    }
  }
  assert.deepEqual(off, []);
});

test("DP-45 updates that are said to be HOT are HOT", async () => {
  await using database = await server.database();
  const { pool } = database;
  for (const [table, sample] of Object.entries(samples))
    if (Object.hasOwn(hotUpdates, table)) await pool.query(sample.replaceAll("$n", "2000"));
  const hot = tableChoices.filter(({ updates }) => updates === "hot").map(({ name }) => name);
  assert.deepEqual(Object.keys(hotUpdates).toSorted(), [...hot].toSorted(), "each of them is tried, and no other");
  const client = await pool.connect();
  try {
    for (let round = 1; round <= 40; round++)
      for (const update of Object.values(hotUpdates)) await client.query(update.replaceAll("$round", String(round)));
    await client.query("SELECT pg_stat_force_next_flush()").catch(() => undefined);
  } finally {
    client.release(true);
  }
  for (let attempt = 0; ; attempt++) {
    const { rows } = await pool.query<{ name: string; updates: number; hot: number }>(
      `SELECT schemaname || '.' || relname AS name, n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_all_tables WHERE schemaname || '.' || relname = ANY ($1) ORDER BY 1`,
      [hot],
    );
    const cold = rows.filter(({ updates, hot: beside }) => updates === 0 || beside < updates * hotShareMin);
    if (cold.length === 0 && rows.length === hot.length) break;
    // Statistics of a session that has ended come a moment later.
    if (attempt >= 50) assert.deepEqual(cold, []);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
