/** The index of observables on a real database: the same answer as reading everything, at any moment of its making. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { IndexReader, type IndexStep, IndexStore, keysUnder } from "ransomeye-engine";
import type { ObservableKind } from "ransomeye-ingestion/protocol";
import { type Clock, systemClock } from "ransomeye-kernel";
import { createContext } from "../src/commands/context.ts";
import { eventsCommand } from "../src/commands/events.ts";
import { indexFigures } from "../src/queries/index_figures.ts";
import { CliError } from "../src/errors.ts";
import { findEvents } from "../src/queries/events.ts";
import { findByValues } from "../src/queries/pivot.ts";
import { type SearchAnswer, searchCost, searchText } from "../src/queries/text_search.ts";
import { type Line, partitions, pivot, PivotWorld } from "./pivot_world.ts";

const server = await openTestServer();
after(() => server.close());

async function withWorld(work: (world: PivotWorld) => Promise<void>, keysOf?: typeof keysUnder): Promise<void> {
  await using database = await server.database();
  await work(await PivotWorld.open(database, keysOf));
}

const few = fc.nat({ max: 4 });
const aLine: fc.Arbitrary<Line> = fc.record({ host: few, ip: few, user: few, domain: few, hash: few });
const aPart = fc.nat({ max: partitions - 1 });
const aKind = fc.constantFrom<ObservableKind>("host", "ip", "user", "domain", "hash");
const steps: readonly IndexStep[] = ["read", "written", "sorting", "sorted"];
type Step = ((world: PivotWorld) => Promise<unknown> | void) & { toString(): string };

/** So that a history that fails can be read. */
function named(name: string, step: (world: PivotWorld) => Promise<unknown> | void): Step {
  return Object.assign(step, { toString: () => name });
}

const move: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(aPart, fc.array(aLine, { minLength: 1, maxLength: 6 }), fc.constantFrom(0, 1, 1_000_000))
      .map(([part, lines, afterUs]) => named("append", (world) => world.append(part, lines, afterUs))),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(aPart, fc.integer({ min: 1, max: 5 })).map(([part, n]) => named("store", (world) => world.store(part, n))),
  },
  { weight: 10, arbitrary: fc.constant(named("round", (world) => world.round())) },
  { weight: 3, arbitrary: fc.constantFrom(...steps).map((step) => named(`dies ${step}`, (world) => world.round(step))) },
  { weight: 2, arbitrary: aPart.map((part) => named("takeover", (world) => world.takeOver(part))) },
  { weight: 2, arbitrary: fc.tuple(aPart, fc.nat({ max: 4 })).map(([part, n]) => named("rewind", (world) => world.rewind(part, n))) },
  { weight: 3, arbitrary: fc.constant(named("next day", (world) => world.nextDay())) },
  { weight: 1, arbitrary: fc.constant(named("rebuild", (world) => world.rebuild())) },
  {
    weight: 3,
    arbitrary: fc.constant(
      named("drop", async (world) => {
        await world.storeAll();
        await world.drop(0);
      }),
    ),
  },
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.uniqueArray(fc.tuple(aKind, few), { minLength: 1, maxLength: 2, selector: ([kind]) => kind }), fc.constantFrom(1, 3, 1000))
      .map(([wanted, limit]) => named("ask", (world) => world.check(wanted, limit))),
  },
);

test("DP-40 R-31 in random histories an answer is what reading everything gives, at any moment, though keys collide", async () => {
  let answered = 0;
  let dropped = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 20, maxLength: 70, size: "max" }), (moves) =>
      withWorld(async (world) => {
        for (const step of moves) await step(world);
        await world.storeAll();
        await world.indexAll();
        for (const kind of ["host", "ip", "user", "domain", "hash"] as const) await world.check([[kind, 1]]);
        answered += world.answered;
        dropped += world.dropped;
      }),
    ),
    { numRuns: 15, endOnFailure: true, includeErrorInReport: true },
  );
  assert.ok(answered > 20, "hardly an answer had rows");
  assert.ok(dropped > 0, "no history lost a day");
});

/** Some batches of each partition on three days, all stored. */
async function lived(world: PivotWorld): Promise<void> {
  for (let day = 0; day < 3; day++) {
    for (let n = 0; n < 12; n++) {
      const line = (m: number): Line => ({ host: n % 4, ip: m % 5, user: (n + m) % 4, domain: n % 3, hash: day });
      await world.append(n % partitions, [line(0), line(1), line(2)], 1000);
    }
    await world.storeAll();
    world.nextDay();
  }
}

test("DP-40 R-31 events of one moment and one number come in one order, whatever the limit", () =>
  withWorld(async (world) => {
    for (let part = 0; part < partitions; part++) await world.append(part, [{ host: 1, ip: 1, user: 1, domain: 1, hash: 1 }], 0);
    await world.storeAll();
    for (const limit of [1, 2, 3]) await world.check([["host", 1]], limit);
    const newest = await findEvents(world.reader, { limit: 2 }, { nowUs: systemClock.nowUs(), timeoutMs: 60_000 });
    const both = await world.ask([["host", 1]], 2);
    assert.deepEqual(newest, both.rows);
  }));

