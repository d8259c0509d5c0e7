/** Rebuilds that are ended at any step, of days with any history, and what audit and retention say of them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { auditDatabase, detachDay, expireDay, finishRemoval, openClient, openReference, undoRebuild } from "ransomeye-db";
import { openTestServer, signAway, tamper } from "ransomeye-db/testing";
import { systemClock, systemRandom } from "ransomeye-kernel";
import { rebuildDay, type RebuildStep } from "../src/rebuild.ts";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { type Fixture, fixturesOf, until } from "./postgres_fixture.ts";
import { aside, asOlderRelease, assertBalanced, contentOf, rebuildWorld, type RebuildWorld, setBack } from "./rebuild_world.ts";

const server = await openTestServer();
after(() => server.close());
const withFixture = fixturesOf(server);

/** Ends the connection that a rebuild works on, as a death of its process does. */
async function endConnection({ database }: Fixture, client: unknown): Promise<void> {
  const pid = (client as { readonly processID: number }).processID;
  await database.pool.query("SELECT pg_terminate_backend($1)", [pid]);
  await until(async () => (await database.pool.query("SELECT FROM pg_stat_activity WHERE pid = $1", [pid])).rows.length === 0);
}

test(
  "DP-55 R-3 a rebuild that is ended at any step has changed nothing that is read, and the next one does the whole of it",
  { timeout: 120_000 },
  () =>
    withFixture(async (fixture) => {
      const world = await rebuildWorld(fixture);
      const { day, reader, rebuilder, rebuild } = world;
      await asOlderRelease(world);
      await rebuilder.query("SELECT * FROM ops.ledger_fold()");
      const old = await contentOf(fixture, day);
      const steps: readonly RebuildStep[] = ["begun", "filled", "compared", "sealed", "committed"];
      for (const at of steps) {
        const died = new Error(`died when ${at}`);
        await assert.rejects(
          rebuild({
            replaceAs: "ada",
            probe: async (step, client) => {
              if (step !== at) return;
              await endConnection(fixture, client);
              throw died;
            },
          }),
          ({ cause }: Error) => cause === died,
        );
        assert.equal(await contentOf(fixture, day), old, at);
        await assertBalanced(reader);
        assert.equal((await aside(fixture)).length, at === "committed" ? 3 : 0, at);
      }
      // What was complete and never put into place is none of the next one's.
      const looked = await rebuild();
      assert.equal(looked.kind, "different");
      // In the middle of the exchange: it waits for a table, and its connection ends.
      const holder = await reader.connect();
      await holder.query("BEGIN; SELECT FROM views.events LIMIT 1");
      const exchange = rebuild({ replaceAs: "ada" });
      exchange.catch(() => undefined);
      await until(async () => {
        const { rows } = await fixture.database.pool.query<{ pid: number }>(
          "SELECT pid FROM pg_stat_activity WHERE query LIKE '%rebuild_replace%' AND wait_event_type = 'Lock'",
        );
        for (const { pid } of rows) await fixture.database.pool.query("SELECT pg_terminate_backend($1)", [pid]);
        return rows.length > 0;
      });
      await assert.rejects(exchange);
      await holder.query("COMMIT");
      holder.release();
      assert.equal(await contentOf(fixture, day), old);
      await assertBalanced(reader);
      assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
      assert.equal(await contentOf(fixture, day), world.fresh);
      await assertBalanced(reader);
      assert.deepEqual(
        (await aside(fixture)).filter((name) => name.includes("_rebuilt_")),
        [],
      );
      assert.equal((await reader.query("SELECT FROM views.rebuild_records")).rows.length, 1);
    }),
);

test(
  "DP-56 DP-3 DP-30 the audit of the catalogue knows what stands beside a day and nothing more; retention takes it along with the day",
  { timeout: 120_000 },
  () =>
    withFixture(async (fixture) => {
      const world = await rebuildWorld(fixture);
      const { day, reader, rebuild } = world;
      const { database } = fixture;
      await asOlderRelease(world);
      const reference = await openReference({ log: "here", telemetry: fixture.telemetry, clock: systemClock, random: systemRandom });
      const live = await openClient(database.roleConnection("ransomeye_reader"), "audit");
      const drift = async (): Promise<string[]> =>
        (await auditDatabase({ live, reference: reference.client, log: "here" })).map(({ object }) => object);
      try {
        assert.deepEqual(await drift(), []);
        await rebuild({
          replaceAs: "ada",
          probe: async (step) => {
            if (step === "committed") assert.deepEqual(await drift(), []);
          },
        });
        assert.equal((await aside(fixture)).length, 3);
        assert.deepEqual(await drift(), []);
        await database.pool.query(`CREATE TABLE data.gaps_replaced_${day.replaceAll("-", "_")} ()`);
        assert.deepEqual([...new Set(await drift())], [`day of data.gaps_replaced: ${day}`], "one that no rebuild has left is told");
        await database.pool.query(`DROP TABLE data.gaps_replaced_${day.replaceAll("-", "_")}`);
        await signAway(database.pool, day);
        const keeper = { pool: database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: fixture.telemetry };
        assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "expired" });
        assert.deepEqual(await rebuild(), { kind: "refused", why: "leaving" });
        await assertBalanced(reader);
        assert.equal(await detachDay(database.connection), "detached");
        assert.equal((await finishRemoval(keeper))?.tablesLeft, 0);
        assert.deepEqual(await aside(fixture), []);
        assert.deepEqual((await reader.query("SELECT FROM views.day_rebuilds")).rows, []);
        assert.equal((await reader.query("SELECT FROM views.rebuild_records")).rows.length, 1, "who did what stays on record");
        await assertBalanced(reader);
        assert.deepEqual(await drift(), []);
      } finally {
        await live.end();
        await reference.close();
      }
    }),
);

