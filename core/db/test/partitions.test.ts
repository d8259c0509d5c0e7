/** Days: made ahead, UTC in every zone, bounded waits. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Clock, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { ownershipMatrix } from "../ownership/matrix.ts";
import { DbError } from "../src/errors.ts";
import { ensurePartitions, utcDay } from "../src/partitions.ts";
import { openClient, type Pool } from "../src/pool.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());
const telemetry = recordingTelemetry();
const dayUs = 86_400_000_000;
const dayTables = ownershipMatrix.filter((row) => row.kind === "table" && row.byDay).length;

/** Wall time is given; waits are real. */
function clockAt(iso: string): Clock {
  const us = Date.parse(iso) * 1000;
  return {
    ...systemClock,
    nowUs: () => us,
    monotonicMs: () => systemClock.monotonicMs(),
    setTimer: (ms, fire) => systemClock.setTimer(ms, fire),
  };
}

async function daysOf(pool: Pool, table: string): Promise<string[]> {
  const { rows } = await pool.query<{ day: string }>("SELECT day FROM ops.day_sizes() WHERE table_name = $1 AND attached ORDER BY day", [
    table,
  ]);
  return rows.map((row) => row.day);
}

test("R-16 yesterday to today + 8 exist after preparation, for every table by day, and a second call makes nothing", async () => {
  await using database = await server.database();
  const now = systemClock.nowUs();
  const wanted = Array.from({ length: 10 }, (_, n) => utcDay(now, n - 1));
  for (const table of [
    "bus.frames",
    "data.events_dpi",
    "data.events_agent",
    "data.events_honeypot",
    "data.event_dead_letters",
    "data.gaps",
  ]) {
    assert.deepEqual(await daysOf(database.pool, table), wanted, table);
  }
  assert.equal(await ensurePartitions({ pool: database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry }), 0);
});

test("a day's tables are vacuumed and counted when they have doubled, and not each time that a fifth was added", async () => {
  await using database = await server.database();
  const { rows } = await database.pool.query<{ name: string; options: string[] | null; toast: string[] | null }>(
    `SELECT c.relname AS name, c.reloptions AS options, t.reloptions AS toast FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.relkind = 'r' ORDER BY 1`,
  );
  assert.ok(rows.some(({ toast }) => toast !== null));
  for (const { name, options, toast } of rows) {
    assert.deepEqual(options, ["autovacuum_vacuum_insert_scale_factor=1", "autovacuum_analyze_scale_factor=1"], name);
    if (toast !== null) assert.deepEqual(toast, ["autovacuum_vacuum_insert_scale_factor=1"], name);
  }
});

test("R-29 bounds are UTC in every session time zone, across leap days, year ends and changes of daylight saving", async () => {
  await using database = await server.database();
  const places: [string, string][] = [
    ["Pacific/Kiritimati", "2028-02-28T12:00:00Z"],
    ["Pacific/Pago_Pago", "2027-12-31T23:59:59Z"],
    ["America/New_York", "2027-03-14T06:59:59Z"],
    ["Europe/Berlin", "2027-10-31T00:30:00Z"],
  ];
  for (const [zone, iso] of places) {
    const client = await openClient(database.connection, "zone");
    try {
      await client.query(`SET TimeZone = '${zone}'`);
      assert.ok((await ensurePartitions({ pool: client, clock: clockAt(iso), telemetry, daysBehind: 0, daysAhead: 2 })) > 0);
    } finally {
      await client.end();
    }
    for (const table of ["data.gaps", "bus.frames"]) {
      for (let n = 0; n < 3; n++) {
        const day = utcDay(Date.parse(iso) * 1000, n);
        const { rows } = await database.pool.query<{ bounds: string }>(
          "SELECT pg_get_expr(relpartbound, oid) AS bounds FROM pg_class WHERE oid = $1::regclass",
          [`${table}_${day.replaceAll("-", "_")}`],
        );
        assert.equal(
          rows[0]?.bounds,
          `FOR VALUES FROM ('${day} 00:00:00+00') TO ('${utcDay(Date.parse(day) * 1000 + dayUs)} 00:00:00+00')`,
        );
      }
    }
  }
});

test("R-18 partitions keep the frame's body out of line and plain, and bring their indexes", async () => {
  await using database = await server.database();
  const name = `bus.frames_${utcDay(systemClock.nowUs()).replaceAll("-", "_")}`;
  const { rows } = await database.pool.query(
    `SELECT (SELECT attstorage FROM pg_attribute WHERE attrelid = $1::regclass AND attname = 'body') AS storage,
            (SELECT count(*) FROM pg_index WHERE indrelid = $1::regclass) AS indexes,
            (SELECT count(*) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c') AS checks, pg_get_userbyid(relowner) AS owner
     FROM pg_class WHERE oid = $1::regclass`,
    [name],
  );
  assert.deepEqual(rows, [{ storage: "e", indexes: 2, checks: 0, owner: "ransomeye_bus_owner" }]);
});

