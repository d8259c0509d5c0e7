/**
 * Leases that are renewed while row transactions hold the places: who keeps them stands in nobody's way.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
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
const taken = (subject: PostgresSubject, leaseMs: number): Promise<Lease[]> =>
  subject.bus.acquire("engine", "one", { leaseMs, partsMax: 4, held: [] });

const tokens = (leases: readonly Lease[]): (readonly [part: number, token: number])[] =>
  leases.map(({ part, token }) => [part, token] as const).toSorted(([a], [b]) => a - b);

test("DP-49 R-3 a renewal leaves alone what a row transaction holds, and holds up nobody", () =>
  withSubject(async (subject) => {
    const { bus, admin } = subject;
    const leases = await taken(subject, 60_000);
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
      assert.ok(held <= 60, "its lease is as the row transaction left it");
    } finally {
      writer.release(true);
    }
  }));

test("DP-49 R-3 a renewal waits where it must: for a lease that runs out, and for partitions that it has to give up", () =>
  withSubject(async (subject) => {
    const { bus, other, admin } = subject;
    for (const gives of [false, true]) {
      const leases = await taken(subject, gives ? 60_000 : 40_000);
      if (gives) await other.acquire("engine", "two", { leaseMs: 60_000, partsMax: 16, held: [] });
      const writer = await admin.connect();
      try {
        if (gives) await admin.query("UPDATE bus.group_member SET parts_max = 1 WHERE grp = 'engine' AND member = 'one'");
        await writer.query("BEGIN");
        await writer.query(place, [leases[1]?.part]);
        const renewal = bus.renew(leases, gives ? 60_000 : 100_000);
        await until(async () => (await admin.query<{ n: number }>(waiting)).rows[0]?.n === 1);
        await writer.query("COMMIT");
        assert.equal((await renewal).length, gives ? 1 : 4);
        assert.ok((await ends(subject)).slice(0, 1).every((s) => s > (gives ? 40 : 60)));
      } finally {
        writer.release(true);
      }
      await bus.release(leases);
    }
  }));
