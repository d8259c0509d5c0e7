/** Days go in steps: counted, detached, dropped; the ledger balances at each, whatever is interrupted, and a legal hold keeps them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Clock, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { ensurePartitions, makeMissingDays, utcDay } from "../src/partitions.ts";
import { openClient, type Pool } from "../src/pool.ts";
import { detachDay, expireDay, finishRemoval, type RetentionOptions } from "../src/retention.ts";
import { openTestServer, removeCounted, signAway, tamper, type TestDatabase } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());
const telemetry = recordingTelemetry();
const producer = "00000000-0000-4000-8000-000000000001";
const other = "00000000-0000-4000-8000-000000000002";
const dayOf = (back: number): string => utcDay(systemClock.nowUs(), -back);

/** A day each for two events of one producer and one of another, from `days` back to today; everything is read. */
async function world(
  days: number,
): Promise<
  AsyncDisposable & { readonly database: TestDatabase; readonly pool: Pool; readonly keeper: RetentionOptions; readonly reader: Pool }
> {
  const database = await server.database();
  const { pool } = database;
  await pool.query("SELECT ops.ensure_partitions($1::date, $2)", [dayOf(days), days + 1]);
  let off = 0;
  for (let back = days; back >= 0; back--)
    for (const [who, seq] of [
      [producer, 2 * (days - back) + 1],
      [producer, 2 * (days - back) + 2],
      [other, days - back + 1],
    ] as const) {
      off += 1;
      await pool.query(
        `INSERT INTO bus.frames VALUES (0, ${off}, '${dayOf(back)} 12:00:00+00', '${who}', 1, 1, ${seq}, 1, 1, 0, 1, 1, '\\x01', ${seq}, 0, 0, '\\x', '\\x', '\\x${hex(off)}', '\\x', '\\x', '\\x', 'g', '\\x');
         INSERT INTO data.events_dpi (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
           VALUES ('${dayOf(back)} 12:00:00+00', now(), '${who}', 1, ${seq}, 0, ${off}, 0, 0, 0, 1007, 1, 1, 0, 1, 1, 1)`,
      );
    }
  const lastUs = Date.parse(`${dayOf(0)}T12:00:00Z`) * 1000;
  await pool.query(`UPDATE bus.partition_head SET off = ${off}, received_us = ${lastUs} WHERE part = 0;
    INSERT INTO bus.consumer_offset (grp, part, off, generation, entry_received_us) SELECT 'engine', 0, ${off}, id, ${lastUs} FROM bus.generation`);
  for (const [who, seq] of [
    [producer, 2 * days + 2],
    [other, days + 1],
  ] as const)
    await pool.query(
      `INSERT INTO bus.producer_head VALUES ('${who}', 1, ${seq}, '\\x', 0, 0, 0, '\\x', '\\x01', ${seq}, 0);
       INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash) VALUES ('${who}', 1, 0, 0, '\\x01', 0, 0, '\\x');
       INSERT INTO data.sink_head VALUES ('${who}', 1, 1, ${seq}, '\\x', now())`,
    );
  const keeper = { pool: database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry };
  return { database, pool, keeper, reader: database.rolePool("ransomeye_reader"), [Symbol.asyncDispose]: () => database.close() };
}

const hex = (n: number): string => n.toString(16).padStart(2, "0");

async function daysLeft(pool: Pool, table = "bus.frames"): Promise<string[]> {
  const { rows } = await pool.query<{ day: string }>(
    "SELECT day FROM ops.day_sizes() WHERE table_name = $1 AND day <= $2::date ORDER BY day",
    [table, dayOf(0)],
  );
  return rows.map(({ day }) => day);
}

interface Books {
  readonly bus_head: number;
  readonly stored: number;
  readonly expired: number;
  readonly imbalance: number;
  readonly misplaced_epochs: number;
}

