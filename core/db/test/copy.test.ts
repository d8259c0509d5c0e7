/**
 * The binary COPY format against PostgreSQL itself: what the encoder writes is what a SELECT reads, and what COPY sends the decoder reads.
 */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { after, test } from "node:test";
import fc from "fast-check";
import { BinaryCopyDecoder, decodeBinaryCopy, readField } from "../src/copy/decoder.ts";
import { BinaryCopyEncoder } from "../src/copy/encoder.ts";
import { writeInet } from "../src/copy/inet.ts";
import { copyIn, copyOut } from "../src/copy/streams.ts";
import { DbError, sqlState } from "../src/errors.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());
const database = await server.database({ empty: true });
const { pool } = database;
await pool.query(`CREATE TABLE t (n int4, i2 int2, i4 int4, i8 int8, b bool, at timestamptz, id uuid, words text, raw bytea, ip inet)`);
const columns = 10;

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

const uint8s = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const uuid = fc.uuid().map((text) => text.toLowerCase());
// No NUL (refused by rule) and no lone surrogate (becomes U+FFFD in any UTF-8 encoder).
const words = fc.string({ unit: "binary", maxLength: 80 }).filter((text) => !text.includes("\0"));
const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("::", "::1", "1::", "::ffff:1.2.3.4", "2001:db8::1:0:0:1", "0:0:0:0:0:0:0:0"));
// What stays exact when it is counted from 2000 as PostgreSQL does; this is 1714 to 2200.
const microseconds = fc.integer({ min: -8_060_514_454_740_991, max: 7_258_118_400_000_000 });
const row = fc.record({
  i2: fc.option(fc.integer({ min: -32_768, max: 32_767 })),
  i4: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  i8: fc.option(fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })),
  b: fc.option(fc.boolean()),
  at: fc.option(microseconds),
  id: fc.option(uuid),
  words: fc.option(words),
  raw: fc.option(uint8s),
  ip: fc.option(ip),
});
type Row = typeof row extends fc.Arbitrary<infer T> ? T : never;

function encode(encoder: BinaryCopyEncoder, rows: readonly Row[]): Buffer {
  encoder.reset();
  for (const [n, value] of rows.entries()) {
    encoder.row(columns);
    encoder.int4(n);
    const put = <T>(field: T | null, write: (field: T) => unknown): unknown => (field === null ? encoder.null() : write(field));
    put(value.i2, (field) => encoder.int2(field));
    put(value.i4, (field) => encoder.int4(field));
    put(value.i8, (field) => encoder.int8(field));
    put(value.b, (field) => encoder.bool(field));
    put(value.at, (field) => encoder.timestamptzUs(field));
    put(value.id, (field) => encoder.uuid(field));
    put(value.words, (field) => encoder.text(field));
    put(value.raw, (field) => encoder.bytea(field));
    put(value.ip, (field) => assert.ok(encoder.inet(field), field));
  }
  return encoder.finish();
}

test("R-10 every value goes into PostgreSQL and comes out again as it was, by SELECT and by COPY", async () => {
  const encoder = new BinaryCopyEncoder({ initialBytes: 32 });
  const client = await pool.connect();
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 20 }), fc.integer({ min: 1, max: 200 }), async (rows, cut) => {
        await client.query("TRUNCATE t");
        assert.equal(await copyIn(client, "COPY t FROM STDIN (FORMAT binary)", [encode(encoder, rows)]), rows.length);
        const read = await client.query<Row & { same: boolean; ip_host: string | null }>(
          "SELECT i2, i4, i8, b, at, id, words, raw, host(ip) AS ip_host FROM t ORDER BY n",
        );
        for (const [n, expected] of rows.entries()) {
          const { ip: address, ...plain } = expected;
          const { ip_host: host, ...found } = read.rows[n] as Row & { ip_host: string | null };
          assert.deepEqual({ ...found }, plain);
          if (address === null) assert.equal(host, null);
          else assert.equal((await client.query("SELECT $1::inet = $2::inet AS same", [host, address])).rows[0]?.same, true, address);
        }
        // And the other way, with the stream cut anywhere.
        const whole = Buffer.concat(await collect(copyOut(client, "COPY (SELECT * FROM t ORDER BY n) TO STDOUT (FORMAT binary)")));
        const chunks: Buffer[] = [];
        for (let at = 0; at < whole.length; at += cut) chunks.push(whole.subarray(at, at + cut));
        let n = 0;
        for await (const fields of decodeBinaryCopy(chunks, { fields: columns })) {
          const expected = rows[n] as Row;
          const field = <T>(index: number, read: (field: Buffer) => T): T | null => {
            const bytes = fields[index] ?? null;
            return bytes === null ? null : read(bytes);
          };
          assert.deepEqual(
            [
              field(0, readField.int4),
              field(1, readField.int2),
              field(2, readField.int4),
              field(3, readField.int8),
              field(4, readField.bool),
              field(5, readField.timestamptzUs),
              field(6, readField.uuid),
              field(7, readField.text),
              field(8, (bytes) => bytes),
            ],
            [n, expected.i2, expected.i4, expected.i8, expected.b, expected.at, expected.id, expected.words, expected.raw],
          );
          n += 1;
        }
        assert.equal(n, rows.length);
      }),
      { numRuns: 60 },
    );
  } finally {
    client.release();
  }
});

