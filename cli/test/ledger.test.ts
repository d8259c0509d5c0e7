/** The ledger as it is read: what gateways counted beside the sum, over all their lives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "ransomeye-db";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { openPostgresAppender } from "ransomeye-pipeline";
import { readLedger } from "../src/queries/ledger.ts";
import { ledgerText } from "../src/queries/ledger_text.ts";
import { LedgerWatch } from "../src/roles/ledger_watch.ts";
import { LiveView, recountPauseMsMin } from "../src/supervisor/live_view.ts";
import { manualClock } from "./manual_clock.ts";

test("FM-13 R-19 batches that came once more are told by their code, added up over gateways and their lives, and no part of the sum", async (t) => {
  const server = await openTestServer();
  t.after(() => server.close());
  const database = await server.database();
  t.after(() => database.close());
  const gate = await openPostgresAppender({
    pool: database.rolePool("ransomeye_gate", 1),
    clock: systemClock,
    telemetry: recordingTelemetry(),
  });
  const lives = [
    ["gateway-1", "00000000-0000-4000-8000-000000000001", { duplicate_INGEST_DUPLICATE: 2, refused_INGEST_SESSION_REPLAYED: 1 }],
    ["gateway-1", "00000000-0000-4000-8000-000000000002", { duplicate_INGEST_DUPLICATE_RESTART: 1000, frames_duplicate: 1000 }],
    ["gateway-2", "00000000-0000-4000-8000-000000000003", { duplicate_INGEST_DUPLICATE: 3 }],
  ] as const;
  for (const [gateway, incarnation, counters] of lives) {
    const figures = { startedUs: 1, state: "open" as const, reason: "", sessions: 0, quarantined: [], ended: true };
    await gate.report({ gateway, incarnation, counters, ...figures });
  }
  const ledger = await readLedger(database.rolePool("ransomeye_reader", 1));
  assert.ok(ledger.balanced);
  assert.deepEqual(ledger.duplicates_by_code, { INGEST_DUPLICATE: 5, INGEST_DUPLICATE_RESTART: 1000 });
  assert.deepEqual([ledger.duplicates, ledger.refused], [1005, 1]);
  assert.deepEqual(ledger.refused_by_code, { INGEST_SESSION_REPLAYED: 1 });
  assert.match(
    ledgerText(ledger),
    /^batches sent once more, and not stored again: 1,005 \(INGEST_DUPLICATE 5, INGEST_DUPLICATE_RESTART 1,000\)$/m,
  );
});

test("DP-14 R-19 the running system recounts all rows now and then, and tells once of rows that are not what had been counted", async (t) => {
  const server = await openTestServer();
  t.after(() => server.close());
  const database = await server.database();
  t.after(() => database.close());
  const clock = manualClock();
  const told: number[] = [];
  let verdict: boolean | undefined;
  const view = new LiveView({
    clock,
    connection: () => database.roleConnection("ransomeye_reader"),
    registrySocket: () => "/nowhere",
    console: { say: () => undefined, roleLine: () => undefined, live: () => undefined, stopLive: () => undefined },
    json: false,
    stdout: process.stderr,
    onCounted: (balanced) => {
      verdict = balanced;
    },
    onSumsDiffer: (epochs) => told.push(epochs),
  });
  t.after(() => view.close());
  view.start();
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) {
      clock.advance(recountPauseMsMin);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(() => verdict === true);
  // Sums of rows that are not there, and that add up with a head: only the recount can know.
  const producer = "00000000-0000-4000-8000-000000000001";
  await database.pool.query(
    `INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash) VALUES ('${producer}', 1, 0, 0, '\\x01', 0, 0, '\\x');
     INSERT INTO bus.producer_head VALUES ('${producer}', 1, 2, '\\x', 0, 0, 0, '\\x', '\\x01', 2, 0);
     INSERT INTO data.sink_head VALUES ('${producer}', 1, 1, 2, '\\x', now());
     INSERT INTO ops.ledger_sum VALUES ('${producer}', 1, 2, 0, 0, 3, 0)`,
  );
  await until(() => verdict === false);
  assert.deepEqual(told, [1]);
  assert.equal(view.balanced, false);
  await database.pool.query("SELECT * FROM ops.ledger_rebuild(); UPDATE bus.producer_head SET seq = 0; UPDATE data.sink_head SET seq = 0");
  await until(() => verdict === true);
  assert.deepEqual(told, [1], "the same finding is told once");
});

test("DP-14 R-19 R-27 the keeper folds, shows the ledger as metrics, and alarms once for each finding", async (t) => {
  const server = await openTestServer();
  t.after(() => server.close());
  const database = await server.database();
  t.after(() => database.close());
  const { pool } = database;
  const producer = "00000000-0000-4000-8000-000000000001";
  const stored = (seq: number): Promise<unknown> =>
    pool.query(
      `INSERT INTO bus.frames SELECT 0, ${seq}, date_trunc('day', now()) + ${seq} * interval '1 second', '${producer}', 1, 1, ${seq}, 1, 2, 0, 1, 1, '\\x01', ${seq}, 0, 0, '\\x', '\\x', '\\x', '\\x', '\\x', '\\x', 'g', '\\x';
       UPDATE bus.partition_head SET off = ${seq}, received_us = (extract(epoch FROM date_trunc('day', now())) * 1000000)::bigint + ${seq} * 1000000 WHERE part = 0;
       INSERT INTO data.gaps SELECT received_at, producer_id, 1, first_seq, 1, 0, off, 'spool_full' FROM bus.frames WHERE off = ${seq};
       UPDATE bus.producer_head SET seq = ${seq}; UPDATE data.sink_head SET seq = ${seq};
       UPDATE bus.consumer_offset o SET off = p.off, entry_received_us = p.received_us FROM bus.partition_head p WHERE p.part = o.part`,
    );
  await pool.query(
    `INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash) VALUES ('${producer}', 1, 0, 0, '\\x01', 0, 0, '\\x');
     INSERT INTO bus.producer_head VALUES ('${producer}', 1, 0, '\\x', 0, 0, 0, '\\x', '\\x01', 0, 0);
     INSERT INTO data.sink_head VALUES ('${producer}', 1, 1, 0, '\\x', now());
     INSERT INTO bus.consumer_offset (grp, part, off, generation) SELECT 'engine', 0, 0, id FROM bus.generation`,
  );
  const telemetry = recordingTelemetry();
  const clock = manualClock();
  const watch = new LedgerWatch({ pool: database.rolePool("ransomeye_keeper", 2), clock, telemetry });
  const nextRound = async (): Promise<void> => {
    clock.advance(60_000);
    await watch.round();
  };
  const alarms = (): unknown[] => telemetry.events.filter(({ name }) => name === "ledger_unbalanced").map(({ fields }) => fields);
  const shown = (): unknown[] => [telemetry.gauges.get("ledger_imbalance"), telemetry.gauges.get("ledger_unbalanced_epochs")];
  for (const seq of [1, 2, 3]) await stored(seq);
  await watch.round();
  await watch.round();
  assert.deepEqual(
    telemetry.events.filter(({ name }) => name === "ledger_folded").map(({ fields }) => [fields["epochs"], fields["folded"]]),
    [[1, 3]],
    "a second round at once is too early",
  );
  assert.deepEqual([alarms(), shown()], [[], [0, 0]]);
  await stored(4);
  await tamper(pool, "data.gaps", "DELETE FROM data.gaps WHERE first_seq = 4");
  for (let round = 0; round < 3; round++) await nextRound();
  const lost = { imbalance: 1, misplaced_epochs: 1, unbalanced_epochs: 1 };
  assert.deepEqual([alarms(), shown()], [[lost], [1, 1]], "one finding, one alarm");
  await stored(5);
  await tamper(pool, "data.gaps", "DELETE FROM data.gaps WHERE first_seq = 5");
  await nextRound();
  assert.deepEqual(alarms(), [lost, { ...lost, imbalance: 2 }]);
  await tamper(
    pool,
    "data.gaps",
    "INSERT INTO data.gaps SELECT received_at, producer_id, epoch, first_seq, count, part, off, '' FROM bus.frames WHERE off > 3",
  );
  await pool.query("SELECT * FROM ops.ledger_rebuild()");
  await nextRound();
  assert.deepEqual([alarms().length, shown()], [2, [0, 0]]);
  const metrics = await telemetry.metricsText();
  assert.match(metrics, /^ransomeye_ledger_imbalances_total 2$/m);
  assert.match(metrics, /^ransomeye_ledger_imbalance 0$/m);
});

test("DP-14 R-19 the keeper asks the ledger after a fold, each ten seconds at most, and where that takes long for a fiftieth of the time", async () => {
  const clock = manualClock();
  let looks: number[] = [];
  let lookMs = 0;
  const answer = (sql: string): object => {
    if (sql.includes("ledger_fold")) return { epochs: 1, folded: 1_000_000 };
    looks.push(clock.monotonicMs());
    clock.advance(lookMs);
    return { balanced: true, imbalance: 0, misplaced_epochs: 0, unbalanced_epochs: 0 };
  };
  const pool = { query: (sql: string) => Promise.resolve({ rows: [answer(sql)] }) } as unknown as Pool;
  for (const [takesMs, pauseMs] of [
    [0, 10_000],
    [1_000, 50_000],
  ] as const) {
    [looks, lookMs] = [[], takesMs];
    const watch = new LedgerWatch({ pool, clock, telemetry: recordingTelemetry() });
    const from = clock.monotonicMs();
    for (let second = 0; second < 101; second += 1) {
      await watch.round();
      if (clock.monotonicMs() < from + (second + 1) * 1000) clock.advance(from + (second + 1) * 1000 - clock.monotonicMs());
    }
    assert.ok(looks.length > 2);
    for (const [n, at] of looks.entries()) if (n > 0) assert.ok(at - (looks[n - 1] ?? 0) >= pauseMs, String(looks));
  }
});
