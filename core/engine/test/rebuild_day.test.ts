/** Rebuilding a day: from its batches, by the engine's own code, beside the day, and into its place in one moment. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { discardRebuild, type RebuildFinding, undoRebuild } from "ransomeye-db";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { hasCode, systemClock } from "ransomeye-kernel";
import { NORMALISER_VERSION } from "ransomeye-ingestion/protocol";
import { eventLine, producerId } from "../src/testing.ts";
import { fixturesOf, until } from "./postgres_fixture.ts";
import { aside, asOlderRelease, assertBalanced, contentOf, rebuildWorld, setBack } from "./rebuild_world.ts";

const server = await openTestServer();
after(() => server.close());
const withFixture = fixturesOf(server);

/** `table kind columns events`, without what is the same. */
const told = (findings: readonly RebuildFinding[]): string[] =>
  findings
    .filter(({ kind }) => kind !== "same")
    .map(({ table, kind, columns, events }) => [table, kind, ...columns, events].join(" "))
    .sort();

const older = [
  "event_dead_letters gone 1",
  "event_dead_letters new 1",
  "events_agent changed host 5",
  "events_agent recovered 1",
  "events_agent refused 1",
  "events_dpi reversioned 6",
];

test("DP-52 R-18 a look at a day says how its rows differ from what its batches give, by kind, column and event, and changes nothing", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, rebuild } = world;
    assert.equal((await rebuild()).kind, "same");
    await asOlderRelease(world);
    const before = await contentOf(fixture, day);
    const looked = await rebuild();
    assert.ok(looked.kind === "different");
    assert.deepEqual(told(looked.findings), older);
    const changed = looked.findings.find(({ kind }) => kind === "changed");
    assert.deepEqual([changed?.versionWas, changed?.versionIs, changed?.examples], [7, NORMALISER_VERSION, [`${producerId(1)}:1:1`]]);
    assert.deepEqual(
      looked.findings.filter(({ table, kind }) => table === "events_dpi" && kind === "same"),
      [],
      "rows of another version are told",
    );
    // What somebody has done to rows, which no version explains: one is gone, one was invented, one stands twice.
    await tamper(fixture.database.pool, "data.events_honeypot", "DELETE FROM data.events_honeypot WHERE seq = 1");
    await fixture.database.pool.query(
      "INSERT INTO data.events_honeypot SELECT * FROM data.events_honeypot WHERE seq = 2; INSERT INTO data.gaps SELECT received_at, producer_id, 9, first_seq, count, frame_part, frame_off, reason FROM data.gaps LIMIT 1",
    );
    await tamper(fixture.database.pool, "data.events_honeypot", "UPDATE data.events_honeypot SET seq = 77 WHERE seq = 3");
    const again = await rebuild();
    assert.ok(again.kind === "different");
    assert.deepEqual(told(again.findings), [...older, "events_honeypot foreign 2", "events_honeypot missing 2", "gaps gone 1"].sort());
    await tamper(fixture.database.pool, "data.events_honeypot", "DELETE FROM data.events_honeypot");
    await tamper(fixture.database.pool, "data.gaps", "DELETE FROM data.gaps");
    assert.deepEqual(await aside(fixture), []);
    assert.notEqual(before, world.fresh);
    assert.deepEqual((await world.reader.query("SELECT FROM views.rebuild_records")).rows, []);
  }));

