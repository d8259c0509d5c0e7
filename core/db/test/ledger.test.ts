/** Views: the document out of its frame, and a ledger that can fail. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { openPool, type Pool } from "../src/pool.ts";
import { openTestServer, tamper, type TestDatabase } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());

const dpi = "00000000-0000-4000-8000-00000000000a";
const linux = "00000000-0000-4000-8000-00000000000b";

/** A system with two producers: dpi in its second epoch, linux with one event still in flight. */
async function system(): Promise<{ database: TestDatabase; admin: Pool; reader: Pool }> {
  const database = await server.database();
  const admin = database.pool;
  const row = (table: string, producer: string, epoch: number, seq: number, off: number, at = 0, length = 0): string =>
    `INSERT INTO data.${table} (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
     VALUES (date_trunc('day', now()), now(), '${producer}', ${epoch}, ${seq}, 0, ${off}, 0, ${at}, ${length}, 1007, 1, 1, 0, 1, 1, 1);`;
  const loss = (table: string, producer: string, epoch: number, seq: number, count: number, rest: string, values: string): string =>
    `INSERT INTO data.${table} (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, ${rest}) VALUES (now(), '${producer}', ${epoch}, ${seq}, ${count}, 0, 1, ${values});`;
  await admin.query(`
    INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash, sealed_us, final_seq, offered) VALUES
      ('${dpi}', 1, 0, 0, '\\x01', 0, 0, '\\x', 1, 3, 5), ('${dpi}', 2, 0, 0, '\\x01', 1, 3, '\\x', NULL, NULL, NULL), ('${linux}', 1, 0, 0, '\\x01', 0, 0, '\\x', NULL, NULL, NULL);
    INSERT INTO bus.producer_head VALUES ('${dpi}', 2, 6, '\\x', 0, 1, 3, '\\x', '\\x01', 9, 0), ('${linux}', 1, 2, '\\x', 0, 0, 0, '\\x', '\\x01', 2, 0);
    INSERT INTO data.sink_epochs VALUES ('${dpi}', 1, 3, '\\x');
    INSERT INTO data.sink_head VALUES ('${dpi}', 1, 2, 6, '\\x', now()), ('${linux}', 2, 1, 1, '\\x', now());
    ${row("events_dpi", dpi, 1, 1, 1)} ${row("events_dpi", dpi, 1, 2, 1)} ${row("events_dpi", dpi, 1, 3, 1)}
    ${row("events_dpi", dpi, 2, 1, 2)} ${loss("event_dead_letters", dpi, 2, 2, 1, "line, code, detail", "0, 'X', ''")}
    ${loss("event_dead_letters", dpi, 2, 3, 2, "code, detail", "'Y', ''")} ${loss("gaps", dpi, 2, 5, 2, "reason", "'spool_full'")}
    ${row("events_agent", linux, 1, 1, 3)}`);
  return { database, admin, reader: database.rolePool("ransomeye_reader") };
}

const total = {
  producers: 2,
  epochs: 3,
  offered: 16,
  bus_head: 11,
  stored: 5,
  dead_lettered: 3,
  gap_declared: 2,
  expired: 0,
  in_flight: 1,
  imbalance: 0,
  misplaced_epochs: 0,
};
const totals = async (reader: Pool): Promise<unknown> => {
  const { rows } = await reader.query<Record<string, unknown>>("SELECT * FROM views.ledger");
  const { as_of: _, ...rest } = rows[0] ?? {};
  return rest;
};

test("P-2 R-19 every sequence number is stored, dead-lettered, declared lost or in flight, per producer and epoch", async () => {
  const { database, reader } = await system();
  await using _ = database;
  const { rows } = await reader.query(
    "SELECT kind, epoch, offered, bus_head, sink_head, stored, dead_lettered, gap_declared, in_flight, imbalance, misplaced FROM views.ledger_producer ORDER BY kind, epoch",
  );
  const even = { in_flight: 0, imbalance: 0, misplaced: "0" };
  const plain = rows.map((row: { misplaced: string }) => ({ ...row, misplaced: String(Number(row.misplaced)) }));
  assert.deepEqual(plain, [
    { kind: "dpi", epoch: 1, offered: 5, bus_head: 3, sink_head: 3, stored: 3, dead_lettered: 0, gap_declared: 0, ...even },
    { kind: "dpi", epoch: 2, offered: 9, bus_head: 6, sink_head: 6, stored: 1, dead_lettered: 3, gap_declared: 2, ...even },
    { kind: "linux", epoch: 1, offered: 2, bus_head: 2, sink_head: 1, stored: 1, dead_lettered: 0, gap_declared: 0, ...even, in_flight: 1 },
  ]);
  assert.deepEqual(await totals(reader), total);
});

