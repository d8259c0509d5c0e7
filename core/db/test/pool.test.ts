/**
 * Why it exists: everything that is read from PostgreSQL, and every connection that is opened, goes through one file.
 * Enforces: exact values, a server on which a commit is durable, passwords that the server can check and URLs that never leak.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parseConnectionUrl } from "../src/connection.ts";
import { assertDurable } from "../src/durability.ts";
import { DbError } from "../src/errors.ts";
import { openClient } from "../src/pool.ts";
import { scramVerifier } from "../src/roles.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());

const failsWith = (code: string) => (error: unknown) => error instanceof DbError && error.code === code;

test("values are read exactly: int8 as safe numbers, times as microseconds, dates as text, in UTC whatever the role says", async () => {
  await using database = await server.database({ empty: true });
  await database.pool.query(`ALTER DATABASE "${database.connection.database}" SET TimeZone = 'Asia/Kathmandu'`);
  await using fresh = { client: await openClient(database.connection, "test"), [Symbol.asyncDispose]: () => fresh.client.end() };
  const { rows } = await fresh.client.query(
    `SELECT 9007199254740991::int8 AS big, '{1,NULL,-9007199254740991}'::int8[] AS bigs, timestamptz '2024-02-29 23:59:59.123456+00' AS at,
            timestamptz '1969-12-31 23:59:59.999999+00' AS before, '{"2024-02-29 00:00:00+00"}'::timestamptz[] AS ats, date '2024-02-29' AS day, '\\x00ff'::bytea AS raw`,
  );
  assert.deepEqual(rows[0], {
    big: Number.MAX_SAFE_INTEGER,
    bigs: [1, null, Number.MIN_SAFE_INTEGER],
    at: Date.UTC(2024, 1, 29, 23, 59, 59) * 1000 + 123_456,
    before: -1,
    ats: [Date.UTC(2024, 1, 29) * 1000],
    day: "2024-02-29",
    raw: Buffer.from([0, 255]),
  });
  await assert.rejects(fresh.client.query("SELECT 9007199254740993::int8"), failsWith("DB_VALUE_UNSAFE"));
  await assert.rejects(fresh.client.query("SELECT timestamptz 'infinity'"), failsWith("DB_VALUE_UNSAFE"));
});

test("DP-69 R-4 a server, role or database without fsync, full_page_writes or synchronous_commit, or with data_sync_retry, is refused", async () => {
  await using database = await server.database();
  await assertDurable(database.pool);
  const engine = database.rolePool("ransomeye_engine");
  await assertDurable(engine);
  await database.pool.query(`ALTER ROLE ransomeye_engine IN DATABASE "${database.connection.database}" SET synchronous_commit = off`);
  await using later = {
    client: await openClient(database.roleConnection("ransomeye_engine"), "test"),
    [Symbol.asyncDispose]: () => later.client.end(),
  };
  await assert.rejects(assertDurable(later.client), failsWith("DB_NOT_DURABLE"));
  if (server.embedded === undefined) return;
  await using unsafe = await openTestServer({ settings: { fsync: "off" }, fresh: true });
  await assert.rejects(assertDurable((await unsafe.database({ empty: true })).pool), failsWith("DB_NOT_DURABLE"));
  await assert.rejects(unsafe.database(), failsWith("DB_NOT_DURABLE"));
  await using retrying = await openTestServer({ settings: { data_sync_retry: "on" }, fresh: true });
  await assert.rejects(retrying.database(), failsWith("DB_NOT_DURABLE"));
});

test("PostgreSQL older than 15 is refused", async () => {
  const old = {
    query: () =>
      Promise.resolve({
        rows: [{ version_number: 140_011, version: "14.11", fsync: "on", full_page_writes: "on", synchronous_commit: "on" }],
      }),
  };
  await assert.rejects(assertDurable(old as unknown as Parameters<typeof assertDurable>[0]), failsWith("DB_VERSION_UNSUPPORTED"));
});

test("passwords are checked by the server from the verifier that we compute", async () => {
  await using database = await server.database({ empty: true });
  const name = `${database.connection.database}_role`;
  const password = "it's \\ süß";
  await database.pool.query(`CREATE ROLE ${name} LOGIN PASSWORD '${scramVerifier(password, Buffer.alloc(16, 7))}'`);
  try {
    await (await openClient({ ...database.connection, user: name, password }, "test")).end();
    await assert.rejects(openClient({ ...database.connection, user: name, password: "wrong" }, "test"));
  } finally {
    await database.pool.query(`DROP ROLE ${name}`);
  }
});

test("a database URL is understood wholly or refused, and never repeated", () => {
  assert.deepEqual(parseConnectionUrl("postgres://us%20er:p%2Fw@db.example:5433/name?sslmode=verify-full"), {
    host: "db.example",
    port: 5433,
    database: "name",
    user: "us er",
    password: "p/w",
    ssl: true,
  });
  assert.deepEqual(parseConnectionUrl("postgresql://u@socket/name?host=/run/pg"), {
    host: "/run/pg",
    port: 5432,
    database: "name",
    user: "u",
    password: "",
    ssl: false,
  });
  for (const bad of [
    "",
    "mysql://u:secret@h/d",
    "postgres://h/d",
    "postgres://u:secret@h/",
    "postgres://u:secret@h/d?sslmode=prefer",
    "postgres://u:secret@h/d?option=1",
  ]) {
    assert.throws(
      () => parseConnectionUrl(bad),
      (error) => failsWith("DB_URL_INVALID")(error) && !(error as Error).message.includes("secret"),
    );
  }
});