/** The recount and the ledger of the sums, which must say the same. */
async function books(reader: Pool): Promise<Books> {
  const columns = "bus_head, stored, expired, imbalance, misplaced_epochs";
  const [recount, live, differ] = [
    await reader.query<Books>(`SELECT ${columns} FROM views.ledger`),
    await reader.query<Books>(`SELECT ${columns} FROM views.ledger_live`),
    await reader.query("SELECT FROM views.ledger_audit WHERE sums_differ"),
  ];
  assert.deepEqual([live.rows[0], differ.rows], [recount.rows[0], []]);
  return recount.rows[0] as Books;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const pending = async (pool: Pool): Promise<boolean> =>
  (await pool.query("SELECT FROM pg_inherits WHERE inhdetachpending")).rows.length > 0;

test("DP-30 R-33 R-20 DP-5 a day goes only when it is over, every group has read past it and the sealer has signed it away; the ledger balances at each step", async () => {
  await using at = await world(2);
  const { pool, keeper, reader, database } = at;
  const day = dayOf(2);
  const whole = { bus_head: 9, stored: 9, expired: 0, imbalance: 0, misplaced_epochs: 0 };
  assert.deepEqual(await books(reader), whole);
  assert.deepEqual(await expireDay(keeper, dayOf(0), "age"), { kind: "unread" }, "today stays");
  await pool.query("UPDATE bus.consumer_offset SET off = 2");
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "unread" }, "the group has read two of three entries");
  assert.deepEqual((await pool.query("SELECT FROM evidence.expiry_wish")).rows, [], "nobody is asked to sign away what does not go");
  await pool.query("UPDATE bus.consumer_offset SET off = 9");
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "unsigned", waitsTooLong: false });
  const later: Clock = {
    ...systemClock,
    nowUs: () => systemClock.nowUs() + 7_200_000_000,
    setTimer: (ms, fire) => systemClock.setTimer(ms, fire),
  };
  assert.deepEqual(await expireDay({ ...keeper, clock: later }, day, "age"), { kind: "unsigned", waitsTooLong: true });
  const verdict = async (): Promise<unknown> =>
    (await keeper.pool.query("SELECT verdict FROM ops.expire_day($1::date, 'age')", [day])).rows[0];
  assert.deepEqual(await verdict(), { verdict: "unsigned" }, "nor without asking");
  await signAway(pool, day);
  await signAway(pool, dayOf(1));
  const rows = async (): Promise<number> => (await reader.query("SELECT FROM views.events")).rows.length;

  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" });
  assert.equal(await rows(), 9, "counted, and still there");
  assert.deepEqual(await books(reader), { ...whole, expired: 3 });
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "removing" });
  assert.deepEqual(await expireDay(keeper, dayOf(1), "age"), { kind: "removing" }, "one at a time");
  await keeper.pool.query("SELECT * FROM ops.ledger_fold()");
  assert.deepEqual(await books(reader), { ...whole, expired: 3 });
  const tables = await pool.query<{ tables: number }>("SELECT count(*)::int AS tables FROM ops.day_table");
  assert.equal((await finishRemoval(keeper))?.tablesLeft, tables.rows[0]?.tables, "what is attached is not dropped");

  assert.equal(await detachDay(database.connection), "detached");
  assert.equal(await rows(), 6);
  assert.deepEqual(await books(reader), { ...whole, expired: 3 });
  assert.equal(await ensurePartitions({ ...keeper, daysBehind: 2 }), 0, "nobody attaches it again");
  const removal = await finishRemoval(keeper);
  assert.deepEqual([removal?.day, removal?.tablesLeft, (removal?.bytes ?? 0) > 0], [day, 0, true]);
  assert.deepEqual(await books(reader), { ...whole, expired: 3 });
  assert.equal(await finishRemoval(keeper), undefined);
  assert.equal(await detachDay(database.connection), "nothing");
  assert.deepEqual(await daysLeft(pool), [dayOf(1), dayOf(0)]);
  assert.deepEqual(
    telemetry.events.filter(({ name }) => name === "db_day_dropped").map(({ fields }) => fields?.["day"]),
    [day],
  );
  // What is lost behind retention's back still shows, also while the next day is on its way.
  assert.deepEqual(await expireDay(keeper, dayOf(1), "bytes"), { kind: "expired" });
  await tamper(pool, "data.events_dpi", `DELETE FROM data.events_dpi WHERE seq = 6 AND producer_id = '${producer}'`);
  const { imbalance, misplaced_epochs } = (await reader.query<Books>("SELECT imbalance, misplaced_epochs FROM views.ledger"))
    .rows[0] as Books;
  assert.deepEqual([imbalance, misplaced_epochs], [1, 1]);
});

