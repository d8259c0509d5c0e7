/** Keeper and supervisor take days away together: the keeper counts and drops, the supervisor detaches when it is asked. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { detachDay, type Detached, type Pool, utcDay } from "ransomeye-db";
import { openTestServer, signAway, type TestDatabase } from "ransomeye-db/testing";
import { type Clock, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { Retention } from "../src/roles/retention.ts";
import { DayDetacher } from "../src/supervisor/day_detacher.ts";
import { manualClock } from "./manual_clock.ts";

const server = await openTestServer();
after(() => server.close());
const dayOf = (back: number): string => utcDay(systemClock.nowUs(), -back);

/** A keeper's retention that lets yesterday stay, and a supervisor's detacher beside it. */
function retentionOn(database: TestDatabase, detach: () => Promise<Detached>, clock: Clock = systemClock) {
  const telemetry = recordingTelemetry();
  const detacher = new DayDetacher({ clock: systemClock, telemetry, detach });
  const ended = new AbortController();
  const retention = new Retention({
    ...{ pool: database.rolePool("ransomeye_keeper"), clock, telemetry, bytesMax: 2 ** 40, daysMax: 1 },
    ...{ onCounted: () => detacher.ask(), signal: ended.signal },
  });
  return { telemetry, retention, detacher, ended };
}

async function days(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ day: string }>("SELECT DISTINCT day FROM ops.day_sizes() WHERE day < $1::date ORDER BY day", [
    dayOf(0),
  ]);
  return rows.map(({ day }) => day);
}

test("DP-31 the supervisor detaches what the keeper has counted, and one round takes all days that may go", async () => {
  await using database = await server.database();
  const { pool } = database;
  await pool.query("SELECT ops.ensure_partitions($1::date, 5)", [dayOf(5)]);
  const impatient: Clock = {
    ...systemClock,
    nowUs: () => systemClock.nowUs(),
    monotonicMs: () => 20 * systemClock.monotonicMs(),
    setTimer: (ms, fire) => systemClock.setTimer(ms / 20, fire),
  };
  await retentionOn(database, () => Promise.reject(new Error("nothing is counted")), impatient).retention.round();
  assert.deepEqual((await days(pool)).length, 5, "the sealer has not signed, and no later day goes before the first");
  assert.deepEqual((await pool.query("SELECT day FROM evidence.expiry_wish")).rows, [{ day: dayOf(5) }]);
  for (let back = 5; back > 1; back--) if (back !== 3) await signAway(pool, dayOf(back));
  await database.rolePool("ransomeye_custodian").query("SELECT ops.hold_place(NULL, $1::date, $1::date + 1, 'case 7', 'ada')", [dayOf(3)]);
  const { retention, detacher, telemetry } = retentionOn(database, () => detachDay(database.connection));
  await retention.round();
  assert.deepEqual(await days(pool), [dayOf(3), dayOf(1)], "the held day stays, and keeps no other");
  assert.deepEqual(
    telemetry.events.filter(({ name }) => name === "db_day_dropped").map(({ fields }) => [fields?.["day"], fields?.["reason"]]),
    [5, 4, 2].map((back) => [dayOf(back), "age"]),
  );
  await detacher.close();
});

test("DP-30 R-33 a keeper that ended in the middle goes on with that day, before it begins another", async () => {
  await using database = await server.database();
  const { pool } = database;
  await pool.query("SELECT ops.ensure_partitions($1::date, 3)", [dayOf(3)]);
  for (const back of [3, 2]) await signAway(pool, dayOf(back));
  const dead = retentionOn(database, () => Promise.resolve("waiting"));
  dead.ended.abort();
  await dead.retention.round();
  const removing = async (): Promise<unknown[]> => (await pool.query("SELECT day FROM views.day_removal")).rows;
  assert.deepEqual(await removing(), [{ day: dayOf(3) }]);
  const next = retentionOn(database, () => detachDay(database.connection));
  await next.retention.round();
  assert.deepEqual([await removing(), await days(pool)], [[], [dayOf(1)]]);
  await Promise.all([dead.detacher.close(), next.detacher.close()]);
});

test("DP-34 R-33 a clock that was set forward takes nothing by age for a day, and is told", async () => {
  await using database = await server.database();
  let [wallMs, monotonicMs] = [0, 0];
  const clock: Clock = {
    nowUs: () => systemClock.nowUs() + wallMs * 1000,
    monotonicMs: () => monotonicMs,
    setTimer: (ms, fire) => {
      monotonicMs += ms;
      wallMs += ms;
      return systemClock.setTimer(0, fire);
    },
  };
  const { retention, telemetry } = retentionOn(database, () => Promise.resolve("nothing"), clock);
  const wishes = async (): Promise<number> => (await database.pool.query("SELECT FROM evidence.expiry_wish")).rows.length;
  const round = async (): Promise<number> => {
    await retention.round();
    return wishes();
  };
  const dayMs = 86_400_000;
  assert.equal(await round(), 0);
  wallMs += 40 * dayMs;
  assert.equal(await round(), 0, "yesterday looks as if it were 41 days old");
  assert.deepEqual(
    telemetry.events.map(({ name, fields }) => [name, fields?.["hours"]]),
    [["clock_jumped", 960]],
  );
  [wallMs, monotonicMs] = [wallMs + dayMs - 1000, monotonicMs + dayMs - 1000];
  assert.equal(await round(), 0);
  [wallMs, monotonicMs] = [wallMs + 2000, monotonicMs + 2000];
  assert.equal(await round(), 1, "nobody has objected");
  wallMs -= 40 * dayMs;
  assert.equal(await round(), 1, "set back, nothing is old");
  assert.equal(telemetry.events.filter(({ name }) => name === "clock_jumped").length, 1);
});

test("DP-31 the supervisor does one attempt at a time, pauses after one that had to wait or failed, and tells of a failure", async () => {
  const clock = manualClock();
  const telemetry = recordingTelemetry();
  const answers: ((result: Detached | Error) => void)[] = [];
  const detacher = new DayDetacher({
    ...{ clock, telemetry },
    detach: () => new Promise((resolve, reject) => answers.push((result) => (result instanceof Error ? reject(result) : resolve(result)))),
  });
  const answer = async (result: Detached | Error): Promise<void> => {
    answers.at(-1)?.(result);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const asked = (): number => {
    detacher.ask();
    return answers.length;
  };
  assert.deepEqual([asked(), asked()], [1, 1]);
  await answer("detached");
  assert.equal(asked(), 2);
  await answer("waiting");
  assert.equal(asked(), 2);
  clock.advance(5000);
  assert.equal(asked(), 3);
  await answer(new Error("no connection"));
  assert.equal(asked(), 3);
  assert.deepEqual(
    telemetry.events.map(({ name, fields }) => [name, fields?.["reason"]]),
    [["detach_failed", "no connection"]],
  );
  clock.advance(5000);
  assert.equal(asked(), 4);
  const closing = detacher.close();
  await answer("detached");
  await closing;
  assert.equal(asked(), 4);
});
