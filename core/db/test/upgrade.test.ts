/** What a migration does to a database that has worked with the release before: rows stay, days that stood aside fit again. */
import assert from "node:assert/strict";
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { migrate, migrationsDirectory } from "../src/migrate.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());

test("FM-13 0009: entries of the release before keep their gate and have no incarnation; a detached day can be attached again", async () => {
  await using database = await server.database({ empty: true });
  const { connection, pool } = database;
  const before = await temporaryDirectory();
  for (const name of (await readdir(migrationsDirectory)).filter((one) => one < "0009"))
    await copyFile(join(migrationsDirectory, name), join(before, name));
  const options = { connection, clock: systemClock, telemetry: recordingTelemetry() };
  await migrate({ ...options, directory: before });
  await pool.query("SELECT ops.ensure_partitions(date '2026-01-01', 2)");
  const hash = Buffer.alloc(32, 1);
  await pool.query(
    `INSERT INTO bus.frames VALUES (0, 1, '2026-01-01 12:00+00', '00000000-0000-4000-8000-000000000001', 2, 1, 1, 1, 1, 0, 1, 1, $1, 1, 0, 0, $1, $1, $1,
       $1, $1, $1, 'gateway-1', $1)`,
    [hash],
  );
  await pool.query("ALTER TABLE bus.frames DETACH PARTITION bus.frames_2026_01_02");
  assert.ok((await migrate(options)).includes(9));
  const known = await pool.query("SELECT * FROM bus.known_frame('00000000-0000-4000-8000-000000000001', 1, 1, $1)", [hash]);
  assert.deepEqual({ ...known.rows[0] }, { place: "same", gateway: "gateway-1", incarnation: null });
  const made = await pool.query("SELECT ops.ensure_partitions(date '2026-01-01', 2) AS n");
  assert.equal(made.rows[0]?.n, 1, "the day that stood aside is attached again");
  const upkeep = await pool.query(
    "SELECT bool_and(reloptions @> '{autovacuum_analyze_scale_factor=1}') AS same FROM pg_class WHERE relname ~ '_2026_01_0[12]$'",
  );
  assert.equal(upkeep.rows[0]?.same, true, "days of earlier versions are kept like new ones, also one that stood aside");
});