test("DP-30 R-19 what somebody has detached by hand is counted with its day", async () => {
  await using at = await world(1);
  const { pool, keeper, reader, database } = at;
  await signAway(pool, dayOf(1));
  await pool.query(`ALTER TABLE data.events_dpi DETACH PARTITION data.events_dpi_${dayOf(1).replaceAll("-", "_")}`);
  assert.deepEqual(await expireDay(keeper, dayOf(1), "age"), { kind: "expired" });
  await removeCounted(database.connection, keeper);
  assert.deepEqual(await books(reader), { bus_head: 6, stored: 6, expired: 3, imbalance: 0, misplaced_epochs: 0 });
});

test("DP-30 R-16 R-19 a removal that is interrupted anywhere goes on, and is counted once", { timeout: 60_000 }, async () => {
  await using at = await world(1);
  const { pool, keeper, reader, database } = at;
  const day = dayOf(1);
  await signAway(pool, day);
  await expireDay({ ...keeper }, dayOf(1), "age");
  const gone = { bus_head: 6, stored: 6, expired: 3, imbalance: 0, misplaced_epochs: 0 };
  // Its connection is ended while it waits for a reader of the second table, between the two phases of that.
  const holder = await openClient(database.connection, "holder");
  try {
    await until(async () => {
      await holder.query("BEGIN; SELECT FROM data.events_dpi LIMIT 1");
      const detaching = detachDay(database.connection).catch((error: unknown) => error);
      await until(() => pending(pool));
      assert.deepEqual(await books(reader), gone, "half detached");
      await pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ransomeye retention'");
      assert.ok((await detaching) instanceof Error || (await detaching) === "waiting");
      await holder.query("ROLLBACK");
      return true;
    });
    assert.ok(await pending(pool));
    assert.ok(((await finishRemoval(keeper))?.tablesLeft ?? 0) > 0, "what is half detached is not dropped");
    assert.deepEqual(await books(reader), gone);
    // What a start does, and another attempt.
    assert.deepEqual((await keeper.pool.query("SELECT ops.finish_detaches() AS done")).rows, [{ done: 1 }]);
    assert.equal(await pending(pool), false);
    assert.deepEqual(await books(reader), gone);
    // The keeper dies in the middle of dropping: nothing of it has happened.
    await pool.query("BEGIN; SELECT ops.finish_removal(); ROLLBACK");
    assert.deepEqual(await books(reader), gone);
    await removeCounted(database.connection, keeper);
    assert.deepEqual([await daysLeft(pool), await books(reader)], [[dayOf(0)], gone]);
  } finally {
    await holder.end();
  }
});

test("DP-30 R-19 who looks at an older moment finds the rows that it counts: the day stays attached until he is gone", async () => {
  await using at = await world(1);
  const { pool, keeper, reader, database } = at;
  const early = await reader.connect();
  try {
    await early.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    const day = dayOf(1);
    await signAway(pool, day);
    assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" });
    assert.equal(await detachDay(database.connection), "waiting");
    assert.equal(await pending(pool), false, "it does not even begin");
    const { rows } = await early.query("SELECT stored, expired, imbalance, misplaced_epochs FROM views.ledger");
    assert.deepEqual(rows, [{ stored: 6, expired: 0, imbalance: 0, misplaced_epochs: 0 }]);
    await early.query("COMMIT");
    assert.equal(await detachDay(database.connection), "detached");
  } finally {
    early.release(true);
  }
});

test("DP-34 R-16 nothing is received any more in a day that retention has taken, nor before it, whatever the clock does", async () => {
  await using at = await world(1);
  const { pool, keeper } = at;
  await signAway(pool, dayOf(1));
  assert.deepEqual(await expireDay(keeper, dayOf(1), "age"), { kind: "expired" });
  const { rows } = await pool.query<{ floor: number }>("SELECT received_floor_us AS floor FROM bus.state");
  assert.equal(rows[0]?.floor, Date.parse(`${dayOf(0)}T00:00:00Z`) * 1000);
  await keeper.pool.query("SELECT bus.trim_day($1::date)", [dayOf(3)]);
  assert.deepEqual((await pool.query<{ floor: number }>("SELECT received_floor_us AS floor FROM bus.state")).rows, rows, "it never sinks");
});