test("values that a type cannot hold are refused before they are written, and a half written row can be taken back", () => {
  const encoder = new BinaryCopyEncoder();
  const refused = (write: () => void): void =>
    assert.throws(write, (error) => error instanceof DbError && error.code === "DB_VALUE_UNSAFE");
  const before = encoder.bytes;
  const mark = encoder.mark();
  encoder.row(1);
  refused(() => encoder.int2(32_768));
  refused(() => encoder.int2(1.5));
  refused(() => encoder.int4(2 ** 31));
  refused(() => encoder.int4(Number.NaN));
  refused(() => encoder.int8(2 ** 53));
  refused(() => encoder.timestamptzUs(0.5));
  refused(() => encoder.timestamptzUs(Number.MIN_SAFE_INTEGER));
  refused(() => encoder.text("a\0b"));
  for (const bad of [
    "",
    "x",
    "00000000-0000-0000-0000-00000000000g",
    "00000000000000000000000000000000",
    "0000000000-000-0000-0000-000000000000",
  ])
    refused(() => encoder.uuid(bad));
  refused(() => encoder.uuidBytes(Buffer.alloc(15)));
  encoder.truncate(mark);
  assert.equal(encoder.bytes, before);
  assert.equal(encoder.rows, 0);
  const small = new BinaryCopyEncoder({ initialBytes: 64, bytesMax: 128 });
  small.row(1);
  refused(() => small.bytea(Buffer.alloc(200)));
});

test("inet takes exactly the bare addresses that Node knows, and PostgreSQL takes them all", async () => {
  const almost = fc.oneof(
    ip,
    fc.string({ unit: fc.constantFrom(...Array.from("0123456789abcdefABCDEF:.:.:%/ g")), maxLength: 45 }),
    fc
      .tuple(ip, fc.nat({ max: 44 }), fc.constantFrom("0", ":", ".", "f", " "))
      .map(([text, at, extra]) => text.slice(0, at) + extra + text.slice(at)),
    fc.tuple(ip, fc.nat({ max: 44 })).map(([text, at]) => text.slice(0, at) + text.slice(at + 1)),
  );
  await pool.query(
    `CREATE FUNCTION is_inet(t text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN masklen(t::inet) >= 0; EXCEPTION WHEN OTHERS THEN RETURN false; END $$`,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(almost, { minLength: 40, maxLength: 40 }), async (texts) => {
      const { rows } = await pool.query<{ t: string; ok: boolean }>("SELECT t, is_inet(t) AS ok FROM unnest($1::text[]) AS t", [texts]);
      for (const { t, ok } of rows) {
        // PostgreSQL takes more: networks such as "10.1", prefixes, octets with leading zeros or missing.
        const taken = writeInet(t, new Uint8Array(20), 0) !== 0;
        assert.equal(taken, isIP(t) !== 0 && !t.includes("%"), t);
        if (taken) assert.ok(ok, `PostgreSQL refuses ${t}`);
      }
    }),
    { numRuns: 60 },
  );
});

test("textBytes gives a piece of bytes back as it came", async () => {
  const client = await pool.connect();
  try {
    const encoder = new BinaryCopyEncoder();
    encoder.row(1);
    const bytes = Buffer.from("(Zürich 東京 🙂)", "utf8");
    encoder.textBytes(bytes, 1, bytes.length - 1);
    await client.query("BEGIN; TRUNCATE t");
    await copyIn(client, "COPY t (words) FROM STDIN (FORMAT binary)", [encoder.finish()]);
    assert.equal((await client.query("SELECT words FROM t")).rows[0]?.words, "Zürich 東京 🙂");
  } finally {
    await client.query("ROLLBACK");
    client.release();
  }
});

