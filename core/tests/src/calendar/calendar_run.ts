/**
 * Why: days are made, filled, sealed, kept and taken away for ever; a year of that has to be seen whole.
 * Enforces: over leap days, ends of years, changes of daylight saving and clocks that jump: every append is accepted, each row lies in its UTC day, retention takes exactly what
 * it should, holds hold, the ledger balances at each day's end, and the sealer's statements hold. What is expected is worked out here and not read from the database.
 * Forbids: going on after a finding.
 */
import assert from "node:assert/strict";
import { sleep, systemClock } from "ransomeye-kernel";
import { CalendarWorld, dayText, midnight } from "./calendar_world.ts";
import type { FrameWish, SignedChain } from "./signed_chain.ts";

export interface CalendarOptions {
  /** Of the calendar, not of the run. */
  readonly days: number;
  /** A day takes at least so long; 0: as fast as it goes. */
  readonly dayMs: number;
  readonly onDay?: (text: string) => void;
}

export interface CalendarFigures {
  readonly days: number;
  readonly first: string;
  readonly last: string;
  readonly dayMs: number;
  readonly events: number;
  readonly appends: number;
  readonly refused: number;
  /** Appends that found their day missing, and were accepted after the keeper had made it. */
  readonly daysMissing: number;
  readonly expiredDays: number;
  readonly heldDays: number;
  readonly ledgerChecks: number;
  readonly evidenceChecks: number;
  readonly seconds: number;
}

/** It passes a leap day on its 91st day and an end of a year on its 31st and 397th. */
const first = "2027-12-01";
const hour = 3_600_000_000;
const dayUs = 24 * hour;
const daysMax = 2;
const unbounded = 2 ** 50;
const lastUs = dayUs - 1;

/** Zones of sessions, day after day: ahead of UTC and behind, with daylight saving on either half of the world, and by half an hour. */
const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Pacific/Apia",
  "Australia/Lord_Howe",
  "Pacific/Kiritimati",
  "Asia/Kolkata",
] as const;

/** What happens to clocks and tables, by the calendar's day. */
const plan: ReadonlyMap<number, "forward 3 days" | "forward 12 days" | "back 5 hours" | "tables dropped" | "bytes, then back 3 hours"> =
  new Map([
    [6, "tables dropped"],
    [12, "back 5 hours"],
    [18, "bytes, then back 3 hours"],
    [24, "forward 3 days"],
    [150, "forward 12 days"],
    [210, "tables dropped"],
    [270, "back 5 hours"],
    [300, "bytes, then back 3 hours"],
    [360, "forward 3 days"],
  ]);
/** Every so many days a hold is placed on what one producer, or everybody, sent two days before; the one before it is released. */
const holdEvery = 20;
const recountEvery = 10;
const verifyEvery = 100;

interface Hold {
  readonly id: number;
  readonly producer: string | null;
  readonly days: ReadonlySet<string>;
}

/** Runs the calendar. Rejects with what was not as it should be. */
export async function calendarRun(options: CalendarOptions): Promise<CalendarFigures> {
  await using world = await CalendarWorld.open(midnight(first));
  const run = new Run(world, options);
  return await run.all();
}

class Run {
  readonly #world: CalendarWorld;
  readonly #o: CalendarOptions;
  /** Events by the UTC day in which they were received, and who sent them. */
  readonly #received = new Map<string, Map<string, number>>();
  /** Days that have tables, of those that have come. */
  readonly #present = new Set<string>();
  readonly #gone = new Set<string>();
  #holds: Hold[] = [];
  #events = 0;
  #appends = 0;
  #heldDays = new Set<string>();
  #ledgerChecks = 0;
  #evidenceChecks = 0;
  #turn = 0;

  constructor(world: CalendarWorld, o: CalendarOptions) {
    this.#world = world;
    this.#o = o;
  }

