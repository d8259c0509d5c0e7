/**
 * Leases that are renewed while row transactions hold the places: who keeps them stands in nobody's way.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { copyIn, type Pool, type PoolClient } from "ransomeye-db";
import { openTestServer } from "ransomeye-db/testing";
import { hasCode } from "ransomeye-kernel";
import type { Lease } from "../src/bus.ts";
import { type PostgresSubject, subjectsOf, until } from "./postgres_subject.ts";

const server = await openTestServer();
after(() => server.close());

const withSubject = subjectsOf(server);

const place = "UPDATE bus.consumer_offset SET off = off WHERE grp = 'engine' AND part = $1";
const waiting =
  "SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
/** Lease ends of the group, in seconds from now. */
const ends = async ({ admin }: PostgresSubject): Promise<number[]> => {
  const { rows } = await admin.query<{ s: number }>(
    "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS s FROM bus.consumer_offset WHERE grp = 'engine' AND owner IS NOT NULL ORDER BY part",
  );
  return rows.map(({ s }) => s);
};
/** Leases that ended so many seconds ago. */
const late = (admin: Pool, seconds: number): Promise<unknown> =>
  admin.query(
    "UPDATE bus.consumer_offset SET lease_until = clock_timestamp() - $1 * interval '1 second' WHERE grp = 'engine' AND owner IS NOT NULL",
    [seconds],
  );
const taken = (subject: PostgresSubject, leaseMs: number): Promise<Lease[]> =>
  subject.bus.acquire("engine", "one", { leaseMs, partsMax: 4, held: [] });

async function* silence(): AsyncGenerator<Buffer> {
  yield await new Promise<never>(() => undefined);
}

/** As the engine in the middle of its row transaction: a place is moved, and a COPY waits for bytes that never come. */
async function standStill(pool: Pool, part: number | undefined): Promise<PoolClient> {
  const client = await pool.connect();
  client.on("error", () => undefined);
  await client.query("BEGIN");
  await client.query(place, [part]);
  const copy = "COPY data.gaps (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, reason) FROM STDIN";
  void copyIn(client, copy, silence()).catch(() => undefined);
  return client;
}
const tokens = (leases: readonly Lease[]): (readonly [part: number, token: number])[] =>
  leases.map(({ part, token }) => [part, token] as const).toSorted(([a], [b]) => a - b);

test("DP-49 R-3 a renewal leaves alone what a row transaction holds, and holds up nobody", () =>
  withSubject(async (subject) => {
    const { bus, admin } = subject;
    const leases = await taken(subject, 60_000);
    await late(admin, -5);
    const writer = await admin.connect();
    try {
      await writer.query("BEGIN");
      await writer.query(place, [leases[1]?.part]);
      let renewed: Lease[] | undefined;
      const renewal = bus.renew(leases, 100_000).then((kept) => (renewed = kept));
      await until(async () => renewed !== undefined || (await admin.query<{ n: number }>(waiting)).rows[0]?.n !== 0);
      assert.ok(renewed !== undefined, "the renewal waits for a row transaction");
      assert.deepEqual(tokens(renewed), tokens(leases));
      await renewal;
      await writer.query("COMMIT");
      const [first = 0, held = 0, ...others] = await ends(subject);
      assert.ok([first, ...others].every((s) => s > 60));
      assert.ok(held <= 5, "its lease, short as it is, is as the row transaction left it");
    } finally {
      writer.release(true);
    }
  }));

test("DP-49 R-3 a renewal waits where it must: for a lease that has run out, and for partitions that it has to give up", () =>
  withSubject(async (subject) => {
    const { bus, other, admin } = subject;
    for (const gives of [false, true]) {
      const leases = await taken(subject, 60_000);
      if (!gives) await late(admin, 1);
      if (gives) await other.acquire("engine", "two", { leaseMs: 60_000, partsMax: 16, held: [] });
      const writer = await admin.connect();
      try {
        if (gives) await admin.query("UPDATE bus.group_member SET parts_max = 1 WHERE grp = 'engine' AND member = 'one'");
        await writer.query("BEGIN");
        await writer.query(place, [leases[1]?.part]);
        const renewal = bus.renew(leases, 60_000);
        await until(async () => (await admin.query<{ n: number }>(waiting)).rows[0]?.n === 1);
        await writer.query("COMMIT");
        assert.equal((await renewal).length, gives ? 1 : 4);
        assert.ok((await ends(subject)).slice(0, 1).every((s) => s > 40));
      } finally {
        writer.release(true);
      }
      await bus.release(leases);
    }
  }));

