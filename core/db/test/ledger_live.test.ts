/** The ledger of the sums: the same answer as the recount whatever happened before, at the price of what came last (DP-10 to DP-13). */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { sqlState } from "../src/errors.ts";
import { openClient } from "../src/pool.ts";
import { openTestServer, tamper } from "../src/testing.ts";
import { LedgerModel, type Line, partitions, producerId, producers } from "./ledger_model.ts";

const server = await openTestServer();
after(() => server.close());

async function withModel(work: (model: LedgerModel) => Promise<void>): Promise<void> {
  await using database = await server.database();
  await work(await LedgerModel.open(database));
}

const aPart = fc.nat({ max: partitions - 1 });
const aProducer = fc.nat({ max: producers - 1 });
const lines = fc.array(fc.constantFrom<Line>("row", "row", "row", "dead"), { maxLength: 4 });

/** One step of a history. */
const move: fc.Arbitrary<(model: LedgerModel) => Promise<void> | void> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .tuple(aProducer, lines, fc.integer({ min: 1, max: 1000 }), fc.constantFrom(0, 1, 1_000_000))
      .map(([producer, of, count, afterUs]) => named("append", (model) => model.append(producer, of, count, afterUs))),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(aPart, fc.integer({ min: 1, max: 4 }), fc.boolean())
      .map(([part, entries, dies]) => named("store", (model) => model.store(part, entries, dies))),
  },
  { weight: 5, arbitrary: fc.boolean().map((dies) => named("fold", (model) => model.fold(dies))) },
  {
    weight: 2,
    arbitrary: fc.tuple(aProducer, aPart).map(([producer, part]) => named("epoch", (model) => model.openEpoch(producer, part))),
  },
  { weight: 1, arbitrary: aPart.map((part) => named("takeover", (model) => model.takeOver(part))) },
  { weight: 1, arbitrary: aPart.map((part) => named("rewind", (model) => model.rewind(part))) },
  { weight: 2, arbitrary: fc.constant(named("next day", (model) => model.nextDay())) },
  {
    weight: 2,
    arbitrary: fc.nat({ max: 2 }).map((day) =>
      named("drop", async (model) => {
        await model.storeAll();
        for (let earlier = 0; earlier <= day; earlier++) await model.drop(earlier);
      }),
    ),
  },
  { weight: 1, arbitrary: fc.constant(named("rebuild", (model) => model.rebuild())) },
);

/** So that a history that fails can be read. */
function named<T extends (model: LedgerModel) => Promise<void> | void>(name: string, step: T): T {
  return Object.assign(step, { toString: () => name });
}

test("DP-10 R-19 in random histories the sums and what lies behind their marks are what a recount finds, after every step", async () => {
  let dropped = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 40, size: "max" }), (moves) =>
      withModel(async (model) => {
        for (const step of moves) {
          await step(model);
          await model.check();
        }
        dropped += model.dropped;
      }),
    ),
    { numRuns: 15, endOnFailure: true, includeErrorInReport: true },
  );
  assert.ok(dropped > 0, "no history lost a day");
});

/** Some of everything, folded; then some that is not. */
async function lived(model: LedgerModel): Promise<void> {
  for (let n = 0; n < producers; n++) {
    await model.append(n, ["row", "dead", "row"], 0, 1000);
    await model.append(n, [], 5, 1000);
  }
  await model.storeAll();
  await model.fold(false);
  for (let n = 0; n < producers; n++) await model.append(n, ["row", "row"], 0, 1000);
  await model.store(0, 1, false);
  await model.store(1, 9, false);
  await model.check();
}

const marks = "SELECT part, off FROM ops.ledger_mark ORDER BY part";

test("DP-11 R-19 two keepers cannot fold the same: the second waits, and finds the marks moved", () =>
  withModel(async (model) => {
    await lived(model);
    const holder = await model.keeper.connect();
    try {
      await holder.query("BEGIN");
      const first = await holder.query<{ folded: number }>("SELECT folded FROM ops.ledger_fold()");
      assert.equal(first.rows[0]?.folded, 4);
      const second = model.keeper.query<{ epochs: number; folded: number }>("SELECT epochs, folded FROM ops.ledger_fold()");
      const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
      while ((await model.pool.query<{ n: number }>(waiting)).rows[0]?.n !== 1) await new Promise((resolve) => setTimeout(resolve, 10));
      await model.check();
      await holder.query("COMMIT");
      assert.deepEqual((await second).rows, [{ epochs: 0, folded: 0 }]);
    } finally {
      holder.release();
    }
    await model.check();
  }));