test("DP-42 R-31 X-6 an indexer that is killed at any step goes on where its marks are, and indexes each batch once", async () => {
  for (const step of steps)
    await withWorld(async (world) => {
      await lived(world);
      await killedAt(world, step);
      await world.check([["domain", 1]]);
      await world.indexAll();
      await world.check([["domain", 1]]);
      const figures = await indexFigures(world.reader);
      assert.equal(figures.behind.batches, 0);
      assert.equal(figures.waiting.batches + figures.sorted.batches, 36, `after ${step} a batch is indexed twice, or never`);
    });
});

test("DP-41 R-31 a value that is none is refused before anything is asked, with what was expected", async () => {
  for (const [options, expected] of [
    [{ hash: "abc" }, /--hash abc: .*32 \(MD5\).*hexadecimal/],
    [{ ip: "10.0.0.0/8" }, /--ip 10\.0\.0\.0\/8: .*networks cannot be asked for/],
    [{ domain: "a b" }, /--domain a b: .*without spaces/],
    [{ host: "" }, /--host : .*--text/],
    [{ user: "x".repeat(256) }, /1 to 255 characters/],
    [{ text: "x", budget: "0s" }, /--budget is from 1s/],
    [{ text: "x", budget: "soon" }, /soon is not a duration/],
  ] as const)
    await assert.rejects(eventsCommand.run(createContext({}), [], options), (error: unknown) => {
      assert.ok(error instanceof CliError && error.code === "CLI_USAGE" && expected.test(error.message), String(error));
      return true;
    });
});