/** One batch of a day. */
type Batch =
  | { readonly kind: "lines"; readonly bad: readonly boolean[] }
  | { readonly kind: "gap"; readonly count: number }
  | { readonly kind: "broken"; readonly count: number }
  | { readonly kind: "epoch" };
const batch: fc.Arbitrary<Batch> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("lines" as const), bad: fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("gap" as const, "broken" as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "epoch" as const }) },
);
/** What an older release has made of a share of the rows. */
const older = fc.record({ every: fc.integer({ min: 1, max: 4 }), what: fc.constantFrom("version", "column", "refused", "accepted") });
const history = fc.record({
  batches: fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), batch), { minLength: 1, maxLength: 12 }),
  older: fc.array(older, { maxLength: 3 }),
  isFolded: fc.boolean(),
  isHeld: fc.boolean(),
  thenUndone: fc.boolean(),
});

async function build(fixture: Fixture, batches: readonly (readonly [number, Batch])[]): Promise<Pick<RebuildWorld, "day">> {
  const chains = [new Chain(producerId(1), "linux"), new Chain(producerId(2), "windows"), new Chain(producerId(3), "honeypot")];
  const { lifetime } = fixture.engine();
  for (const chain of chains) await fixture.openEpoch(chain);
  for (const [who, one] of batches) {
    const chain = chains[who] as Chain;
    if (one.kind === "epoch") await fixture.openEpoch(chain);
    else if (one.kind === "gap") await fixture.append(chain, [chain.frame({ gap: { count: one.count, reason: "spool_full" } })]);
    else if (one.kind === "broken") await fixture.append(chain, [chain.frame({ payload: Buffer.from("?"), count: one.count })]);
    else await fixture.append(chain, [chain.frame({ lines: one.bad.map((bad, n) => (bad ? "{" : eventLine(`h${n}`))) })]);
  }
  await fixture.stored();
  await lifetime.drain();
  return { day: await setBack(fixture) };
}

async function age({ database: { pool } }: Fixture, { every, what }: { readonly every: number; readonly what: string }): Promise<void> {
  for (const table of ["events_agent", "events_honeypot"]) {
    const place = "received_at, producer_id, epoch, seq, 1, frame_part, frame_off, line, byte_offset, byte_length";
    const chosen = `seq % ${every} = 0 AND line IS NOT NULL`;
    if (what === "version") await tamper(pool, `data.${table}`, `UPDATE data.${table} SET normaliser_version = 7 WHERE ${chosen}`);
    else if (what === "column") await tamper(pool, `data.${table}`, `UPDATE data.${table} SET host = NULL, flags = 2 WHERE ${chosen}`);
    else if (what === "refused") {
      await pool.query(`INSERT INTO data.event_dead_letters (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, line, byte_offset, byte_length, code, detail)
        SELECT ${place}, 'ENGINE_ROW_REFUSED', '' FROM data.${table} WHERE ${chosen}`);
      await tamper(pool, `data.${table}`, `DELETE FROM data.${table} WHERE ${chosen}`);
    } else {
      const kinds = table === "events_honeypot" ? "= 4" : "< 4";
      const letters = `line IS NOT NULL AND first_seq % ${every} = 0 AND producer_id IN (SELECT producer_id FROM data.sink_head WHERE producer_kind ${kinds})`;
      await pool.query(`INSERT INTO data.${table} (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
        SELECT received_at, received_at, producer_id, epoch, first_seq, frame_part, frame_off, line, byte_offset, byte_length, 0, 1, 1, 0, 1, 1, 7 FROM data.event_dead_letters WHERE ${letters}`);
      await tamper(pool, "data.event_dead_letters", `DELETE FROM data.event_dead_letters WHERE ${letters}`);
    }
  }
}

test(
  "DP-53 R-8 R-19 of any day, whatever an older release has made of it, the rows are those of its batches afterwards; the ledger balances before, after and when it is undone",
  { timeout: 240_000 },
  () =>
    fc.assert(
      fc.asyncProperty(history, ({ batches, older: ages, isFolded, isHeld, thenUndone }) =>
        withFixture(async (fixture) => {
          const { day } = await build(fixture, batches);
          const { database } = fixture;
          const [reader, rebuilder] = [database.rolePool("ransomeye_reader"), database.rolePool("ransomeye_rebuilder")];
          const fresh = await contentOf(fixture, day);
          for (const one of ages) await age(fixture, one);
          if (isFolded) await rebuilder.query("SELECT * FROM ops.ledger_fold()");
          if (isHeld) await database.rolePool("ransomeye_custodian").query("SELECT ops.hold_place(NULL, NULL, NULL, 'case', 'ada')");
          const old = await contentOf(fixture, day);
          await assertBalanced(reader);
          const how = { pool: rebuilder, clock: systemClock, telemetry: fixture.telemetry, day, waitMsMax: 20_000 };
          const looked = await rebuildDay(how);
          assert.equal(looked.kind, old === fresh ? "same" : "different");
          const outcome = await rebuildDay({ ...how, replaceAs: "ada" });
          assert.equal(outcome.kind, old === fresh ? "same" : "replaced");
          assert.equal(await contentOf(fixture, day), fresh);
          await assertBalanced(reader);
          const { rows } = await reader.query<{ rebuild: number }>("SELECT rebuild FROM views.day_rebuilds");
          const rebuilt = rows[0]?.rebuild;
          if (!thenUndone || rebuilt === undefined) return;
          assert.equal(await undoRebuild({ pool: rebuilder, clock: systemClock, day, rebuild: rebuilt, actor: "ada" }), "done");
          assert.equal(await contentOf(fixture, day), old);
          await assertBalanced(reader);
        }),
      ),
      { numRuns: 15 },
    ),
);
