/**
 * Why: a simulated calendar wants the real parts: the database's functions, the engine, the keeper's retention, the supervisor's detach, the sealer, the verifier.
 * Enforces: each part as its own role of the database; nothing of them knows that its time is made.
 * Forbids: deciding what should come of it: that is the run's.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportEvidence, Retention, Sealer, SealerKeys, SealStore } from "ransomeye";
import { detachDay, ensurePartitions, makeMissingDays, type Pool } from "ransomeye-db";
import { openTestServer, type TestDatabase } from "ransomeye-db/testing";
import { engineGroup, startEngine } from "ransomeye-engine";
import { type Report, verifyRecords } from "ransomeye-evidence";
import { Lifetime, recordingTelemetry, sleep, systemClock, systemRandom } from "ransomeye-kernel";
import { type AppendOutcome, type Bus, openPostgresBus } from "ransomeye-pipeline";
import { CalendarClock } from "./calendar_clock.ts";
import { type FrameWish, SignedChain } from "./signed_chain.ts";

/** Gateway and process that append. */
const how = { gateway: "calendar", incarnation: "00000000-0000-4000-9000-000000000001", registryVersion: 0 } as const;
const day = 86_400_000_000;

/** What an append came to: accepted at that time, or the bus was paused. */
export type Appended = { readonly kind: "accepted"; readonly receivedUs: number } | { readonly kind: "refused"; readonly why: string };