test(
  "DP-53 R-19 a day of an older normaliser is replaced while an engine stores today and readers read: each finds the old rows or the new, and the ledger balances at each moment",
  { timeout: 120_000 },
  () =>
    withFixture(async (fixture) => {
      const world = await rebuildWorld(fixture);
      const { day, chains, reader, rebuilder, rebuild } = world;
      await asOlderRelease(world);
      await rebuilder.query("SELECT * FROM ops.ledger_fold()");
      const old = await contentOf(fixture, day);
      await assertBalanced(reader);
      fixture.engine({ member: "two" });
      const over = new AbortController();
      let seen = 0;
      const watch = (async () => {
        while (!over.signal.aborted) {
          await assertBalanced(reader);
          const content = await contentOf(fixture, day);
          assert.ok(content === old || content === world.fresh, `neither the old rows nor the new:\n${content}`);
          seen += 1;
        }
      })();
      const writing = (async () => {
        for (let n = 0; !over.signal.aborted; n += 1) {
          await fixture.append(chains[0], [chains[0].frame({ lines: [eventLine(`today-${n}`)] })]);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      try {
        await until(() => seen > 0);
        const outcome = await rebuild({ replaceAs: "ada" });
        assert.ok(outcome.kind === "replaced", JSON.stringify(outcome));
        assert.deepEqual(told(outcome.findings), older);
        const at = seen;
        await until(() => seen > at + 1);
      } finally {
        over.abort();
        await Promise.all([watch, writing]);
      }
      await fixture.stored();
      assert.equal(await contentOf(fixture, day), world.fresh);
      await assertBalanced(reader);
      assert.equal((await rebuild()).kind, "same");
      const { rows } = await reader.query(
        "SELECT day::text, action, actor, versions_before, versions_after, rows_before, rows_after, rows_changed, dead_before, dead_after FROM views.rebuild_records",
      );
      assert.deepEqual(rows, [
        {
          day,
          action: "replace",
          actor: "ada",
          versions_before: [NORMALISER_VERSION, 7].sort((a, b) => a - b),
          versions_after: [NORMALISER_VERSION],
          rows_before: 19,
          rows_after: 19,
          rows_changed: 7,
          dead_before: 6,
          dead_after: 6,
        },
      ]);
      assert.deepEqual(await aside(fixture), [
        `data.event_dead_letters_replaced_${day.replaceAll("-", "_")}`,
        `data.events_agent_replaced_${day.replaceAll("-", "_")}`,
        `data.events_dpi_replaced_${day.replaceAll("-", "_")}`,
      ]);
    }),
);

test("DP-54 R-33 what was replaced is kept, goes back, or is let go; a hold keeps it, a second rebuild waits for that", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, reader, rebuilder, rebuild } = world;
    await asOlderRelease(world);
    await rebuilder.query("SELECT * FROM ops.ledger_fold()");
    const old = await contentOf(fixture, day);
    const numberOf = async (): Promise<number> =>
      (await reader.query<{ rebuild: number }>("SELECT rebuild FROM views.day_rebuilds")).rows[0]?.rebuild ?? 0;
    const undo = async (): Promise<string> =>
      undoRebuild({ pool: rebuilder, clock: systemClock, day, rebuild: await numberOf(), actor: "ada" });
    assert.equal(await discardRebuild(rebuilder, day, "ada"), "none");
    assert.equal(await undo(), "none");
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    assert.equal(await undo(), "done");
    assert.equal(await contentOf(fixture, day), old);
    await assertBalanced(reader);
    assert.deepEqual(await aside(fixture), []);
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    await tamper(fixture.database.pool, "data.events_dpi", "UPDATE data.events_dpi SET host = 'x'");
    assert.deepEqual(await rebuild({ replaceAs: "ada" }), { kind: "refused", why: "kept" });
    const custodian = fixture.database.rolePool("ransomeye_custodian");
    await custodian.query("SELECT ops.hold_place(NULL, NULL, NULL, 'case 7', 'ada')");
    assert.equal(await discardRebuild(rebuilder, day, "ada"), "held");
    await custodian.query("SELECT ops.hold_release(1, 'over', 'ada')");
    assert.equal(await discardRebuild(rebuilder, day, "ada"), "discarded");
    assert.deepEqual(await aside(fixture), []);
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    assert.equal(await contentOf(fixture, day), world.fresh);
    await assertBalanced(reader);
    assert.deepEqual(
      (await reader.query<{ action: string }>("SELECT action FROM views.rebuild_records ORDER BY id")).rows.map(({ action }) => action),
      ["replace", "undo", "replace", "discard", "replace"],
    );
  }));

