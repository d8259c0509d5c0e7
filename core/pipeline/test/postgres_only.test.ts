/**
 * What only the bus on PostgreSQL does: durability settings, rights, lost connections, days, and what a damaged table looks like.
 * Days and partitions stand in postgres_days.test.ts.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, describe, test } from "node:test";
import { openPool } from "ransomeye-db";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { hasCode, recordingTelemetry, systemClock } from "ransomeye-kernel";
import type { FrameAppend, Position } from "../src/bus.ts";
import { busAppended, busStopped } from "../src/events.ts";
import { openPostgresAppender } from "../src/postgres/appender.ts";
import { encodeAppend } from "../src/postgres/append_call.ts";
import { openPostgresConsumer } from "../src/postgres/bus.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { openLossyProxy } from "./lossy_proxy.ts";
import { type PostgresSubject, subjectsOf, until } from "./postgres_subject.ts";
import { how, openChain } from "./subject.ts";

const server = await openTestServer();
after(() => server.close());

const withSubject = subjectsOf(server);

/** The arguments of bus.append for a bare connection. */
function appendValues(part: number, frames: readonly FrameAppend[]): unknown[] {
  const { producers, numbers, blob } = encodeAppend(frames);
  return [part, how.registryVersion, how.gateway, how.incarnation, producers, numbers, blob];
}
const appendSql = "SELECT verdict FROM bus.append($1, $2, $3, $4, $5::uuid[], $6::bigint[], $7)";

describe("durability (R-4)", () => {
  test("R-4 the bus refuses to open where synchronous_commit is off", () =>
    withSubject(async ({ admin, database }) => {
      await admin.query(`ALTER DATABASE "${database.connection.database}" SET synchronous_commit = off`);
      const pool = openPool({ connection: database.connection, max: 1, applicationName: "test", telemetry: recordingTelemetry() });
      try {
        await assert.rejects(openPostgresConsumer({ pool, telemetry: recordingTelemetry() }), (error) => hasCode(error, "BUS_NOT_DURABLE"));
        await assert.rejects(openPostgresAppender({ pool, clock: systemClock, telemetry: recordingTelemetry() }), (error) =>
          hasCode(error, "BUS_NOT_DURABLE"),
        );
      } finally {
        await pool.end();
        await admin.query(`ALTER DATABASE "${database.connection.database}" RESET synchronous_commit`);
      }
    }));

  for (const setting of ["fsync", "full_page_writes"]) {
    test(`R-4 with ${setting} off the bus refuses to open, and every append would be paused`, {
      skip: server.embedded === undefined,
    }, async () => {
      const unsafe = await openTestServer({ settings: { [setting]: "off" } });
      try {
        // An ordinary preparation refuses such a server, so the migrations are run by hand.
        const { pool } = await unsafe.database({ empty: true });
        await assert.rejects(openPostgresAppender({ pool, clock: systemClock, telemetry: recordingTelemetry() }), (error) =>
          hasCode(error, "BUS_NOT_DURABLE"),
        );
        await pool.query("CREATE SCHEMA ops");
        for (const name of ["0001_roles.sql", "0002_bus.sql"])
          await pool.query(await readFile(new URL(`../../../db/migrations/${name}`, import.meta.url), "utf8"));
        const { rows } = await pool.query<{ reason: string }>("SELECT bus.paused_reason(clock_timestamp()) AS reason");
        assert.equal(rows[0]?.reason, "not_durable");
      } finally {
        await unsafe.close();
      }
    });
  }

  test("R-4 an append and its duplicate force the flush of their own commit, whatever the session says", () =>
    withSubject(async ({ bus, gatePool }) => {
      const chain = new Chain(producerId(2));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      const client = await gatePool.connect();
      try {
        await client.query("SET synchronous_commit = off");
        for (const verdict of ["accepted", "duplicate"]) {
          await client.query("BEGIN");
          const { rows } = await client.query<{ verdict: string }>(appendSql, appendValues(part, [frame]));
          assert.equal(rows[0]?.verdict, verdict);
          // Only a transaction that has written gets an id, and only one that has an id waits for its commit record to be flushed.
          const facts = await client.query<{ wrote: boolean; barrier: string }>(
            "SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS wrote, current_setting('synchronous_commit') AS barrier",
          );
          assert.deepEqual({ ...facts.rows[0] }, { wrote: true, barrier: "on" });
          await client.query("COMMIT");
          const after = await client.query<{ barrier: string }>("SELECT current_setting('synchronous_commit') AS barrier");
          assert.equal(after.rows[0]?.barrier, "off");
        }
        await client.query("BEGIN");
        await client.query("SELECT * FROM bus.open_epoch($1, 1, $2, 7)", [chain.producer, Buffer.alloc(8)]);
        const { rows } = await client.query<{ barrier: string }>("SELECT current_setting('synchronous_commit') AS barrier");
        assert.equal(rows[0]?.barrier, "on");
        await client.query("ROLLBACK");
      } finally {
        client.release(true);
      }
    }));
});