/** A process of its own that ends by SIGKILL at a step. */
async function killedAt(world: PivotWorld, step: IndexStep): Promise<void> {
  const child = fork(fileURLToPath(new URL("pivot_indexer.js", import.meta.url)), [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  child.send({ connection: world.database.roleConnection("ransomeye_indexer"), step, nowUs: systemClock.nowUs() });
  const [, signal] = await ended;
  assert.equal(signal, "SIGKILL", `it never came to ${step}`);
}

test("DP-42 R-31 two indexers on one database index each batch once", async () => {
  await withWorld(async (world) => {
    await lived(world);
    const other = PivotWorld.beside(world);
    for (let n = 0; n < 60; n++) await Promise.all([world.round(), other.round()].map((round) => round.catch(() => undefined)));
    await world.indexAll();
    const { waiting, sorted, behind } = await indexFigures(world.reader);
    assert.deepEqual([behind.batches, waiting.batches + sorted.batches], [0, 36]);
    await world.check([["user", 2]]);
  });
});

test("DP-40 R-31 what is over is sorted, and a value leads to its batches and hardly another", async () => {
  await withWorld(async (world) => {
    await lived(world);
    world.nextDay();
    await world.indexAll();
    const { waiting, sorted } = await indexFigures(world.reader);
    assert.deepEqual([waiting.batches, sorted.batches], [0, 36]);
    const answer = await world.check([["hash", 2]]);
    assert.deepEqual([answer.coverage.indexed, answer.coverage.direct, answer.coverage.withoutMatch], [12, 0, 0]);
    assert.equal(await world.candidates("hash", 4), 0, "a value that nobody has");
  }, keysUnder);
});

test("DP-40 R-31 a batch that is not indexed is read directly, and an index by other rules is not believed", async () => {
  await withWorld(async (world) => {
    await lived(world);
    assert.deepEqual((await world.check([["hash", 2]])).coverage.direct, 36, "before the first round all batches are read");
    await world.indexAll();
    await world.append(0, [{ host: 0, ip: 0, user: 0, domain: 0, hash: 2 }], 1000);
    await world.store(0, 1);
    assert.equal((await world.check([["hash", 2]])).coverage.direct, 1);
    await world.pool.query("UPDATE observable.state SET rules = rules + 1");
    assert.equal((await world.check([["hash", 2]])).coverage.direct, 37);
    await world.indexAll();
    assert.equal((await world.check([["hash", 2]])).coverage.direct, 0, "the indexer has made it again by its own rules");
  }, keysUnder);
});

test("DP-40 R-31 in a segment of many blocks each key leads to its batches, also where a key before it fills several", async () => {
  await using database = await server.database();
  const dayUs = Math.floor(systemClock.nowUs() / 86_400_000_000) * 86_400_000_000;
  await database.pool.query(
    `INSERT INTO observable.summary (received_at, off, part, keys)
     SELECT current_date::timestamp AT TIME ZONE 'UTC' + n * interval '1 microsecond', n, n % 3, int4send(7) || CASE WHEN n % 10 = 0 THEN int4send(8) ELSE '' END || int4send(1000 + n)
     FROM generate_series(1, 6000) n`,
  );
  assert.equal(await new IndexStore(database.rolePool("ransomeye_indexer", 1)).sort(dayUs, async () => undefined), 6000);
  const reader = new IndexReader(database.rolePool("ransomeye_reader", 1));
  for (const [keys, frames] of [
    [[7], 6000],
    [[8], 600],
    [[7, 8], 600],
    [[9], 0],
    [[6], 0],
    [[7000], 1],
    [[8, 1010], 1],
    [[8, 1011], 0],
  ] as const) {
    await reader.look(keys);
    const found = await reader.candidates(dayUs);
    assert.equal(found.length, frames, String(keys));
    assert.ok(found.every(({ part, off, receivedUs }) => part === off % 3 && receivedUs === dayUs + off));
    assert.ok(!keys.some((key) => key === 8) || found.every(({ off }) => off % 10 === 0));
  }
});

test("DP-40 R-2 R-31 offsets that a log gives again are told apart by their time", async () => {
  await withWorld(async (world) => {
    await lived(world);
    await world.indexAll();
    await world.anew(0);
    await world.append(0, [{ host: 0, ip: 0, user: 0, domain: 0, hash: 4 }], 1000);
    await world.storeAll();
    assert.deepEqual((await world.check([["hash", 4]])).rows.length, 1, "read directly");
    await world.indexAll();
    const { rows, coverage } = await world.check([["hash", 4]]);
    assert.deepEqual([rows.length, coverage.indexed, coverage.direct], [1, 1, 0]);
    await world.check([["hash", 2]]);
  }, keysUnder);
});

test("DP-43 R-31 an answer that runs out of time says from when on it is whole", async () => {
  await withWorld(async (world) => {
    await lived(world);
    // Time passes with each question of it.
    let ms = 0;
    const clock = { ...systemClock, nowUs: () => systemClock.nowUs(), monotonicMs: () => (ms += 100) };
    const all = (await world.ask([["domain", 1]], 1000)).rows;
    const seen: string[] = [];
    let before: number | undefined;
    for (let n = 0; n < 100; n++) {
      const filter = { limit: 1000, ...(before === undefined ? {} : { receivedBeforeUs: before }) };
      const { rows, coverage } = await findByValues(world.reader, filter, [pivot("domain", 1)], {
        clock,
        budgetMs: 1000,
        keysOf: world.keysOf,
      });
      const reachedUs = coverage.reachedUs;
      assert.ok(reachedUs === null || rows.every((row) => row.received_at >= reachedUs));
      seen.push(...rows.map(({ id }) => id));
      if (reachedUs === null) break;
      assert.ok(before === undefined || reachedUs < before, "it goes on");
      before = reachedUs;
    }
    assert.deepEqual(
      seen,
      all.map(({ id }) => id),
    );
    assert.ok(before !== undefined, "it never ran out of time");
  });
});

test("DP-43 R-31 a search by text tells its cost before, ends with its time, and goes on where it ended", async () => {
  await withWorld(async (world) => {
    await lived(world);
    const cost = await searchCost(world.reader, systemClock.nowUs());
    assert.equal(cost.frames, 36);
    assert.ok(cost.bytes > 0 && cost.days >= 3);
    // Rows of these tests have no text but the one that is given here.
    await tamper(world.pool, "data.events_agent", "UPDATE data.events_agent SET message = 'vssadmin 100%' WHERE line = 1");
    const search = async (text: string, beforeUs: number, clock: Clock): Promise<SearchAnswer> =>
      searchText(world.reader, { text, limit: 1000 }, { clock, beforeUs, oldestUs: cost.oldestUs, budgetMs: 1000 });
    const whole = await search("VSSADMIN 100%", systemClock.nowUs(), systemClock);
    assert.deepEqual([whole.rows.length, whole.reachedUs], [12, null]);
    assert.equal((await search("vssadmin_100", systemClock.nowUs(), systemClock)).rows.length, 0, "what looks like a pattern is text");
    let ms = 0;
    const clock = { ...systemClock, nowUs: () => systemClock.nowUs(), monotonicMs: () => (ms += 150) };
    const seen: string[] = [];
    let beforeUs = systemClock.nowUs();
    for (let n = 0; n < 100; n++) {
      const { rows, reachedUs } = await search("vssadmin", beforeUs, clock);
      seen.push(...rows.map(({ id }) => id));
      if (reachedUs === null) break;
      assert.ok(reachedUs < beforeUs && rows.every((row) => row.received_at >= reachedUs));
      beforeUs = reachedUs;
    }
    assert.deepEqual(
      seen,
      whole.rows.map(({ id }) => id),
    );
    assert.ok(beforeUs < systemClock.nowUs() - 86_400_000_000, "it never ran out of time");
  });
});