test("a COPY that its source aborts stores nothing and leaves the connection ready", async () => {
  const client = await pool.connect();
  try {
    const encoder = new BinaryCopyEncoder();
    for (let n = 0; n < 50_000; n++) {
      encoder.row(2);
      encoder.int4(n);
      encoder.text("some text that makes the buffer large");
    }
    const good = encoder.finish();
    const fails = async function* (): AsyncGenerator<Buffer> {
      yield good.subarray(0, good.length / 2);
      throw new RangeError("the source has failed");
    };
    await client.query("TRUNCATE t");
    for (const inTransaction of [false, true]) {
      if (inTransaction) await client.query("BEGIN");
      await assert.rejects(copyIn(client, "COPY t (n, words) FROM STDIN (FORMAT binary)", fails()), RangeError);
      if (inTransaction) {
        await assert.rejects(client.query("SELECT 1"), (error) => sqlState(error) === "25P02");
        await client.query("ROLLBACK");
      }
      assert.equal((await client.query("SELECT count(*) AS n FROM t")).rows[0]?.n, 0);
    }
    const controller = new AbortController();
    const aborts = async function* (): AsyncGenerator<Buffer> {
      yield good.subarray(0, 1000);
      controller.abort(new Error("stop"));
      yield good.subarray(1000);
    };
    await assert.rejects(copyIn(client, "COPY t (n, words) FROM STDIN (FORMAT binary)", aborts(), controller.signal), /stop/);
    assert.equal((await client.query("SELECT count(*) AS n FROM t")).rows[0]?.n, 0);
  } finally {
    client.release();
  }
});

test("a COPY that the server refuses, at once or in the middle, rejects with its SQLSTATE and leaves the connection ready", async () => {
  const client = await pool.connect();
  try {
    await assert.rejects(
      copyIn(client, "COPY nowhere FROM STDIN (FORMAT binary)", [Buffer.alloc(10)]),
      (error) => sqlState(error) === "42P01",
    );
    await client.query("CREATE TEMP TABLE few (n int CHECK (n < 1000), words text)");
    const encoder = new BinaryCopyEncoder();
    for (let n = 0; n < 200_000; n++) {
      encoder.row(2);
      encoder.int4(n);
      encoder.text("some text that makes the buffer large");
    }
    const bytes = encoder.finish();
    for (let round = 0; round < 3; round++) {
      await assert.rejects(copyIn(client, "COPY few FROM STDIN (FORMAT binary)", [bytes]), (error) => sqlState(error) === "23514");
      assert.equal((await client.query("SELECT count(*) AS n FROM few")).rows[0]?.n, 0);
    }
  } finally {
    client.release();
  }
});

test("a reader of COPY that stops early, or whose query fails, leaves the connection ready", async () => {
  const client = await pool.connect();
  try {
    for await (const chunk of copyOut(client, "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT (FORMAT binary)")) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.equal((await client.query("SELECT 1 AS one")).rows[0]?.one, 1);
    await assert.rejects(collect(copyOut(client, "COPY (SELECT * FROM nowhere) TO STDOUT")), (error) => sqlState(error) === "42P01");
    await assert.rejects(
      collect(copyOut(client, "COPY (SELECT 1 / (5000 - n) FROM generate_series(1, 10000) n) TO STDOUT")),
      (error) => sqlState(error) === "22012",
    );
    assert.equal((await client.query("SELECT 1 AS one")).rows[0]?.one, 1);
  } finally {
    client.release();
  }
});

test("R-10 damaged streams are refused", () => {
  const encoder = new BinaryCopyEncoder();
  encoder.row(1);
  encoder.bytea(Buffer.from("payload"));
  const good = Buffer.from(encoder.finish());
  const decode = (bytes: Buffer, fields = 1): void => {
    const decoder = new BinaryCopyDecoder({ fields, fieldBytesMax: 1024 });
    decoder.push(bytes);
    decoder.end();
  };
  decode(good);
  const malformed = (work: () => void): void =>
    assert.throws(work, (error) => error instanceof DbError && error.code === "DB_COPY_MALFORMED");
  malformed(() => decode(good, 2));
  malformed(() => decode(good.subarray(0, good.length - 2)));
  malformed(() => decode(good.subarray(0, good.length - 4)));
  malformed(() => decode(Buffer.concat([good, Buffer.from([0, 1])])));
  malformed(() => decode(Buffer.concat([Buffer.from("x"), good])));
  const long = Buffer.from(good);
  long.writeInt32BE(2000, 21);
  malformed(() => decode(long));
});
