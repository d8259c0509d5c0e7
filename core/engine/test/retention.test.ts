/** Why: retention is the keeper's, and what must not notice it are appends and row transactions; here a real bus and a real engine run beside it. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { detachDay, expireDay, finishRemoval, utcDay } from "ransomeye-db";
import { openTestServer, signAway, tamper } from "ransomeye-db/testing";
import { systemClock } from "ransomeye-kernel";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { type Fixture, fixturesOf, until } from "./postgres_fixture.ts";

const server = await openTestServer();
after(() => server.close());
const withFixture = fixturesOf(server);

/** Everything that is stored was received a day earlier. */
async function setBack({ database }: Fixture): Promise<string> {
  await database.pool.query("SELECT ops.ensure_partitions($1::date, 1)", [utcDay(systemClock.nowUs(), -2)]);
  const back = "received_at = received_at - interval '1 day'";
  for (const table of ["bus.frames", "data.events_agent"]) await tamper(database.pool, table, `UPDATE ${table} SET ${back}`);
  await database.pool.query(
    `UPDATE bus.partition_head SET received_us = received_us - 86400000000 WHERE off > 0;
     UPDATE bus.consumer_offset SET entry_received_us = entry_received_us - 86400000000 WHERE off > 0`,
  );
  return utcDay(systemClock.nowUs(), -1);
}

test(
  "DP-31 R-33 appends, rows and days ahead go on while a day's removal waits for somebody's long transaction; none of them waits for a lock of it",
  {
    timeout: 120_000,
  },
  () =>
    withFixture(async (fixture) => {
      const { database } = fixture;
      const chain = new Chain(producerId(1), "linux");
      await fixture.openEpoch(chain);
      const engine = fixture.engine();
      for (let n = 0; n < 5; n++) await fixture.append(chain, [chain.frame({ lines: [eventLine("a"), eventLine("b")] })]);
      await fixture.stored();
      await engine.lifetime.drain();
      const day = await setBack(fixture);
      await signAway(database.pool, day);
      const keeper = { pool: database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: fixture.telemetry };
      fixture.engine({ member: "two" });
      const reader = await database.rolePool("ransomeye_reader").connect();
      const queued: unknown[] = [];
      const watching = new AbortController();
      const watch = (async () => {
        while (!watching.signal.aborted) {
          // Whoever of gateway and engine waits, for whatever table; leases and heads are rows, and no part of this.
          const { rows } = await database.pool.query(
            `SELECT l.relation::regclass::text AS relation, l.mode, a.query FROM pg_locks l JOIN pg_stat_activity a USING (pid)
           WHERE NOT l.granted AND l.locktype = 'relation' AND a.usename IN ('ransomeye_gate', 'ransomeye_engine')`,
          );
          queued.push(...rows);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      try {
        assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" });
        // A report that runs for hours, begun after the day was counted: the removal begins, and has to wait for it in the middle.
        await reader.query("BEGIN");
        await reader.query("SELECT count(*) FROM views.log_entries");
        let results: string[] = [];
        const detach = async (): Promise<void> => {
          results = [...results, await detachDay(database.connection)];
        };
        let detaching = detach();
        const waits = async (): Promise<boolean> =>
          (
            await database.pool.query(
              "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'ransomeye retention' AND NOT l.granted",
            )
          ).rows.length > 0;
        await until(waits);
        const before = chain.seq;
        for (let round = 0; round < 3; round++) {
          for (let n = 0; n < 20; n++) await fixture.append(chain, [chain.frame()]);
          await fixture.stored();
          await detaching;
          detaching = detach();
        }
        await detaching;
        assert.equal(chain.seq, before + 60);
        assert.deepEqual(new Set(results), new Set(["waiting"]), "it gives up after a while, and is tried again");
        // Between two attempts a day that is missing can be made.
        await database.rolePool("ransomeye_engine").query("SELECT ops.ensure_partitions($1::date, 1)", [utcDay(systemClock.nowUs(), 20)]);
        await reader.query("COMMIT");
        assert.equal(await detachDay(database.connection), "detached");
        assert.equal((await finishRemoval(keeper))?.tablesLeft, 0);
      } finally {
        watching.abort();
        await watch;
        reader.release(true);
      }
      assert.deepEqual(queued, []);
      const { rows } = await database.pool.query("SELECT stored, expired, in_flight, imbalance, misplaced_epochs FROM views.ledger_live");
      assert.deepEqual(rows, [{ stored: 70, expired: 10, in_flight: 0, imbalance: 0, misplaced_epochs: 0 }]);
    }),
);

test("DP-35 R-33 FM-13 who sends again what went with a day behind a held one gets a receipt and no accusation, and has not diverged", () =>
  withFixture(async (fixture) => {
    const { database } = fixture;
    const chain = new Chain(producerId(2), "linux");
    const part = await fixture.openEpoch(chain);
    const { lifetime } = fixture.engine();
    const frames = [1, 2, 3, 4].map(() => chain.frame({ lines: [eventLine("a"), eventLine("b")] }));
    await fixture.append(chain, frames.slice(0, 2));
    await fixture.stored();
    await setBack(fixture);
    await fixture.append(chain, frames.slice(2, 3));
    await fixture.stored();
    const day = await setBack(fixture);
    await lifetime.drain();
    const last = frames[2];
    assert.ok(last !== undefined);
    await signAway(database.pool, day);
    await database.pool.query("INSERT INTO evidence.expired_chain SELECT number, 0, $1, 1, 5, 6, $2, $2 FROM evidence.statement", [
      chain.producer,
      last.link.hash,
    ]);
    const noon = `${utcDay(systemClock.nowUs(), -2)} 12:00:00+00`;
    await database.rolePool("ransomeye_custodian").query("SELECT ops.hold_place(NULL, NULL, $1::timestamptz, 'case 7', 'ada')", [noon]);
    const keeper = { pool: database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: fixture.telemetry };
    assert.deepEqual(await expireDay(keeper, utcDay(systemClock.nowUs(), -2), "age"), { kind: "held" });
    assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" });
    await detachDay(database.connection);
    assert.equal((await finishRemoval(keeper))?.tablesLeft, 0);
    assert.deepEqual((await database.pool.query("SELECT off FROM bus.frames ORDER BY off")).rows, [{ off: 1 }, { off: 2 }]);
    const again = await fixture.bus.append(part, frames.slice(0, 3), { gateway: "test", incarnation: producerId(99), registryVersion: 0 });
    assert.deepEqual(
      again.map((outcome) => [outcome.kind, outcome.kind === "duplicate" && outcome.acceptedBy !== null]),
      [
        ["duplicate", true],
        ["duplicate", true],
        ["duplicate", false],
      ],
    );
    assert.deepEqual((await database.rolePool("ransomeye_reader").query("SELECT producer_id FROM views.sink_diverged")).rows, []);
    fixture.engine({ member: "two" });
    await fixture.append(chain, frames.slice(3));
    await fixture.stored();
    const { rows } = await database.pool.query("SELECT stored, expired, imbalance, misplaced_epochs FROM views.ledger");
    assert.deepEqual(rows, [{ stored: 8, expired: 2, imbalance: 0, misplaced_epochs: 0 }]);
  }));