describe("lost connections", () => {
  test("R-3 an append killed while it waits has an unknown outcome; appended again it is accepted", () =>
    withSubject(async ({ bus, admin }) => {
      const chain = new Chain(producerId(10));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      const holder = await admin.connect();
      await holder.query("BEGIN");
      await holder.query("SELECT FROM bus.partition_head WHERE part = $1 FOR UPDATE", [part]);
      const lost = assert.rejects(bus.append(part, [frame], how), (error) => hasCode(error, "BUS_OUTCOME_UNKNOWN"));
      const waiting =
        "FROM pg_stat_activity WHERE datname = current_database() AND usename = 'ransomeye_gate' AND wait_event_type = 'Lock'";
      await until(async () => (await admin.query(`SELECT pid ${waiting}`)).rows.length > 0);
      await admin.query(`SELECT pg_terminate_backend(pid) ${waiting}`);
      await lost;
      await holder.query("ROLLBACK");
      holder.release();
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["accepted"]);
    }));

  test("R-4 an append whose answer is lost was durable: appended again it is a duplicate, and stored once", () =>
    withSubject(async ({ bus, admin, database }) => {
      const chain = new Chain(producerId(11));
      const part = await openChain(bus, chain);
      const frame = chain.next(3);
      const proxy = await openLossyProxy(database.roleConnection("ransomeye_gate"));
      const pool = openPool({ connection: proxy.connection, max: 1, applicationName: "test", telemetry: recordingTelemetry() });
      try {
        const gate = await openPostgresAppender({ pool, clock: systemClock, telemetry: recordingTelemetry() });
        proxy.swallow();
        const lost = assert.rejects(gate.append(part, [frame], how), (error) => hasCode(error, "BUS_OUTCOME_UNKNOWN"));
        await until(async () => (await admin.query("SELECT FROM bus.frames WHERE producer_id = $1", [chain.producer])).rows.length === 1);
        proxy.cut();
        await lost;
        assert.deepEqual(kinds(await gate.append(part, [frame], how)), ["duplicate"]);
        assert.equal((await bus.read(part, null, everything)).length, 1);
        await gate.close();
      } finally {
        await pool.end();
        await proxy.close();
      }
    }));

  test("a server that cannot be reached is BUS_UNAVAILABLE: nothing was sent", async () => {
    const connection = { host: "/nonexistent", port: 1, user: "nobody", password: "", database: "none" };
    const pool = openPool({ connection, max: 1, applicationName: "test", telemetry: recordingTelemetry() });
    await assert.rejects(openPostgresConsumer({ pool, telemetry: recordingTelemetry() }), (error) => hasCode(error, "BUS_UNAVAILABLE"));
    await pool.end();
  });
});