test("DP-11 R-19 a fold whose caller looks at an older moment changes nothing", () =>
  withModel(async (model) => {
    await lived(model);
    const late = await model.keeper.connect();
    try {
      await late.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT stored FROM views.ledger_live");
      await model.fold(false);
      const refused = await late.query("SELECT * FROM ops.ledger_fold()").then(
        () => undefined,
        (error: unknown) => sqlState(error),
      );
      assert.equal(refused, "40001");
    } finally {
      await late.query("ROLLBACK");
      late.release();
    }
    await model.check();
  }));

test("DP-11 X-6 a keeper that is killed in a fold has changed nothing, and its lock is free", () =>
  withModel(async (model) => {
    await lived(model);
    const before = (await model.pool.query(marks)).rows;
    const doomed = await openClient(model.connection, "doomed keeper");
    doomed.on("error", () => undefined);
    await doomed.query("BEGIN");
    const { rows } = await doomed.query<{ pid: number; folded: number }>("SELECT pg_backend_pid() AS pid, folded FROM ops.ledger_fold()");
    assert.equal(rows[0]?.folded, 4);
    await model.pool.query("SELECT pg_terminate_backend($1, 5000)", [rows[0]?.pid]);
    await doomed.end().catch(() => undefined);
    assert.deepEqual((await model.pool.query(marks)).rows, before);
    await model.check();
    await model.fold(false);
    await model.check();
  }));

test("DP-10 R-2 R-19 rows beyond a place that an operator has moved back are counted by each question, and folded once", () =>
  withModel(async (model) => {
    await model.append(1, ["row", "row"], 0, 1000);
    await model.append(1, ["row"], 0, 1000);
    await model.storeAll();
    await model.rewind(1);
    await model.fold(false);
    await model.check();
    await model.store(1, 1, false);
    await model.fold(false);
    await model.check();
    await model.store(1, 1, false);
    for (let again = 0; again < 2; again++) {
      await model.fold(false);
      await model.check();
    }
    assert.deepEqual((await model.pool.query("SELECT off, fence FROM ops.ledger_mark WHERE part = 1")).rows, [{ off: 2, fence: 2 }]);
  }));

test("DP-10 R-19 a log that is made anew and gives offsets again is counted by the time of its entries", () =>
  withModel(async (model) => {
    await lived(model);
    await model.storeAll();
    await model.fold(false);
    // What a server had lost comes again at places that rows have already, later; the engine has been rewound to before them.
    const { rows } = await model.pool.query<{ off: number; us: number; mark: number }>(
      `SELECT o.off - 2 AS off, o.entry_received_us + 1000 AS us, o.off AS mark FROM bus.consumer_offset o WHERE part = 1`,
    );
    const { off = 0, us = 0, mark = 0 } = rows[0] ?? {};
    assert.ok(off > 0 && off < mark);
    const time = `(timestamptz '1970-01-01 00:00:00+00' + ${us} * interval '1 microsecond')`;
    const id = producerId(1);
    await model.pool.query(
      `BEGIN;
       INSERT INTO bus.frames SELECT part, ${off}, ${time}, producer_id, producer_kind, epoch, first_seq + 2, 1, kind, codec, schema_version, mapping_version, key_id, offered,
         prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body FROM bus.frames WHERE part = 1 ORDER BY off DESC LIMIT 1;
       UPDATE bus.partition_head SET off = ${off}, received_us = ${us} WHERE part = 1;
       UPDATE bus.producer_head SET seq = seq + 1 WHERE producer_id = '${id}';
       UPDATE data.sink_head SET seq = seq + 1 WHERE producer_id = '${id}';
       INSERT INTO data.gaps SELECT ${time}, producer_id, epoch, seq, 1, 1, ${off}, 'server_lost' FROM data.sink_head WHERE producer_id = '${id}';
       UPDATE bus.consumer_offset SET off = ${off}, entry_received_us = ${us}, fence = fence + 1 WHERE part = 1;
       COMMIT`,
    );
    for (const fold of [false, true]) {
      if (fold) await model.fold(false);
      assert.deepEqual(await model.differences(), []);
      const { imbalance, misplaced_epochs: misplaced } = await model.live();
      assert.deepEqual({ imbalance, misplaced }, { imbalance: 0, misplaced: 0 });
    }
    assert.deepEqual((await model.pool.query("SELECT off FROM ops.ledger_mark WHERE part = 1")).rows, [{ off }]);
  }));

