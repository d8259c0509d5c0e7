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
  assert.equal(made.rows[0]?.n, 5, "the day that stood aside is attached again, and gets what later releases have for each day");
  const upkeep = await pool.query(
    "SELECT bool_and(reloptions @> '{autovacuum_analyze_scale_factor=1}') AS same FROM pg_class WHERE relname ~ '_2026_01_0[12]$'",
  );
  assert.equal(upkeep.rows[0]?.same, true, "days of earlier versions are kept like new ones, also one that stood aside");
});

test("DP-10 0023: rows and counts of expired days of the release before are in the ledger of the sums, before and after the first fold", async () => {
  await using database = await server.database({ empty: true });
  const { connection, pool } = database;
  const before = await temporaryDirectory();
  for (const name of (await readdir(migrationsDirectory)).filter((one) => one < "0023"))
    await copyFile(join(migrationsDirectory, name), join(before, name));
  const options = { connection, clock: systemClock, telemetry: recordingTelemetry() };
  await migrate({ ...options, directory: before });
  const producer = "00000000-0000-4000-8000-000000000001";
  await pool.query(
    `SELECT ops.ensure_partitions(date '2026-01-01', 1);
     INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash) VALUES ('${producer}', 1, 0, 0, '\\x01', 0, 0, '\\x');
     INSERT INTO bus.producer_head VALUES ('${producer}', 1, 7, '\\x', 0, 0, 0, '\\x', '\\x01', 7, 0);
     INSERT INTO data.sink_head VALUES ('${producer}', 1, 1, 7, '\\x', now());
     INSERT INTO ops.expired VALUES ('${producer}', 1, 3, 1, 1, 15);
     INSERT INTO bus.frames SELECT 0, 9, '2026-01-01 12:00+00', '${producer}', 1, 1, 6, 2, 2, 0, 1, 1, '\\x01', 7, 0, 0, '\\x', '\\x', '\\x', '\\x', '\\x', '\\x', 'g', '\\x';
     INSERT INTO data.gaps VALUES ('2026-01-01 12:00+00', '${producer}', 1, 6, 2, 0, 9, 'spool_full');
     UPDATE bus.partition_head SET off = 9, received_us = 1767268800000000 WHERE part = 0;
     INSERT INTO bus.consumer_offset (grp, part, off, generation, entry_received_us) SELECT 'engine', 0, 9, id, 1767268800000000 FROM bus.generation`,
  );
  assert.ok((await migrate(options)).includes(23));
  const found = { stored: 3, dead_lettered: 1, gap_declared: 3, expired: 5, imbalance: 0, misplaced_epochs: 0 };
  for (const tail of [2, 0]) {
    const live = await pool.query(
      "SELECT stored, dead_lettered, gap_declared, expired, imbalance, misplaced_epochs, tail FROM views.ledger_live",
    );
    assert.deepEqual(live.rows, [{ ...found, tail }]);
    assert.deepEqual((await pool.query("SELECT * FROM views.ledger_audit WHERE sums_differ")).rows, []);
    await pool.query("SELECT * FROM ops.ledger_fold()");
  }
});