test("DP-34 R-16 a day that the intake waits for is made at once, by the bus's clock; what is on its way out is not", async () => {
  await using at = await world(1);
  const { pool, keeper } = at;
  assert.equal(await makeMissingDays(keeper), 0);
  for (const table of ["bus.frames", "data.gaps"]) await pool.query(`DROP TABLE ${table}_${dayOf(0).replaceAll("-", "_")}`);
  const reason = async (): Promise<unknown> => (await keeper.pool.query("SELECT paused FROM bus.load()")).rows[0];
  assert.deepEqual(await reason(), { paused: "day_missing" });
  assert.equal(await makeMissingDays(keeper), 1);
  assert.deepEqual(await reason(), { paused: null });
  assert.deepEqual(await daysLeft(pool, "data.gaps"), [dayOf(1), dayOf(0)], "in all tables");
  // A partition whose clock was ahead once: its entries lie there until the clock has come after.
  await pool.query("UPDATE bus.partition_head SET received_us = $1 WHERE part = 3", [systemClock.nowUs() + 40 * 86_400_000_000]);
  assert.equal(await makeMissingDays(keeper), 1);
  assert.equal(await makeMissingDays(keeper), 0);
  assert.ok(telemetry.events.some(({ name, fields }) => name === "db_day_missing" && fields?.["day"] === dayOf(-40)));
});

const hold = async (
  at: { readonly database: TestDatabase },
  who: string | null,
  from: string | null,
  to: string | null,
): Promise<number> => {
  const custodian = at.database.rolePool("ransomeye_custodian");
  const { rows } = await custodian.query<{ id: number }>(
    "SELECT ops.hold_place($1::uuid, $2::timestamptz, $3::timestamptz, 'case 7', 'ada') AS id",
    [who, from, to],
  );
  return rows[0]?.id ?? 0;
};

test("DP-32 R-33 a hold keeps each day that it meets, and only these; a release lets them go", async () => {
  await using at = await world(4);
  const { pool, keeper, reader, database } = at;
  for (let back = 4; back > 0; back--) await signAway(pool, dayOf(back));
  await tamper(pool, "bus.frames", `DELETE FROM bus.frames WHERE producer_id = '${other}' AND received_at < '${dayOf(2)} 00:00:00+00'`);
  const kept = async (): Promise<string[]> => {
    const { rows } = await reader.query<{ day: string; holds: number[] }>(
      "SELECT day, ops.day_holds(day) AS holds FROM ops.day_sizes() WHERE table_name = 'bus.frames' AND day < $1::date ORDER BY day",
      [dayOf(0)],
    );
    return rows.filter(({ holds }) => holds.length > 0).map(({ day }) => day);
  };
  const first = await hold(at, null, `${dayOf(3)} 23:59:59.999999+00`, `${dayOf(2)} 00:00:00+00`);
  assert.deepEqual(await kept(), [dayOf(3)], "from is inside it, and until is not");
  const second = await hold(at, other, null, `${dayOf(1)} 12:00:00+00`);
  assert.deepEqual([first, second], [1, 2]);
  assert.deepEqual(await kept(), [dayOf(3), dayOf(2)], "days in which the producer sent something in that time");
  assert.deepEqual(await expireDay(keeper, dayOf(3), "age"), { kind: "held" });
  assert.deepEqual((await pool.query("SELECT FROM evidence.expiry_wish")).rows, [], "no wish is made for it");
  // Days before and behind it go.
  for (const day of [dayOf(4), dayOf(1)]) {
    assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" }, day);
    await removeCounted(database.connection, keeper);
  }
  assert.deepEqual(await daysLeft(pool), [dayOf(3), dayOf(2), dayOf(0)]);
  assert.deepEqual([(await books(reader)).imbalance, (await books(reader)).expired], [0, 6]);
  const custodian = database.rolePool("ransomeye_custodian");
  const release = async (id: number): Promise<unknown> =>
    (await custodian.query<{ done: boolean }>("SELECT ops.hold_release($1, 'closed', 'bob') AS done", [id])).rows[0]?.done;
  assert.deepEqual([await release(1), await release(1), await release(9)], [true, false, false]);
  assert.deepEqual(await kept(), [dayOf(2)]);
  assert.deepEqual(await expireDay(keeper, dayOf(3), "age"), { kind: "expired" });
  const { rows } = await reader.query(
    "SELECT id, producer_id, reason, actor, released_by, release_reason FROM views.legal_holds ORDER BY id",
  );
  assert.deepEqual(rows, [
    { id: 1, producer_id: null, reason: "case 7", actor: "ada", released_by: "bob", release_reason: "closed" },
    { id: 2, producer_id: other, reason: "case 7", actor: "ada", released_by: null, release_reason: null },
  ]);
});

