/** Why: the row transaction on a real PostgreSQL: what it writes, and what is left when it is struck at any of its steps. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTestServer, tamper } from "ransomeye-db/testing";
import type { Lease } from "ransomeye-pipeline";
import { lossesOf } from "../src/loss_report.ts";
import { type SinkStep, sinkSteps } from "../src/probe.ts";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { type Fixture, fixturesOf } from "./postgres_fixture.ts";

const server = await openTestServer();
after(() => server.close());

const withFixture = fixturesOf(server);

/** A chain with an open epoch, some frames on the bus, and the lease of its partition. */
async function prepared(fixture: Fixture, frames: number, n = 1): Promise<{ chain: Chain; lease: Lease }> {
  const chain = new Chain(producerId(n));
  const part = await fixture.openEpoch(chain);
  await fixture.append(
    chain,
    Array.from({ length: frames }, () => chain.frame({ lines: [eventLine("a"), eventLine("b")] })),
  );
  return { chain, lease: await fixture.lease(part) };
}

const kill = (fixture: Fixture, pid: number) => fixture.database.pool.query("SELECT pg_terminate_backend($1, 5000)", [pid]);

test("R-3 rows, dead letters, gaps, heads and the offset become true together", () =>
  withFixture(async (fixture) => {
    const chain = new Chain(producerId(1), "dpi");
    const part = await fixture.openEpoch(chain);
    await fixture.append(chain, [
      chain.frame({ lines: [eventLine("a"), "not json", eventLine("c")] }),
      chain.frame({ gap: { count: 4, reason: "spool_full" } }),
      chain.frame({ payload: Buffer.from("{}\n"), count: 2 }),
      chain.frame({ lines: [eventLine("z")] }),
    ]);
    const lease = await fixture.lease(part);
    const sink = fixture.sink();
    const outcome = (await sink.store(await fixture.group([lease]))).get(part);
    assert.ok(outcome?.kind === "stored");
    const { gaps: declared, ...counts } = outcome.counts;
    assert.deepEqual(counts, { frames: 4, skipped: 0, rows: 3, deadLettered: 3 });
    assert.deepEqual(lossesOf(declared), [{ reason: "spool_full", events: 4, producer: chain.producer }]);
    assert.deepEqual(
      (await fixture.events()).map(({ seq, host }) => [seq, host]),
      [
        [1, "a"],
        [3, "c"],
        [10, "z"],
      ],
    );
    assert.deepEqual(
      (await fixture.deadLetters()).map(({ first_seq, count, line, code }) => [first_seq, count, line, code]),
      [
        [2, 1, 1, "EVENT_NOT_JSON"],
        [8, 2, null, "PAYLOAD_LINE_COUNT"],
      ],
    );
    const gaps = await fixture.database.pool.query("SELECT first_seq, count, reason FROM data.gaps");
    assert.deepEqual(gaps.rows, [{ first_seq: 4, count: 4, reason: "spool_full" }]);
    assert.deepEqual(await fixture.headOf(chain), { epoch: 1, seq: 10 });
    assert.equal((await fixture.offset(part)).off, 4);
    await sink.close();
  }));

test("DP-49 R-3 a row transaction prolongs the leases that it holds, and cuts none", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 3);
    const { part } = lease;
    const sink = fixture.sink();
    const { pool } = fixture.database;
    const leaseIs = async (seconds: number): Promise<void> =>
      void (await pool.query("UPDATE bus.consumer_offset SET lease_until = clock_timestamp() + $2 * interval '1 second' WHERE part = $1", [
        part,
        seconds,
      ]));
    const leftS = async (): Promise<number> =>
      (
        await pool.query<{ s: number }>(
          "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS s FROM bus.consumer_offset WHERE part = $1",
          [part],
        )
      ).rows[0]?.s ?? 0;
    await leaseIs(0);
    assert.equal((await sink.store(await fixture.group([lease]))).get(part)?.kind, "stored");
    const left = await leftS();
    assert.ok(left > 0 && left <= 10, `${left} s are left of ten`);

    await leaseIs(1000);
    await fixture.append(chain, [chain.frame({ lines: [eventLine("c")] })]);
    const again = await fixture.lease(part);
    assert.equal((await sink.store(await fixture.group([again]))).get(part)?.kind, "stored");
    assert.ok((await leftS()) > 10, "one that lasts longer is left as it is");
    await sink.close();
  }));