  async all(): Promise<CalendarFigures> {
    const { days, dayMs, onDay } = this.#o;
    const begunMs = systemClock.monotonicMs();
    const endUs = midnight(first) + days * dayUs;
    await this.#keep(midnight(first));
    for (const chain of this.#world.chains) await this.#world.openEpoch(chain);
    let number = 0;
    for (let startUs = midnight(first); startUs < endUs; startUs = midnight(dayText(this.#world.clock.nowUs(), 1))) {
      const dayBegunMs = systemClock.monotonicMs();
      number = Math.round((startUs - midnight(first)) / dayUs);
      await this.#day(number, startUs);
      onDay?.(dayText(startUs));
      const restMs = dayMs - (systemClock.monotonicMs() - dayBegunMs);
      if (restMs > 0) await sleep(systemClock, restMs);
    }
    await this.#verify();
    return {
      ...{
        days: number + 1,
        first,
        last: dayText(this.#world.clock.nowUs()),
        dayMs,
        events: this.#events,
        appends: this.#appends,
        refused: 0,
      },
      ...{ daysMissing: this.#world.daysMissing, expiredDays: this.#gone.size, heldDays: this.#heldDays.size },
      ...{ ledgerChecks: this.#ledgerChecks, evidenceChecks: this.#evidenceChecks },
      seconds: Math.round((systemClock.monotonicMs() - begunMs) / 1000),
    };
  }

  async #day(number: number, startUs: number): Promise<void> {
    const world = this.#world;
    const text = dayText(startUs);
    await world.moveTo(zones[number % zones.length] ?? "UTC");
    const [a, b, c] = world.chains as [SignedChain, SignedChain, SignedChain];
    const event = plan.get(number);
    // The first microsecond: whatever the keeper does on this day it has not done yet.
    await world.clock.set(startUs);
    await this.#append(a, "events");
    if (event === "bytes, then back 3 hours") await this.#takeAllThenGoBack(startUs, c);
    await this.#keep(startUs + 2 * hour);
    if (event === "back 5 hours") {
      await world.clock.set(startUs - 3 * hour);
      // In a partition time stands still; in one that has slept it is yesterday again.
      assert.equal(dayText(await this.#append(a, "events")), text);
      assert.equal(dayText(await this.#append(c, "events")), dayText(startUs, -1));
    }
    const steps = this.#o.dayMs >= 10_000 ? 12 : 1;
    for (let step = 1; step <= steps; step++) {
      await world.clock.set(startUs + Math.round((step * 12 * hour) / steps));
      if (number % 2 === 0) await this.#append(b, this.#turn % 7 === 3 ? "broken" : this.#turn % 11 === 5 ? "gap" : "events");
      else await this.#append(a, "events");
    }
    if (event === "tables dropped") {
      await world.dropTables(dayText(startUs, 1));
      this.#present.delete(dayText(startUs, 1));
    }
    if (number % holdEvery === 3) await this.#hold(number, startUs);
    if (number % 90 === 45) await world.openEpoch(b);
    await world.clock.set(startUs + lastUs);
    assert.equal(dayText(await this.#append(a, "events")), text, "the last microsecond");
    await world.stored();
    await world.seal();
    await this.#retain(daysMax, unbounded);
    await this.#audit(number);
    if (event === "forward 3 days") await world.clock.set(startUs + 3 * dayUs);
    if (event === "forward 12 days") await world.clock.set(startUs + 12 * dayUs);
  }

  /** Retention by bytes takes yesterday, and then the clock goes back into it: nothing may be received there. */
  async #takeAllThenGoBack(startUs: number, idle: SignedChain): Promise<void> {
    const world = this.#world;
    await world.clock.set(startUs + hour);
    await world.stored();
    await world.seal();
    await this.#retain(daysMax, 1);
    await world.clock.set(startUs - 2 * hour);
    assert.equal(await this.#append(idle, "events"), startUs, "time stands still at the end of what is gone");
  }

  async #append(chain: SignedChain, wish: FrameWish): Promise<number> {
    this.#turn += 1;
    const appended = await this.#world.append(chain, wish);
    assert.equal(appended.kind, "accepted", `${dayText(this.#world.clock.nowUs())}: ${JSON.stringify(appended)}`);
    const receivedUs = appended.kind === "accepted" ? appended.receivedUs : 0;
    const day = dayText(receivedUs);
    assert.ok(!this.#gone.has(day), `received in ${day}, which is gone`);
    this.#present.add(day);
    const senders = this.#received.get(day) ?? new Map<string, number>();
    this.#received.set(day, senders.set(chain.id, (senders.get(chain.id) ?? 0) + 2));
    this.#events += 2;
    this.#appends += 1;
    return receivedUs;
  }

  /** What the keeper does ahead. */
  async #keep(atUs: number): Promise<void> {
    await this.#world.clock.set(atUs);
    await this.#world.daysAhead();
    for (let moved = -1; moved <= 8; moved++) if (!this.#gone.has(dayText(atUs, moved))) this.#present.add(dayText(atUs, moved));
  }

  async #hold(number: number, startUs: number): Promise<void> {
    const from = midnight(dayText(startUs, -2));
    const producer = number % (2 * holdEvery) === 3 ? (this.#world.chains[1]?.id ?? null) : null;
    const id = await this.#world.hold(producer, from, from + 2 * dayUs);
    const met = [0, 1]
      .map((moved) => dayText(from, moved))
      .filter((day) => producer === null || this.#received.get(day)?.has(producer) === true);
    this.#holds.push({ id, producer, days: new Set(met) });
    const oldest = this.#holds.length > 2 ? this.#holds.shift() : undefined;
    if (oldest !== undefined) await this.#world.release(oldest.id);
  }

  async #retain(maxDays: number, bytesMax: number): Promise<void> {
    const nowUs = this.#world.clock.nowUs();
    await this.#world.retain(maxDays, bytesMax);
    const today = dayText(nowUs);
    const held = new Set(this.#holds.flatMap(({ days }) => [...days]));
    for (const day of this.#present)
      if (day < today && !held.has(day) && (bytesMax === 1 || midnight(today) - midnight(day) > maxDays * dayUs)) {
        this.#present.delete(day);
        this.#gone.add(day);
      }
    for (const day of held) if (this.#present.has(day) && midnight(today) - midnight(day) > maxDays * dayUs) this.#heldDays.add(day);
    const { rows } = await this.#world.reader.query<{ day: string; tables: number }>(
      "SELECT day, count(*)::int AS tables FROM ops.day_sizes() WHERE attached AND day <= $1::date GROUP BY day ORDER BY day",
      [today],
    );
    assert.deepEqual(
      rows.map(({ day }) => day),
      [...this.#present].filter((day) => day <= today).toSorted(),
      `days on ${today}`,
    );
    assert.equal(new Set(rows.map(({ tables }) => tables)).size, 1, "a day is there in all tables, or in none");
  }

  async #audit(number: number): Promise<void> {
    const { keeper, reader } = this.#world;
    await keeper.query("SELECT * FROM ops.ledger_fold()");
    const { rows } = await keeper.query(
      "SELECT stored + dead_lettered + gap_declared AS found, expired, in_flight, imbalance, misplaced_epochs FROM views.ledger_live",
    );
    const expired = [...this.#gone].reduce(
      (sum, day) => sum + [...(this.#received.get(day)?.values() ?? [])].reduce((n, m) => n + m, 0),
      0,
    );
    assert.deepEqual(
      rows,
      [{ found: this.#events, expired, in_flight: 0, imbalance: 0, misplaced_epochs: 0 }],
      dayText(this.#world.clock.nowUs()),
    );
    this.#ledgerChecks += 1;
    if (number % recountEvery === 0) {
      const differ = await reader.query("SELECT * FROM views.ledger_audit WHERE sums_differ OR imbalance <> 0 OR misplaced <> 0");
      assert.deepEqual(differ.rows, []);
      await this.#places();
    }
    if (number % verifyEvery === verifyEvery - 1) await this.#verify();
  }

  /** Each row lies in the table of its UTC day, asked in a session of another zone, and there are as many as were received on it. */
  async #places(): Promise<void> {
    const { pool } = this.#world.database;
    for (const table of [
      "bus.frames",
      "data.events_dpi",
      "data.events_agent",
      "data.events_honeypot",
      "data.event_dead_letters",
      "data.gaps",
    ]) {
      const { rows } = await pool.query(
        `SELECT e.tableoid::regclass::text FROM ${table} e WHERE right(e.tableoid::regclass::text, 10) <> to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY_MM_DD')`,
      );
      assert.deepEqual(rows, []);
    }
    const { rows } = await pool.query<{ day: string; events: number }>(
      "SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, sum(count)::bigint AS events FROM bus.frames GROUP BY 1 ORDER BY 1",
    );
    const expected = [...this.#received].filter(([day]) => this.#present.has(day)).toSorted(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(
      rows.map(({ day, events }) => [day, events]),
      expected.map(([day, senders]) => [day, [...senders.values()].reduce((n, m) => n + m, 0)]),
    );
  }

  async #verify(): Promise<void> {
    const report = await this.#world.verify();
    const wrong = report.findings.filter(({ state }) => state === "FAIL" || state === "MISSING");
    assert.deepEqual([wrong, report.unsealed], [[], 0]);
    const kept = [...this.#received]
      .filter(([day]) => this.#present.has(day))
      .reduce((sum, [, by]) => sum + [...by.values()].reduce((n, m) => n + m, 0), 0);
    assert.equal(report.rows + report.deadLetters + report.gaps, kept, "all that is kept is in the proof");
    this.#evidenceChecks += 1;
  }
}