test("DP-33 R-20 R-33 a hold between wish, signature, counting and removal: what is not yet counted stays, and what is counted is gone", {
  timeout: 60_000,
}, async () => {
  await using at = await world(3);
  const { pool, keeper, database } = at;
  const wishes = async (): Promise<number> =>
    (await database.rolePool("ransomeye_sealer").query("SELECT FROM views.expiry_wishes")).rows.length;
  const custodian = database.rolePool("ransomeye_custodian");
  const release = (id: number): Promise<unknown> => custodian.query("SELECT ops.hold_release($1, 'closed', 'bob')", [id]);
  assert.deepEqual(await expireDay(keeper, dayOf(3), "age"), { kind: "unsigned", waitsTooLong: false });
  assert.equal(await wishes(), 1);
  const one = await hold(at, null, null, null);
  assert.equal(await wishes(), 0, "after the wish: the sealer is not asked any more");
  await release(one);
  assert.equal(await wishes(), 1);
  await signAway(pool, dayOf(3));
  const two = await hold(at, producer, null, null);
  const verdict = async (): Promise<unknown> =>
    (await keeper.pool.query("SELECT verdict FROM ops.expire_day($1::date, 'age')", [dayOf(3)])).rows[0];
  assert.deepEqual(await verdict(), { verdict: "held" }, "after the signature: it stays all the same");
  await release(two);
  // While a day is being counted a hold waits, and comes after it.
  const counting = await openClient(database.roleConnection("ransomeye_keeper"), "counting");
  await counting.query("BEGIN");
  assert.equal((await counting.query("SELECT verdict FROM ops.expire_day($1::date, 'age')", [dayOf(3)])).rows[0]?.verdict, "expired");
  let placed = false;
  const late = hold(at, null, null, null).then((id) => {
    placed = true;
    return id;
  });
  await until(async () => (await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).rows.length > 0);
  assert.equal(placed, false);
  await counting.query("COMMIT");
  await counting.end();
  assert.equal(await late, 3);
  await removeCounted(database.connection, keeper);
  assert.deepEqual(await daysLeft(pool), [dayOf(2), dayOf(1), dayOf(0)], "what was counted before goes to its end");
  assert.deepEqual(await expireDay(keeper, dayOf(2), "age"), { kind: "held" });
});

test("DP-32 DB-2 holds are placed and released by the custodian alone, are never changed, and say who and why", async () => {
  await using at = await world(1);
  await hold(at, null, null, null);
  for (const role of ["ransomeye_keeper", "ransomeye_sealer", "ransomeye_engine", "ransomeye_reader"] as const)
    for (const call of ["ops.hold_release(1, 'x', 'x')", "ops.hold_place(NULL, NULL, NULL, 'x', 'x')"])
      await assert.rejects(at.database.rolePool(role).query(`SELECT ${call}`), { code: "42501" }, `${role} ${call}`);
  await assert.rejects(at.pool.query("UPDATE evidence.legal_hold SET until_at = from_at + interval '1 s'"), { code: "42501" });
  await assert.rejects(at.pool.query("DELETE FROM evidence.legal_hold_release"), { code: "42501" });
  const custodian = at.database.rolePool("ransomeye_custodian");
  for (const [from, to, reason, actor] of [
    ["2026-01-02", "2026-01-01", "case", "ada"],
    [null, null, "", "ada"],
    [null, null, "case", "\u001b[31m"],
  ])
    await assert.rejects(
      custodian.query("SELECT ops.hold_place(NULL, $1::timestamptz, $2::timestamptz, $3, $4)", [from, to, reason, actor]),
      {
        code: "23514",
      },
    );
});