for (const struck of sinkSteps) {
  test(`X-6 the backend dies at step ${struck}: every event is stored exactly once`, () =>
    withFixture(async (fixture) => {
      const { chain, lease } = await prepared(fixture, 3);
      let strikes = 0;
      const sink = fixture.sink({
        step: async (name: SinkStep, pid: number) => {
          if (name === struck && strikes++ === 0) await kill(fixture, pid);
        },
      });
      let outcome = (await sink.store(await fixture.group([lease]))).get(lease.part);
      // At `committed` the answer had come before the backend died; before, nothing is stored and the work is done again.
      if (struck !== "committed") {
        assert.equal(outcome?.kind, "failed");
        assert.deepEqual(await fixture.events(), []);
        outcome = (await sink.store(await fixture.group([lease]))).get(lease.part);
      }
      assert.equal(outcome?.kind, "stored");
      assert.equal(strikes, struck === "committed" ? 1 : 2);
      await fixture.assertExactlyOnce(chain, 1, 6);
      await sink.close();
    }));
}

test("R-3 a lost lease cannot move the offset, and costs only its own partition", () =>
  withFixture(async (fixture) => {
    const one = await prepared(fixture, 2, 1);
    let n = 2;
    let other = new Chain(producerId(n));
    let otherPart = await fixture.openEpoch(other);
    while (otherPart === one.lease.part) {
      other = new Chain(producerId(++n));
      otherPart = await fixture.openEpoch(other);
    }
    await fixture.append(other, [other.frame({ lines: [eventLine("other")] })]);
    const lost = await fixture.lease(otherPart, "two");
    const group = await fixture.group([one.lease, lost]);
    await fixture.bus.release([lost]);
    const sink = fixture.sink();
    const outcomes = await sink.store(group);
    assert.equal(outcomes.get(lost.part)?.kind, "fenced");
    assert.equal(outcomes.get(one.lease.part)?.kind, "stored");
    assert.deepEqual(
      (await fixture.events()).map((event) => event.producer),
      Array(4).fill(one.chain.producer),
    );
    assert.equal((await fixture.offset(otherPart)).off, 0);
    await sink.close();
  }));

test("R-3 the offset moves only from where the work began", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 2);
    const sink = fixture.sink();
    const group = await fixture.group([lease]);
    assert.equal((await sink.store(group)).get(lease.part)?.kind, "stored");
    assert.equal((await sink.store(group)).get(lease.part)?.kind, "fenced", "the same group a second time");
    await fixture.assertExactlyOnce(chain, 1, 4);
    await sink.close();
  }));

test("R-2 after a rewind the same frames come again, and nothing is stored twice", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 3);
    const sink = fixture.sink();
    await sink.store(await fixture.group([lease]));
    await fixture.control.rewind("engine", lease.part, null);
    await fixture.append(chain, [chain.frame({ lines: [eventLine("new")] })]);
    const again = await fixture.lease(lease.part, "one");
    const outcome = (await sink.store(await fixture.group([again], null))).get(lease.part);
    assert.deepEqual(outcome?.kind === "stored" ? outcome.counts : outcome, {
      frames: 1,
      skipped: 3,
      rows: 1,
      deadLettered: 0,
      gaps: [],
    });
    await fixture.assertExactlyOnce(chain, 1, 7);
    assert.equal((await fixture.offset(lease.part)).off, 4);
    await sink.close();
  }));

test("R-2 another history under the sink's head stops the partition and stores nothing", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 2);
    await fixture.database.pool.query(
      "INSERT INTO data.sink_head (producer_id, producer_kind, epoch, seq, hash, updated_at) VALUES ($1, 2, 1, 2, $2, now())",
      [chain.producer, Buffer.alloc(32, 7)],
    );
    const sink = fixture.sink();
    const outcome = (await sink.store(await fixture.group([lease]))).get(lease.part);
    assert.deepEqual(outcome?.kind === "halted" ? outcome.halt.code : outcome, "ENGINE_HISTORY_DIVERGED");
    assert.deepEqual(await fixture.events(), []);
    assert.equal((await fixture.offset(lease.part)).off, 0);
    await sink.close();
  }));

test("R-2 a frame that cannot be stops the run there; what lies before it is stored", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 3);
    await tamper(fixture.database.pool, "bus.frames", "UPDATE bus.frames SET prev_hash = $1 WHERE first_seq = 5", [Buffer.alloc(32, 9)]);
    const sink = fixture.sink();
    const outcome = (await sink.store(await fixture.group([lease]))).get(lease.part);
    assert.equal(outcome?.kind === "stored" ? outcome.halt?.code : outcome, "ENGINE_CHAIN_BROKEN");
    await fixture.assertExactlyOnce(chain, 1, 4);
    assert.equal((await fixture.offset(lease.part)).off, 2);
    await sink.close();
  }));