test("DP-47 R-3 a renewal that has to wait does not wait for ever: it fails after a lease's time, and holds nothing", () =>
  withSubject(async (subject) => {
    const { bus, admin } = subject;
    const leases = await taken(subject, 10_000);
    const holder = await admin.connect();
    try {
      await late(admin, 1);
      await holder.query("BEGIN");
      await holder.query(place, [leases[1]?.part]);
      await assert.rejects(bus.renew(leases, 300), (error) => hasCode(error, "BUS_UNAVAILABLE"));
      const others = await admin.query("SELECT FROM bus.consumer_offset WHERE grp = 'engine' AND part <> $1 FOR UPDATE NOWAIT", [
        leases[1]?.part,
      ]);
      assert.ok(others.rows.length > 0);
    } finally {
      holder.release(true);
    }
  }));

for (const heir of ["two", "one"]) {
  test(`DP-47 R-3 whoever stands still in a COPY past its lease is ended by ${heir === "one" ? "itself, when it renews" : "who would own its partition"}`, () =>
    withSubject(async (subject) => {
      const { bus, other, admin, enginePool } = subject;
      const leases = await taken(subject, 10_000);
      await late(admin, 30);
      if (heir === "two") await admin.query("DELETE FROM bus.group_member");
      const client = await standStill(enginePool, leases[1]?.part);
      try {
        let gone = false;
        client.once("end", () => {
          gone = true;
        });
        const won = new Set<number>();
        await until(async () => {
          if (heir === "one") await bus.renew(leases, 10_000);
          else for (const { part } of await other.acquire("engine", heir, { leaseMs: 10_000, partsMax: 16, held: [] })) won.add(part);
          return gone && (heir === "one" || won.has(leases[1]?.part ?? -1));
        });
        if (heir === "one")
          assert.ok(
            (await ends(subject)).every((s) => s > 0),
            "and its leases are its own again",
          );
      } finally {
        client.release(true);
      }
    }));
}

test("DP-47 R-3 who is late but still at work, not yet late enough, or somebody else is not ended", () =>
  withSubject(async (subject) => {
    const { other, admin, enginePool } = subject;
    const leases = await taken(subject, 10_000);
    const part = leases[1]?.part;
    const pids = async (): Promise<number[]> =>
      (
        await admin.query<{ pid: number }>(
          "SELECT DISTINCT l.pid FROM pg_locks l JOIN bus.consumer_offset o ON l.transactionid = o.xmax WHERE l.granted AND l.mode = 'ExclusiveLock'",
        )
      ).rows.map(({ pid }) => pid);
    const stays = async (client: PoolClient): Promise<void> => {
      const before = await pids();
      assert.equal(before.length, 1);
      for (let times = 0; times < 3; times += 1) await other.acquire("engine", "two", { leaseMs: 10_000, partsMax: 16, held: [] });
      assert.deepEqual(await pids(), before);
      await admin.query("SELECT pg_terminate_backend($1)", before);
      client.release(true);
      await until(async () => (await pids()).length === 0);
    };
    // Late, but by less than the lease was long.
    await late(admin, 5);
    await stays(await standStill(enginePool, part));
    // Late enough, and the server is busy with its question.
    await late(admin, 30);
    const busy = await enginePool.connect();
    busy.on("error", () => undefined);
    await busy.query("BEGIN");
    await busy.query(place, [part]);
    void busy.query("SELECT pg_sleep(60)").catch(() => undefined);
    await stays(busy);
    // Late enough and silent, but no engine's.
    await late(admin, 30);
    await stays(await standStill(admin, part));
  }));