describe("rights (R-12)", () => {
  test("R-12 the gate's role can call its functions and touch no table; the engine's role cannot append", () =>
    withSubject(async ({ bus, gatePool, enginePool }) => {
      const chain = new Chain(producerId(20));
      const part = await openChain(bus, chain);
      for (const sql of [
        "SELECT FROM bus.frames",
        "SELECT FROM bus.producer_head",
        "UPDATE bus.partition_head SET off = 0",
        "DELETE FROM bus.frames",
        "SELECT bus.pause('x')",
        "SELECT bus.set_registry(1, '{}')",
      ]) {
        await assert.rejects(gatePool.query(sql), (error) => (error as { code?: string }).code === "42501", sql);
      }
      await assert.rejects(openPostgresConsumer({ pool: gatePool, telemetry: recordingTelemetry() }), (error) =>
        hasCode(error, "BUS_FORBIDDEN"),
      );
      await assert.rejects(
        enginePool.query(appendSql, appendValues(part, [chain.next(1)])),
        (error) => (error as { code?: string }).code === "42501",
      );
    }));

  test("R-12 whatever the gate's role may call refuses a NULL, in each argument and inside each array", () =>
    withSubject(async ({ bus, admin, gatePool }) => {
      const chain = new Chain(producerId(22));
      const part = await openChain(bus, chain);
      const whole: Readonly<Record<string, readonly unknown[]>> = {
        append: appendValues(part, [chain.next(1)]),
        open_epoch: [chain.producer, 1, Buffer.alloc(8), how.registryVersion],
        heads_of: [[chain.producer]],
        pressure: ["g", producerId(1), 1],
        counters_put: [
          "g",
          producerId(1),
          { startedUs: 0, ended: false, state: "open", reason: "", sessions: 0, counters: {}, quarantined: [] },
        ],
      };
      const { rows: callable } = await admin.query<{ name: string; types: string[] }>(
        `SELECT p.proname AS name, ARRAY(SELECT format_type(t.oid, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (oid, n) ORDER BY n) AS types
         FROM pg_proc p WHERE p.pronamespace = 'bus'::regnamespace AND has_function_privilege('ransomeye_gate', p.oid, 'EXECUTE')`,
      );
      assert.deepEqual(callable.map(({ name }) => name).toSorted(), Object.keys(whole).toSorted());
      for (const { name, types } of callable) {
        const values = whole[name] ?? [];
        assert.equal(values.length, types.length, name);
        const call = `SELECT * FROM bus.${name}(${types.map((type, i) => `$${i + 1}::${type}`).join(", ")})`;
        for (const [i, type] of types.entries()) {
          for (const nothing of type.endsWith("[]") ? [null, "{NULL}"] : [null]) {
            const refused = (error: unknown): boolean => (error as { code?: string }).code === "RB001";
            await assert.rejects(gatePool.query(call, values.with(i, nothing)), refused, `${name}, argument ${i + 1}`);
          }
        }
        await gatePool.query(call, [...values]);
      }
    }));

  test("a call that breaks the function's layout is the caller's defect", () =>
    withSubject(async ({ bus, gatePool }) => {
      const chain = new Chain(producerId(21));
      const part = await openChain(bus, chain);
      const [, version, gateway, life, producers, numbers, blob] = appendValues(part, [chain.next(1)]);
      for (const values of [
        [part, version, gateway, life, producers, "{1,2}", blob],
        [part, version, gateway, life, producers, numbers, Buffer.concat([blob as Buffer, Buffer.from("x")])],
        [999, version, gateway, life, producers, numbers, blob],
      ]) {
        await assert.rejects(gatePool.query(appendSql, values), (error) => (error as { code?: string }).code === "RB001");
      }
      assert.equal((await bus.tails())[part]?.off, 0);
    }));
});

describe("group commit", () => {
  test("appends that wait for the same partition leave in one call", () =>
    withSubject(async ({ admin, gatePool, bus }) => {
      const telemetry = recordingTelemetry();
      const gate = await openPostgresAppender({ pool: gatePool, clock: systemClock, telemetry });
      const chain = new Chain(producerId(30));
      const part = await openChain(bus, chain);
      const holder = await admin.connect();
      await holder.query("BEGIN");
      await holder.query("SELECT FROM bus.partition_head WHERE part = $1 FOR UPDATE", [part]);
      const all = [gate.append(part, [chain.next(1)], how)];
      await until(
        async () =>
          (await admin.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).rows.length >
          0,
      );
      for (let number = 0; number < 20; number++) all.push(gate.append(part, [chain.next(1)], how));
      await holder.query("COMMIT");
      holder.release();
      assert.deepEqual(kinds((await Promise.all(all)).flat()), Array(21).fill("accepted"));
      const calls = telemetry.events.filter(({ name }) => name === busAppended.name).map(({ fields }) => fields.frames);
      assert.deepEqual(calls, [1, 20]);
      await gate.close();
    }));
});