test("R-7 an epoch's first frame is held until the epoch before is complete in the sink", () =>
  withFixture(async (fixture) => {
    const chain = new Chain(producerId(1));
    const oldPart = await fixture.openEpoch(chain);
    await fixture.append(chain, [chain.frame(), chain.frame()]);
    let newPart = oldPart;
    for (let partitions = 15; newPart === oldPart; partitions--) {
      await fixture.database.pool.query("UPDATE bus.state SET partitions = $1", [partitions]);
      newPart = await fixture.openEpoch(chain);
    }
    await fixture.append(chain, [chain.frame()]);
    const newLease = await fixture.lease(newPart, "one");
    const sink = fixture.sink();
    const held = (await sink.store(await fixture.group([newLease]))).get(newPart);
    assert.equal(held?.kind === "halted" ? held.halt.kind : held, "hold");
    assert.deepEqual(await fixture.events(), []);
    const oldLease = await fixture.lease(oldPart, "two");
    assert.equal((await sink.store(await fixture.group([oldLease]))).get(oldPart)?.kind, "stored");
    assert.equal((await sink.store(await fixture.group([newLease]))).get(newPart)?.kind, "stored");
    await fixture.assertExactlyOnce(chain, 1, 2);
    await fixture.assertExactlyOnce(chain, chain.epoch, 1);
    await sink.close();
  }));

test("DP-50 R-11 a row that PostgreSQL refuses becomes a dead letter in its place, its neighbours rows", () =>
  withFixture(async (fixture) => {
    await fixture.database.pool.query("ALTER TABLE data.events_agent ADD CONSTRAINT poison CHECK (host <> 'poison')");
    const chain = new Chain(producerId(1));
    const part = await fixture.openEpoch(chain);
    await fixture.append(chain, [
      chain.frame({ lines: ["a", "poison", "c"].map((host) => eventLine(host)) }),
      chain.frame({ lines: ["d", "e"].map((host) => eventLine(host)) }),
      chain.frame({ lines: ["f", "g", "poison"].map((host) => eventLine(host)) }),
    ]);
    const sink = fixture.sink();
    const outcome = (await sink.store(await fixture.group([await fixture.lease(part)]))).get(part);
    assert.deepEqual(outcome?.kind === "stored" ? outcome.counts : outcome, {
      frames: 3,
      skipped: 0,
      rows: 6,
      deadLettered: 2,
      gaps: [],
    });
    assert.deepEqual(
      (await fixture.events()).map(({ seq, host }) => [seq, host]),
      [
        [1, "a"],
        [3, "c"],
        [4, "d"],
        [5, "e"],
        [6, "f"],
        [7, "g"],
      ],
    );
    assert.deepEqual(
      (await fixture.deadLetters()).map(({ first_seq, line, code, detail }) => [first_seq, line, code, detail]),
      [
        [2, 1, "ENGINE_ROW_REFUSED", "SQLSTATE 23514"],
        [8, 2, "ENGINE_ROW_REFUSED", "SQLSTATE 23514"],
      ],
    );
    assert.equal((await fixture.offset(part)).off, 3);
    await sink.close();
  }));

test("DP-50 R-11 a table that refuses everything stops storing; nothing is dead-lettered for it", () =>
  withFixture(async (fixture) => {
    await fixture.database.pool.query("ALTER TABLE data.events_agent ADD CONSTRAINT nothing_fits CHECK (line < 0)");
    const chain = new Chain(producerId(1));
    const part = await fixture.openEpoch(chain);
    await fixture.append(chain, [chain.frame({ lines: Array.from({ length: 600 }, () => eventLine("a")) })]);
    const sink = fixture.sink();
    const outcome = (await sink.store(await fixture.group([await fixture.lease(part)]))).get(part);
    assert.deepEqual(outcome?.kind === "failed" ? [outcome.code, outcome.rests] : outcome, ["ENGINE_ROWS_REFUSED", true]);
    assert.deepEqual(await fixture.deadLetters(), []);
    assert.equal((await fixture.offset(part)).off, 0);
    await sink.close();
  }));

test("R-16 a missing day partition is made on demand", () =>
  withFixture(async (fixture) => {
    const { chain, lease } = await prepared(fixture, 2);
    const tables = await fixture.database.pool.query<{ name: string }>(
      `SELECT i.inhrelid::regclass::text AS name FROM pg_inherits i WHERE i.inhparent IN ('data.events_agent'::regclass, 'data.event_dead_letters'::regclass)`,
    );
    for (const { name } of tables.rows) await fixture.database.pool.query(`DROP TABLE ${name}`);
    const sink = fixture.sink();
    assert.equal((await sink.store(await fixture.group([lease]))).get(lease.part)?.kind, "stored");
    await fixture.assertExactlyOnce(chain, 1, 4);
    await sink.close();
  }));