test("partitions are made while a writer writes, and neither waits for the other", async () => {
  await using database = await server.database();
  const writer = await openClient(database.connection, "writer");
  try {
    await writer.query(
      `BEGIN; INSERT INTO data.gaps (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, reason) VALUES (now(), gen_random_uuid(), 1, 1, 1, 0, 1, 'x')`,
    );
    const made = await ensurePartitions({
      pool: database.rolePool("ransomeye_engine"),
      clock: systemClock,
      telemetry,
      daysBehind: 0,
      daysAhead: 12,
    });
    assert.equal(made, 4 * dayTables);
    await writer.query("COMMIT");
  } finally {
    await writer.end();
  }
});

test("callers at the same time make each day once", async () => {
  await using database = await server.database();
  const pool = database.rolePool("ransomeye_keeper", 8);
  const made = await Promise.all(
    Array.from({ length: 8 }, () => pool.query<{ made: number }>("SELECT ops.ensure_partitions('2030-01-01', 3) AS made")),
  );
  assert.equal(
    made.reduce((sum, result) => sum + (result.rows[0]?.made ?? 0), 0),
    3 * dayTables,
  );
});

test("a table that somebody holds ends the wait, is tried again, and is reported in the end", { timeout: 60_000 }, async () => {
  await using database = await server.database();
  const holder = await openClient(database.connection, "holder");
  try {
    await holder.query("BEGIN; LOCK TABLE data.gaps IN ACCESS EXCLUSIVE MODE");
    const events = recordingTelemetry();
    const keeper = database.rolePool("ransomeye_keeper");
    const waiting = ensurePartitions({ pool: keeper, clock: systemClock, telemetry: events, daysAhead: 9 });
    while (!events.events.some((event) => event.name === "db_partition_retried")) await new Promise((resolve) => setTimeout(resolve, 50));
    await holder.query("ROLLBACK");
    assert.equal(await waiting, dayTables);
    await holder.query("BEGIN; LOCK TABLE data.gaps IN ACCESS EXCLUSIVE MODE");
    const impatient: Clock = { ...clockAt(new Date().toISOString()), setTimer: (_ms, fire) => systemClock.setTimer(0, fire) };
    await assert.rejects(
      ensurePartitions({ pool: keeper, clock: impatient, telemetry: events, daysAhead: 10, attemptsMax: 2 }),
      (error) => error instanceof DbError && error.code === "DB_PARTITION_LOCKED",
    );
  } finally {
    await holder.end();
  }
});

test("R-16 an interrupted DETACH CONCURRENTLY is finished at start, and the day can be attached again", async () => {
  await using database = await server.database();
  const day = "2030-05-05";
  await database.pool.query("SELECT ops.ensure_partitions($1::date, 1)", [day]);
  const [holder, detacher] = await Promise.all([openClient(database.connection, "holder"), openClient(database.connection, "detacher")]);
  try {
    // A transaction that has looked at the table keeps the second phase waiting; there the detacher is interrupted.
    await holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM data.gaps");
    const { rows } = await detacher.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const detaching = detacher
      .query("ALTER TABLE data.gaps DETACH PARTITION data.gaps_2030_05_05 CONCURRENTLY")
      .catch((error: unknown) => error);
    const pending = "SELECT count(*)::int AS n FROM pg_inherits WHERE inhdetachpending";
    while ((await database.pool.query<{ n: number }>(pending)).rows[0]?.n !== 1) await new Promise((resolve) => setTimeout(resolve, 20));
    await database.pool.query("SELECT pg_cancel_backend($1)", [rows[0]?.pid]);
    assert.ok((await detaching) instanceof Error);
    await holder.query("COMMIT");
    const keeper = database.rolePool("ransomeye_keeper");
    assert.deepEqual((await keeper.query("SELECT ops.finish_detaches() AS done")).rows, [{ done: 1 }]);
    assert.equal((await database.pool.query<{ n: number }>(pending)).rows[0]?.n, 0);
    assert.deepEqual((await keeper.query("SELECT ops.ensure_partitions($1::date, 1) AS made", [day])).rows, [{ made: 1 }]);
  } finally {
    await Promise.all([holder.end(), detacher.end()]);
  }
});