export class CalendarWorld implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly clock: CalendarClock;
  readonly reader: Pool;
  readonly keeper: Pool;
  readonly chains: readonly SignedChain[] = [new SignedChain(1, "dpi"), new SignedChain(2, "linux"), new SignedChain(3, "honeypot")];
  /** Sums over the whole run. */
  daysMissing = 0;
  readonly #gate: Pool;
  readonly #custodian: Pool;
  readonly #bus: Bus;
  readonly #sealer: Sealer;
  readonly #close: () => Promise<void>;
  readonly #parts = new Map<string, number>();
  readonly #telemetry = recordingTelemetry();

  private constructor(made: {
    readonly database: TestDatabase;
    readonly clock: CalendarClock;
    readonly gate: Pool;
    readonly bus: Bus;
    readonly sealer: Sealer;
    readonly close: () => Promise<void>;
  }) {
    this.database = made.database;
    this.clock = made.clock;
    this.#gate = made.gate;
    this.#bus = made.bus;
    this.#sealer = made.sealer;
    this.#close = made.close;
    this.reader = made.database.rolePool("ransomeye_reader", 2);
    this.keeper = made.database.rolePool("ransomeye_keeper", 2);
    this.#custodian = made.database.rolePool("ransomeye_custodian", 1);
  }

  /** Everything, at this time. The database's own days of today are taken away first: its time has not been theirs. */
  static async open(startUs: number): Promise<CalendarWorld> {
    const server = await openTestServer();
    const secrets = await mkdtemp(join(tmpdir(), "re-calendar-"));
    const database = await server.database();
    await database.pool.query(
      `DO $$ DECLARE v_child regclass; BEGIN
         FOR v_child IN SELECT i.inhrelid::regclass FROM ops.day_table t JOIN pg_inherits i ON i.inhparent = format('%I.%I', t.schema_name, t.table_name)::regclass LOOP
           EXECUTE format('DROP TABLE %s', v_child);
         END LOOP; END $$`,
    );
    const clock = await CalendarClock.open(database.pool);
    await clock.set(startUs);
    const telemetry = recordingTelemetry();
    const gate = database.rolePool("ransomeye_gate", 1);
    const enginePool = database.rolePool("ransomeye_engine", 6);
    await database.pool.query("SELECT bus.configure(4)");
    const bus = await openPostgresBus({ gatePool: gate, enginePool, clock: systemClock, telemetry });
    const store = new SealStore(database.rolePool("ransomeye_sealer", 2));
    const sealer = await Sealer.open({ store, keys: new SealerKeys(secrets), clock, telemetry });
    const lifetime = new Lifetime();
    const config = { engine: { commitRowsMax: 20_000, commitMsMax: 5, writers: 1, leaseMs: 30_000 } };
    const both = { clock: systemClock, random: systemRandom, telemetry };
    startEngine({ bus, groups: bus, pool: enginePool, member: "calendar", config, lifetime, ...both });
    const close = async (): Promise<void> => {
      await lifetime.destroy();
      await bus.close();
      await server.close();
      await rm(secrets, { recursive: true, force: true });
    };
    return new CalendarWorld({ database, clock, gate, bus, sealer, close });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** The sessions that append and that make days believe to be in this zone from now on. */
  async moveTo(zone: string): Promise<void> {
    for (const pool of [this.#gate, this.database.pool]) await pool.query("SELECT set_config('TimeZone', $1, false)", [zone]);
  }

  async openEpoch(chain: SignedChain): Promise<void> {
    const opened = await this.#bus.openEpoch({ producer: chain.id, expectedEpoch: chain.epoch, keyId: chain.keyId, registryVersion: 0 });
    if (opened.kind !== "opened") throw new Error(`no epoch: ${opened.kind}`);
    chain.opened(opened.epoch, opened.prev);
    this.#parts.set(chain.id, opened.part);
  }

  /** Appends a producer's next frame; a pause for a missing day is what the keeper ends, and then it comes again. */
  async append(chain: SignedChain, wish: FrameWish): Promise<Appended> {
    const frame = chain.next(wish);
    const once = async (): Promise<AppendOutcome | undefined> => (await this.#bus.append(this.#parts.get(chain.id) ?? 0, [frame], how))[0];
    let outcome = await once();
    if (outcome?.kind === "paused" && outcome.reason === "day_missing") {
      this.daysMissing += 1;
      await makeMissingDays({ pool: this.keeper, clock: this.clock, telemetry: this.#telemetry });
      outcome = await once();
    }
    return outcome?.kind === "accepted"
      ? { kind: "accepted", receivedUs: outcome.position.receivedUs }
      : { kind: "refused", why: JSON.stringify(outcome) };
  }

  /** Resolves when rows are made of everything. */
  async stored(): Promise<void> {
    while ((await this.#bus.lag(engineGroup)).some(({ entries }) => entries > 0)) await sleep(systemClock, 2);
  }

  /** What the keeper does every ten minutes. */
  async daysAhead(): Promise<void> {
    await ensurePartitions({ pool: this.keeper, clock: this.clock, telemetry: this.#telemetry });
  }

  async seal(): Promise<number> {
    return this.#sealer.seal();
  }

  /** The keeper's round, with supervisor and sealer beside it. */
  async retain(daysMax: number, bytesMax: number): Promise<void> {
    const ended = new AbortController();
    let detaching: Promise<unknown> | undefined;
    // Waits are short: for whom this round waits is here.
    const clock = {
      nowUs: () => this.clock.nowUs(),
      monotonicMs: () => systemClock.monotonicMs(),
      setTimer: (ms: number, fire: () => void) => systemClock.setTimer(ms / 8, fire),
    };
    const retention = new Retention({
      ...{ pool: this.keeper, clock, telemetry: this.#telemetry, bytesMax, daysMax, signal: ended.signal },
      onCounted: () => {
        detaching ??= detachDay(this.database.connection).finally(() => {
          detaching = undefined;
        });
      },
    });
    const sealing = (async () => {
      while (!ended.signal.aborted) {
        await this.#sealer.expire();
        await sleep(systemClock, 10, ended.signal).catch(() => undefined);
      }
    })();
    try {
      await retention.round();
    } finally {
      ended.abort();
      await Promise.all([sealing, detaching]);
    }
  }

  async hold(producer: string | null, fromUs: number, untilUs: number): Promise<number> {
    const at = (n: number): string => `timestamptz '1970-01-01 00:00:00+00' + $${n}::bigint * interval '1 microsecond'`;
    const { rows } = await this.#custodian.query<{ id: number }>(
      `SELECT ops.hold_place($1::uuid, ${at(2)}, ${at(3)}, 'calendar', 'calendar') AS id`,
      [producer, fromUs, untilUs],
    );
    return rows[0]?.id ?? 0;
  }

  async release(hold: number): Promise<void> {
    await this.#custodian.query("SELECT ops.hold_release($1, 'calendar', 'calendar')", [hold]);
  }

  /** Somebody removes all tables of a day. */
  async dropTables(text: string): Promise<void> {
    await this.database.pool.query(
      `DO $$ DECLARE v_child regclass; BEGIN
         FOR v_child IN SELECT to_regclass(format('%I.%I', t.schema_name, t.table_name || '${text.replaceAll("-", "_").replace(/^/, "_")}')) FROM ops.day_table t LOOP
           EXECUTE format('DROP TABLE %s', v_child);
         END LOOP; END $$`,
    );
  }

  /** Everything exported, straight into the verifier. */
  async verify(): Promise<Report> {
    const producers = this.chains.map(({ id, publicKey }) => ({ id, name: id, keys: [{ public_key: publicKey.toString("base64") }] }));
    return verifyRecords(
      exportEvidence({ pool: this.reader, selection: { kind: "all", sinceUs: 0 }, producers, nowUs: this.clock.nowUs() }),
      {},
    );
  }
}

/** Midnight of a UTC day, microseconds. */
export function midnight(text: string): number {
  return Date.parse(`${text}T00:00:00Z`) * 1000;
}

/** The UTC day that a time lies in, moved by some. */
export function dayText(us: number, moved: number = 0): string {
  return new Date(Math.floor((us + moved * day) / 1000)).toISOString().slice(0, 10);
}