test("R-19 a lost, a doubled, a foreign and an exchanged row each unbalance the ledger: it is counted, not derived", async () => {
  const { database, admin, reader } = await system();
  await using _ = database;
  const after = async (table: string, sql: string): Promise<Record<string, unknown>> => {
    const client = await admin.connect();
    try {
      await client.query("BEGIN");
      await tamper(client, table, sql);
      const { rows } = await client.query<Record<string, unknown>>("SELECT imbalance, misplaced_epochs FROM views.ledger");
      return rows[0] ?? {};
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  };
  const one = { imbalance: 1, misplaced_epochs: 1 };
  assert.deepEqual(await after("data.events_agent", "DELETE FROM data.events_agent"), one);
  assert.deepEqual(await after("data.events_agent", "INSERT INTO data.events_agent SELECT * FROM data.events_agent"), one);
  assert.deepEqual(await after("data.gaps", "DELETE FROM data.gaps"), { imbalance: 2, misplaced_epochs: 1 });
  assert.deepEqual(await after("data.event_dead_letters", "UPDATE data.event_dead_letters SET count = 1 WHERE count = 2"), one);
  assert.deepEqual(await after("data.events_dpi", "UPDATE data.events_dpi SET producer_id = gen_random_uuid() WHERE epoch = 2"), {
    imbalance: 2,
    misplaced_epochs: 2,
  });
  assert.deepEqual(await after("data.events_dpi", "UPDATE data.sink_head SET seq = seq - 1 WHERE producer_kind = 1"), one);
  // Lost here and doubled there: the sum over the system is right, and must not hide it.
  assert.deepEqual(
    await after(
      "data.events_agent",
      "DELETE FROM data.events_agent; INSERT INTO data.events_dpi SELECT * FROM data.events_dpi WHERE epoch = 2",
    ),
    { imbalance: 2, misplaced_epochs: 2 },
  );
  // One row lost and another of the same epoch doubled: the count is right, the numbers are not.
  assert.deepEqual(await after("data.events_dpi", "UPDATE data.events_dpi SET seq = 1 WHERE epoch = 1 AND seq = 2"), {
    imbalance: 0,
    misplaced_epochs: 1,
  });
  assert.deepEqual(await totals(reader), total);
});

test("R-18 a reader gets an event's own bytes out of its frame, in plain SQL", async () => {
  await using database = await server.database();
  const lines = Array.from({ length: 500 }, (_, n) => Buffer.from(`{"n":${n},"text":"${"ü".repeat(200)}"}`));
  const body = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
  const at = "date_trunc('day', now()) + interval '1 hour 0.000123 seconds'";
  await database.pool.query(
    `INSERT INTO bus.frames (part, off, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version, mapping_version, key_id, offered,
       prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body)
     VALUES (3, 7, ${at}, $1, 1, 1, 101, 500, 1, 0, 1, 1, '\\x', 600, 1, 100, '\\x', '\\x', '\\xabcd', '\\x0102', '\\x03', '\\x', 'g', $2)`,
    [dpi, body],
  );
  const offset = lines.slice(0, 321).reduce((sum, line) => sum + line.length + 1, 0);
  await database.pool.query(
    `INSERT INTO data.events_dpi (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version, host)
     VALUES (${at}, now(), $1, 1, 422, 3, 7, 321, $2, $3, 1007, 1, 1, 0, 1, 1, 1, 'h')`,
    [dpi, offset, lines[321]?.length],
  );
  const reader = database.rolePool("ransomeye_reader");
  const { rows } = await reader.query<{ document: string; n: number }>(
    "SELECT d AS document, (d::json ->> 'n')::int AS n FROM views.events e, views.event_document(e.frame_part, e.frame_off, e.byte_offset, e.byte_length, e.received_at) d WHERE e.host = 'h'",
  );
  assert.equal(rows[0]?.document, lines[321]?.toString());
  assert.equal(rows[0]?.n, 321);
  const found = await reader.query<{ id: string; kind: string; line: number }>("SELECT id, kind, line FROM views.event($1, 1, 422)", [dpi]);
  assert.deepEqual(found.rows, [{ id: `${dpi}:1:422`, kind: "dpi", line: 321 }]);
  for (const seq of [100, 601])
    assert.deepEqual((await reader.query("SELECT * FROM views.frame_of($1, 1, $2)", [dpi, seq])).rows, [], `no frame holds ${seq}`);
  const frame = await reader.query<{ hash: Buffer; body: Buffer }>(
    "SELECT hash, body FROM views.frame_of($1, 1, 600) n, views.frame(n.part, n.off, n.received_at)",
    [dpi],
  );
  assert.deepEqual(frame.rows[0]?.hash, Buffer.from("abcd", "hex"));
  assert.equal(
    createHash("sha256")
      .update(frame.rows[0]?.body ?? "")
      .digest("hex"),
    createHash("sha256").update(body).digest("hex"),
  );
  // A packed frame cannot be opened by SQL, and says so by NULL instead of by nonsense.
  await tamper(database.pool, "bus.frames", "UPDATE bus.frames SET codec = 1");
  assert.equal((await reader.query("SELECT views.event_document(3, 7, 0, 5, received_at) AS d FROM views.events")).rows[0]?.d, null);
});

test("R-18 only the day and the pieces that hold an event's bytes are read", async () => {
  await using database = await server.database();
  await database.pool.query(
    `INSERT INTO bus.frames SELECT 0, n, date_trunc('day', now()), '${dpi}', 1, 1, n, 1, 1, 0, 1, 1, '\\x', n, 0, 0, '\\x', '\\x', '\\x', '\\x', '\\x', '\\x', 'g', convert_to(repeat('x', 262144), 'UTF8') FROM generate_series(1, 20) n`,
  );
  const explain = async (length: string): Promise<number> => {
    const { rows } = await database.pool.query<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT length(substring(body FROM 1000 FOR ${length})) FROM bus.frames WHERE part = 0 AND off = 7 AND received_at = date_trunc('day', now())`,
    );
    const plan = rows[0]?.["QUERY PLAN"][0]?.Plan ?? {};
    return (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
  };
  await explain("400");
  const [some, all] = [await explain("400"), await explain("262144")];
  assert.ok(some * 4 < all, `${some} blocks for one event, ${all} for the frame`);
});

test("ING-8 what a gate last said of itself is shown, and a list of quarantined producers is replaced whole", async () => {
  await using database = await server.database();
  const gate = openPool({
    connection: database.roleConnection("ransomeye_gate"),
    max: 1,
    applicationName: "gate",
    telemetry: server.telemetry,
  });
  const reader = database.rolePool("ransomeye_reader");
  const [a, b] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
  const put = (state: string, reason: string, producers: readonly (string | undefined)[]): Promise<unknown> =>
    gate.query("SELECT bus.counters_put('gw', '00000000-0000-4000-8000-000000000001', $1)", [
      JSON.stringify({
        startedUs: 1,
        ended: false,
        state,
        reason,
        sessions: 3,
        counters: {},
        quarantined: producers.map((producer) => ({ producer, code: "INGEST_X", sinceUs: 1, untilUs: 2 })),
      }),
    ]);
  const listed = async (): Promise<unknown[]> =>
    (await reader.query<{ id: string }>("SELECT producer_id AS id FROM views.quarantine ORDER BY id")).rows.map(({ id }) => id);
  try {
    await put("open", "", [a, b]);
    assert.deepEqual(await listed(), [a, b]);
    await put("paused", "engine_lag", [b]);
    assert.deepEqual(await listed(), [b]);
    assert.deepEqual((await reader.query("SELECT state, reason, sessions, ended FROM views.gates")).rows, [
      { state: "paused", reason: "engine_lag", sessions: 3, ended: false },
    ]);
  } finally {
    await gate.end();
  }
});

test("R-19 the two ledgers stay apart: transmissions are read beside the sum", async () => {
  await using database = await server.database();
  const gate = openPool({
    connection: database.roleConnection("ransomeye_gate"),
    max: 1,
    applicationName: "gate",
    telemetry: server.telemetry,
  });
  try {
    await gate.query(
      `SELECT bus.counters_put('gw', gen_random_uuid(), '{"startedUs": 1, "ended": false, "state": "open", "reason": "", "sessions": 1,
         "counters": {"accepted": 7, "refused.INGEST_X": 2}, "quarantined": []}')`,
    );
  } finally {
    await gate.end();
  }
  const { rows } = await database.rolePool("ransomeye_reader").query("SELECT name, value, ended FROM views.transmissions ORDER BY name");
  assert.deepEqual(rows, [
    { name: "accepted", value: 7, ended: false },
    { name: "refused.INGEST_X", value: 2, ended: false },
  ]);
});