test("DP-54 a day that is not over, that the engine has not stored, or that retention takes is left alone, and so is one of another rebuild", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, chains, rebuild } = world;
    const { pool } = fixture.database;
    const refused = async (why: string, how = {}): Promise<void> => assert.deepEqual(await rebuild(how), { kind: "refused", why });
    await refused("today", { day: new Date(systemClock.nowUs() / 1000).toISOString().slice(0, 10) });
    await refused("gone", { day: "2020-02-02" });
    await pool.query(
      "INSERT INTO ops.day_removal (day, from_at, to_at, bytes, policy) VALUES ($1::date, $1::date, $1::date + 1, 0, 'age')",
      [day],
    );
    await refused("leaving");
    await pool.query("DELETE FROM ops.day_removal");
    await fixture.append(chains[1], [chains[1].frame({ lines: [eventLine("late")] })]);
    await pool.query("UPDATE bus.consumer_offset SET off = off - 1 WHERE off > 0 AND part = $1", [fixture.partOf(chains[0])]);
    await refused("unread");
    await pool.query("UPDATE bus.consumer_offset SET off = off + 1 WHERE off > 0 AND part = $1", [fixture.partOf(chains[0])]);
    await pool.query(`ALTER TABLE data.gaps DETACH PARTITION data.gaps_${day.replaceAll("-", "_")}`);
    await refused("detached");
    await pool.query("SELECT ops.ensure_partitions($1::date, 1)", [day]);
    await rebuild({
      probe: async (step) => {
        if (step === "begun") await refused("busy");
      },
    });
  }));

test("DP-54 R-2 where the log lies elsewhere a day of the archive is rebuilt once the engine is past it, or at the log's end", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, reader, rebuild } = world;
    const { pool } = fixture.database;
    await pool.query("UPDATE bus.state SET log_elsewhere = true");
    await asOlderRelease(world);
    // The log has more of the day, which is not archived before it has become rows.
    await pool.query("UPDATE bus.partition_head SET off = off + 1 WHERE off > 0");
    assert.deepEqual(await rebuild({ replaceAs: "ada" }), { kind: "refused", why: "unread" });
    // What it has more is another day's.
    await pool.query("UPDATE bus.consumer_offset SET entry_received_us = entry_received_us + 86400000000 WHERE off > 0");
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    assert.equal(await contentOf(fixture, day), world.fresh);
    await assertBalanced(reader);
  }));

test("DP-53 R-19 rows that somebody removed or invented are put right, and the sums that remember them agree again", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, reader, rebuilder, rebuild } = world;
    await rebuilder.query("SELECT * FROM ops.ledger_fold()");
    const { pool } = fixture.database;
    await tamper(pool, "data.events_agent", "DELETE FROM data.events_agent WHERE seq IN (1, 3) AND epoch = 1");
    await tamper(pool, "data.gaps", "DELETE FROM data.gaps");
    await pool.query("INSERT INTO data.events_dpi SELECT * FROM data.events_dpi WHERE seq = 1");
    await assert.rejects(assertBalanced(reader));
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    assert.equal(await contentOf(fixture, day), world.fresh);
    await assertBalanced(reader);
  }));

test("DP-53 R-2 batches that a log held when it was given up do not become rows", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { pool } = fixture.database;
    await pool.query(
      `INSERT INTO bus.frames SELECT part, off + 1000, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version, mapping_version, key_id,
         offered, prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body, incarnation FROM bus.frames WHERE producer_id = $1 AND epoch = 1 AND first_seq = 1`,
      [producerId(1)],
    );
    await assert.rejects(
      world.rebuild({ replaceAs: "ada" }),
      (error) => hasCode(error, "ENGINE_HISTORY_DIVERGED") && /beside the history/.test(String(error)),
    );
    assert.equal(await contentOf(fixture, world.day), world.fresh);
    assert.deepEqual(await aside(fixture), []);
  }));