describe("damage (R-1, R-2, R-10)", () => {
  async function filled({ bus }: PostgresSubject, frames: number): Promise<{ part: number; positions: Position[]; chain: Chain }> {
    const chain = new Chain(producerId(40));
    const part = await openChain(bus, chain);
    const positions = await accept(
      bus,
      part,
      Array.from({ length: frames }, () => chain.next(1)),
    );
    return { part, positions, chain };
  }

  test("R-1 a missing entry stops the reader, in the middle and at the end, and never passes for the end", () =>
    withSubject(async (subject) => {
      const { bus, admin } = subject;
      const { part, positions } = await filled(subject, 6);
      await tamper(admin, "bus.frames", "DELETE FROM bus.frames WHERE part = $1 AND off = 3", [part]);
      await assert.rejects(bus.read(part, null, everything), (error) => hasCode(error, "BUS_HOLE"));
      assert.equal((await bus.read(part, positions[2] as Position, everything)).length, 3);
      await tamper(admin, "bus.frames", "DELETE FROM bus.frames WHERE part = $1 AND off = 6", [part]);
      await assert.rejects(bus.read(part, positions[4] as Position, everything), (error) => hasCode(error, "BUS_HOLE"));
    }));

  test("R-10 a payload that does not match its hash is BUS_CORRUPT, told with its place", () =>
    withSubject(async (subject) => {
      const { admin, enginePool } = subject;
      const { part } = await filled(subject, 3);
      const telemetry = recordingTelemetry();
      const reader = await openPostgresConsumer({ pool: enginePool, telemetry });
      await tamper(admin, "bus.frames", "UPDATE bus.frames SET body = body || 'x' WHERE part = $1 AND off = 2", [part]);
      await assert.rejects(reader.read(part, null, everything), (error) => hasCode(error, "BUS_CORRUPT"));
      assert.deepEqual(
        telemetry.events.filter(({ name }) => name === busStopped.name).map(({ fields }) => fields.off),
        [2],
      );
    }));

  test("R-2 a bus with another generation, or one that has lost its tail, is another history", () =>
    withSubject(async (subject) => {
      const { bus, admin } = subject;
      const { part, positions } = await filled(subject, 3);
      await tamper(admin, "bus.frames", "DELETE FROM bus.frames WHERE part = $1 AND off = 3", [part]);
      await admin.query("UPDATE bus.partition_head SET off = 2 WHERE part = $1", [part]);
      assert.equal(await bus.checkPosition(positions[2] as Position), "diverged");
      await assert.rejects(bus.read(part, positions[2] as Position, everything), (error) => hasCode(error, "BUS_HISTORY_DIVERGED"));
      await admin.query("UPDATE bus.generation SET id = gen_random_uuid()");
      assert.equal(await bus.checkPosition(positions[0] as Position), "diverged");
      await assert.rejects(bus.tails(), (error) => hasCode(error, "BUS_HISTORY_DIVERGED"));
    }));
});

describe("groups and the engine's row transaction (R-3)", () => {
  test("R-3 a partition whose row a transaction holds is at work and not taken over, even if its lease has expired", () =>
    withSubject(async ({ bus, other, enginePool, expireLeases }) => {
      const chain = new Chain(producerId(70));
      const part = await openChain(bus, chain);
      const [position] = await accept(bus, part, [chain.next(1)]);
      const mine = (await bus.acquire("group:engine", "one", { leaseMs: 60_000, partsMax: 100, held: [] })).find(
        (lease) => lease.part === part,
      );
      assert.ok(mine !== undefined && position !== undefined);
      await expireLeases("group:engine");
      const engine = await enginePool.connect();
      const move =
        "UPDATE bus.consumer_offset SET off = $4, entry_hash = $5, entry_received_us = $6 WHERE grp = 'group:engine' AND part = $1 AND off = $2 AND fence = $3";
      const moveValues = [part, 0, mine.token, position.off, position.hash, position.receivedUs];
      try {
        await engine.query("BEGIN");
        assert.equal((await engine.query(move, moveValues)).rowCount, 1);
        const taken = await other.acquire("group:engine", "two", { leaseMs: 60_000, partsMax: 100, held: [] });
        assert.equal(taken.length, 15);
        await engine.query("COMMIT");
        const late = await other.acquire("group:engine", "two", { leaseMs: 60_000, partsMax: 100, held: taken });
        assert.deepEqual(
          late.map((lease) => [lease.part, lease.position]),
          [[part, position]],
        );
        assert.equal((await engine.query(move, [part, 1, mine.token, 2, position.hash, 0])).rowCount, 0);
      } finally {
        engine.release(true);
      }
    }));
});