test("DP-12 R-19 what is done to rows behind the marks is in the recount and not in the sums, and the audit names whose; what is done since is in both", () =>
  withModel(async (model) => {
    await lived(model);
    const balanced = { imbalance: 0, misplaced: 0 };
    const after = async (table: string, sql: string): Promise<{ live: object; recount: object; named: unknown[] }> => {
      const client = await model.pool.connect();
      try {
        await client.query("BEGIN");
        await tamper(client, table, sql);
        const told = "imbalance, misplaced_epochs AS misplaced";
        const { rows: live } = await client.query<object>(`SELECT ${told} FROM views.ledger_live`);
        const { rows: recount } = await client.query<object>(`SELECT ${told} FROM views.ledger`);
        const { rows } = await client.query<{ producer_id: string }>(
          "SELECT producer_id FROM views.ledger_audit WHERE sums_differ ORDER BY 1",
        );
        return { live: live[0] ?? {}, recount: recount[0] ?? {}, named: rows.map(({ producer_id: id }) => id) };
      } finally {
        await client.query("ROLLBACK");
        client.release();
      }
    };
    const one = { imbalance: 1, misplaced: 1 };
    const folded = "WHERE seq = 1";
    assert.deepEqual(await after("data.events_dpi", `DELETE FROM data.events_dpi ${folded} AND producer_id = '${producerId(0)}'`), {
      live: balanced,
      recount: one,
      named: [producerId(0)],
    });
    assert.deepEqual(await after("data.events_agent", `INSERT INTO data.events_agent SELECT * FROM data.events_agent ${folded}`), {
      live: balanced,
      recount: one,
      named: [producerId(1)],
    });
    // Gone from the rows and from every head: the recount balances, and the sums remember.
    const all = `WHERE producer_id = '${producerId(2)}'`;
    const client = await model.pool.connect();
    try {
      await client.query("BEGIN");
      for (const table of ["data.events_honeypot", "data.event_dead_letters", "data.gaps"])
        await tamper(client, table, `DELETE FROM ${table} ${all}`);
      await client.query(`UPDATE data.sink_head SET seq = 0 ${all}; UPDATE bus.producer_head SET seq = 0 ${all}`);
      const { rows } = await client.query("SELECT l.imbalance, s.imbalance AS summed FROM views.ledger l, views.ledger_live s");
      assert.deepEqual(rows, [{ imbalance: 0, summed: 8 }]);
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
    // Behind the marks nothing is in the sums yet.
    assert.deepEqual(await after("data.events_agent", "DELETE FROM data.events_agent WHERE seq = 9"), {
      live: one,
      recount: one,
      named: [],
    });
    // And somebody who changes the sums is found as well.
    const changed = await after("data.gaps", `UPDATE ops.ledger_sum SET stored = stored + 1 WHERE producer_id = '${producerId(3)}'`);
    assert.deepEqual(changed, { live: { imbalance: 1, misplaced: 0 }, recount: balanced, named: [producerId(3)] });
    await model.pool.query("UPDATE ops.ledger_sum SET stored = stored + 1");
    await model.rebuild();
    await model.check();
  }));

test("DP-13 R-19 an idle partition, and one that has stopped, cost a question nothing; the others are read from the first entry behind their mark", () =>
  withModel(async (model) => {
    await lived(model);
    await model.storeAll();
    await model.fold(false);
    const behind = async (): Promise<number[]> =>
      (await model.pool.query<{ part: number }>("SELECT part FROM ops.ledger_place WHERE behind ORDER BY part")).rows.map(
        ({ part }) => part,
      );
    assert.deepEqual(await behind(), []);
    await model.append(1, ["row"], 0, 1000);
    assert.deepEqual(await behind(), [], "entries wait, and none of them is a row");
    await model.store(1, 1, false);
    assert.deepEqual(await behind(), [1]);
    await model.takeOver(0);
    assert.deepEqual(await behind(), [1], "the log ends at the mark, whoever reads it");
    await model.check();
  }));

test("DP-13 R-19 a question reads what came since the last fold, not what is stored", () =>
  withModel(async (model) => {
    await model.append(1, [], 100_000, 1000);
    const { pool } = model;
    // Rows in place of the gap: a day's worth.
    await model.store(1, 1, false);
    await tamper(pool, "data.gaps", "DELETE FROM data.gaps");
    await pool.query(
      `INSERT INTO data.events_agent (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
       SELECT f.received_at, f.received_at, f.producer_id, f.epoch, n, f.part, f.off, n, 0, 0, 1007, 1, 1, 0, 1, 1, 1 FROM bus.frames f, generate_series(1, 100000) n`,
    );
    await model.fold(false);
    await model.append(1, ["row", "row"], 0, 1_000_000);
    await model.store(1, 1, false);
    await pool.query("VACUUM ANALYZE data.events_agent");
    const blocks = async (view: string): Promise<number> => {
      const { rows } = await pool.query<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM views.${view}`,
      );
      const plan = rows[0]?.["QUERY PLAN"][0]?.Plan ?? {};
      return (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
    };
    const [live, recount] = [await blocks("ledger_live"), await blocks("ledger")];
    assert.ok(live * 5 < recount, `${live} blocks for the ledger of the sums, ${recount} for the recount`);
    assert.deepEqual(await model.differences(), []);
  }));

test("DP-10 R-19 the levels add up to each other, and transmissions are read beside them", () =>
  withModel(async (model) => {
    await lived(model);
    const { reader } = model;
    const sums =
      "sum(stored)::bigint AS stored, sum(bus_head)::bigint AS bus_head, sum(in_flight)::bigint AS in_flight, sum(tail)::bigint AS tail";
    const whole = (await reader.query("SELECT stored, bus_head, in_flight, tail FROM views.ledger_live")).rows;
    assert.deepEqual(whole, [{ stored: 12, bus_head: 40, in_flight: 4, tail: 4 }]);
    for (const level of ["ledger_live_kind", "ledger_live_producer"])
      assert.deepEqual((await reader.query(`SELECT ${sums} FROM views.${level}`)).rows, whole, level);
    const kinds = "SELECT kind, producers, stored, dead_lettered, gap_declared, in_flight, imbalance FROM";
    const byKind = (await reader.query(`${kinds} views.ledger_live_kind ORDER BY kind`)).rows;
    assert.deepEqual(byKind, [
      { kind: "dpi", producers: 2, stored: 6, dead_lettered: 2, gap_declared: 10, in_flight: 2, imbalance: 0 },
      { kind: "honeypot", producers: 1, stored: 2, dead_lettered: 1, gap_declared: 5, in_flight: 2, imbalance: 0 },
      { kind: "linux", producers: 1, stored: 4, dead_lettered: 1, gap_declared: 5, in_flight: 0, imbalance: 0 },
    ]);
    assert.deepEqual((await reader.query(`${kinds} views.ledger_kind ORDER BY kind`)).rows, byKind);
    await model.pool.query(
      `INSERT INTO bus.gate_incarnation (gateway, incarnation, started_us, updated_us, ended) SELECT 'g', id, 1, 1, true FROM (VALUES ('${producerId(8)}'::uuid), ('${producerId(9)}')) n (id);
       INSERT INTO bus.gate_counters SELECT 'g', incarnation, name, 2 FROM bus.gate_incarnation, (VALUES ('refused_INGEST_X'), ('duplicate_INGEST_Y'), ('frames')) c (name)`,
    );
    assert.deepEqual((await reader.query("SELECT refused, duplicates FROM views.ledger_live")).rows, [{ refused: 4, duplicates: 4 }]);
    assert.deepEqual((await reader.query("SELECT * FROM views.transmission_sums WHERE name = 'refused_INGEST_X'")).rows, [
      { gateway: "g", name: "refused_INGEST_X", value: 4 },
    ]);
  }));