test(
  "DP-53 nobody waits for a rebuild that waits: readers and the engine go on while somebody's transaction keeps it from the tables, and it gives up in the end",
  { timeout: 120_000 },
  () =>
    withFixture(async (fixture) => {
      const world = await rebuildWorld(fixture);
      const { day, chains, reader, rebuild } = world;
      await asOlderRelease(world);
      const old = await contentOf(fixture, day);
      fixture.engine({ member: "two" });
      const early = await reader.connect();
      const late = await reader.connect();
      try {
        // A report that has seen the day before the new rows were there: it would find none.
        await early.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
        const waiting = await rebuild({ replaceAs: "ada", waitMsMax: 600 });
        assert.ok(waiting.kind === "given_up" && waiting.why === "waiting", JSON.stringify(waiting));
        await early.query("COMMIT");
        // One that holds the table.
        let hasStored = false;
        const held = await rebuild({
          replaceAs: "ada",
          waitMsMax: 3000,
          probe: async (step) => {
            if (step !== "committed") return;
            await late.query("BEGIN; SELECT count(*) FROM views.events");
            void (async () => {
              for (let n = 0; n < 20; n += 1) {
                await fixture.append(chains[0], [chains[0].frame({ lines: [eventLine(`while-${n}`)] })]);
                await fixture.stored();
              }
              hasStored = true;
            })();
          },
        });
        assert.ok(held.kind === "given_up" && held.why === "locked", JSON.stringify(held));
        await until(() => hasStored);
        assert.equal(await contentOf(fixture, day), old);
        assert.deepEqual(await aside(fixture), []);
        await late.query("COMMIT");
        assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
      } finally {
        early.release(true);
        late.release(true);
      }
    }),
);

test("DP-53 R-11 a row that PostgreSQL refuses is a dead letter in a rebuild as in the engine, and costs no other", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { pool } = fixture.database;
    // A rule that no release makes, on the day's table and on what is made like it.
    await pool.query("ALTER TABLE data.events_agent ADD CONSTRAINT planted CHECK (host <> 'host-3') NOT VALID");
    const outcome = await world.rebuild();
    assert.ok(outcome.kind === "different");
    assert.deepEqual(told(outcome.findings), ["event_dead_letters new 1", "events_agent refused 1"]);
  }));

test("DP-53 a second day beside it is untouched, and the replaced one looks as the release makes days", () =>
  withFixture(async (fixture) => {
    const world = await rebuildWorld(fixture);
    const { day, chains, rebuild } = world;
    const { pool } = fixture.database;
    const { lifetime } = fixture.engine({ member: "two" });
    await fixture.append(chains[0], [chains[0].frame({ lines: [eventLine("newer")] })]);
    await fixture.stored();
    await lifetime.drain();
    const older2 = day;
    const shape = async (of: string): Promise<unknown> => {
      const name = `events_agent_${of.replaceAll("-", "_")}`;
      const { rows } = await pool.query(
        `SELECT replace(c.relname, '${name}', 'DAY') AS name, c.relkind, pg_get_userbyid(c.relowner) AS owner, c.reloptions, coalesce(c.relacl, acldefault('r', c.relowner))::text AS acl, c.relispartition,
           (SELECT array_agg(replace(pg_get_constraintdef(k.oid), '${name}', 'DAY') ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid) AS constraints,
           (SELECT array_agg(replace(pg_get_triggerdef(t.oid), '${name}', 'DAY') || t.tgenabled::text ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers,
           (SELECT array_agg(inhparent::regclass::text) FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parent
         FROM pg_class c WHERE c.relname LIKE '${name}%' ORDER BY 1`,
      );
      return rows;
    };
    const today = new Date(systemClock.nowUs() / 1000).toISOString().slice(0, 10);
    const before = await shape(older2);
    assert.deepEqual(before, await shape(today));
    await asOlderRelease(world);
    const todays = await contentOf(fixture, today);
    assert.equal((await rebuild({ replaceAs: "ada" })).kind, "replaced");
    assert.deepEqual(await shape(older2), before);
    assert.equal(await contentOf(fixture, today), todays);
    await assert.rejects(pool.query("DELETE FROM data.events_agent"), /append-only/);
    await assert.rejects(pool.query(`UPDATE data.events_agent_${day.replaceAll("-", "_")} SET host = 'x'`), /append-only/);
    assert.equal(await setBack(fixture), day);
  }));
