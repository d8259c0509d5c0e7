/**
 * Why: faults are struck one after the other at the same database and the same engines, as in a long life.
 * Enforces: two engines share the partitions, each behind a proxy that can lose a COMMIT; frames keep coming until a fault has struck; after it everything has to be
 *   stored, or the run is stuck.
 * Forbids: helping: nobody touches the database's content or an engine's state but the fault itself.
 */
import type { Pool } from "ransomeye-db";
import { CommitProxy, openTestServer, type TestDatabase, type TestServer } from "ransomeye-db/testing";
import { engineGroup } from "ransomeye-engine";
import { type Random, recordingTelemetry, seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { type Bus, openPostgresBus } from "ransomeye-pipeline";
import { EngineProcess } from "./engine_process.ts";
import type { EngineFault } from "./faults.ts";
import { type Findings, judge } from "./judge.ts";
import { type Fate, Producers } from "./producers.ts";
import { Refusals } from "./refusals.ts";

const producers = 12;
const leaseMs = 1_500;
const feedMs = 80;
const lookMs = 20;
/** A fault that has not come by then, or frames that are not rows by then, are a finding. */
const patienceMs = 60_000;
const refusalsMax = 3;
const killDelayMsMax = 200;
/** One fault in so many finds a producer in a new epoch. */
const epochEvery = 8;

/** What came of one fault. */
export interface Struck {
  /** It came where it was meant to. */
  readonly hit: boolean;
  /** Everything that was accepted was stored afterwards. */
  readonly recovered: boolean;
  readonly seconds: number;
  /** Who did what when frames were not rows in time: the server's sessions. */
  readonly evidence: readonly string[];
}

const sessionsSql = `
  SELECT format('%s %s %s, %s %s since %s s: %s', usename, application_name, pid, state, wait_event, extract(epoch FROM clock_timestamp() - state_change)::int,
    left(regexp_replace(query, '\\s+', ' ', 'g'), 100)) AS line
  FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`;

interface Engine {
  readonly proxy: CommitProxy;
  readonly process: EngineProcess;
}

export class Stage implements AsyncDisposable {
  readonly #server: TestServer;
  readonly #database: TestDatabase;
  readonly #bus: Bus;
  readonly #random: Random;
  readonly #producers: Producers;
  readonly #refusals: Refusals;
  readonly #engines: readonly Engine[];
  readonly #evidence: string[] = [];

  private constructor(parts: {
    readonly server: TestServer;
    readonly database: TestDatabase;
    readonly bus: Bus;
    readonly random: Random;
    readonly producers: Producers;
    readonly refusals: Refusals;
    readonly engines: readonly Engine[];
  }) {
    this.#server = parts.server;
    this.#database = parts.database;
    this.#bus = parts.bus;
    this.#random = parts.random;
    this.#producers = parts.producers;
    this.#refusals = parts.refusals;
    this.#engines = parts.engines;
  }

  static async open(seed: string): Promise<Stage> {
    const server = await openTestServer();
    try {
      const database = await server.database();
      const telemetry = recordingTelemetry();
      const random = seededRandom(seed);
      const bus = await openPostgresBus({
        gatePool: database.rolePool("ransomeye_gate", producers),
        enginePool: database.rolePool("ransomeye_engine", 2),
        clock: systemClock,
        telemetry,
      });
      const refusals = await Refusals.install(database.pool);
      const engines: Engine[] = [];
      for (const member of ["engine-1", "engine-2"]) {
        const proxy = await CommitProxy.open(database.roleConnection("ransomeye_engine"));
        engines.push({ proxy, process: new EngineProcess({ connection: proxy.connection, member, leaseMs }) });
      }
      return new Stage({ server, database, bus, random, producers: await Producers.open(bus, random, producers), refusals, engines });
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** As administrator. */
  get admin(): Pool {
    return this.#database.pool;
  }

  /** Whether PostgreSQL is ours to kill. */
  get ownsServer(): boolean {
    return this.#server.crash !== undefined;
  }

  async strike(fault: EngineFault): Promise<Struck> {
    const begunMs = systemClock.monotonicMs();
    if (this.#random.uint32() % epochEvery === 0) await this.#producers.turnEpoch();
    const hit = await this.#struck(fault);
    const recovered = await this.#stored();
    const evidence = this.#evidence.splice(0);
    return { hit, recovered, seconds: (systemClock.monotonicMs() - begunMs) / 1000, evidence };
  }

  /** What has been accepted, and has to be found. */
  get fates(): ReadonlyMap<string, readonly Fate[]> {
    return this.#producers.fates;
  }

  judge(): Promise<Findings> {
    return judge(this.admin, this.fates);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process, proxy } of this.#engines) {
      await process.close();
      await proxy.close();
    }
    await this.#bus.close();
    await this.#server.close();
  }

  async #struck(fault: EngineFault): Promise<boolean> {
    const engine = this.#engines[this.#random.uint32() % this.#engines.length] as Engine;
    switch (fault.kind) {
      case "server_killed":
        return this.#killServer();
      case "commit_lost": {
        const before = engine.proxy.losses;
        engine.proxy.mode = fault.how;
        const hit = await this.#feedUntil(() => engine.proxy.losses > before);
        engine.proxy.mode = "pass";
        return hit;
      }
      case "refused": {
        await this.#refusals.arm(fault.place, fault.state, 1 + (this.#random.uint32() % refusalsMax));
        const hit = await this.#feedUntil(() => this.#refusals.met());
        await this.#refusals.disarm();
        return hit;
      }
      default:
        return this.#strikeAtStep(engine.process, fault);
    }
  }

  async #strikeAtStep(engine: EngineProcess, fault: Extract<EngineFault, { at: unknown }>): Promise<boolean> {
    engine.arm(fault.at);
    const hit = await this.#feedUntil(() => engine.strike !== undefined);
    const { strike } = engine;
    if (!hit || strike === undefined) {
      engine.arm(null);
      return false;
    }
    if (fault.kind === "engine_killed") {
      await engine.killAndStart();
      return true;
    }
    if (fault.kind === "session_ended") {
      await this.#database.pool.query("SELECT pg_terminate_backend($1, 5000)", [strike.backendPid]);
      engine.goOn();
      return true;
    }
    engine.signal("SIGSTOP");
    // Its lease runs out, its session is ended for standing still, and the other engine stores what it held.
    await sleep(systemClock, leaseMs);
    const passed = await this.#stored();
    engine.goOn();
    engine.signal("SIGCONT");
    return passed;
  }

  async #killServer(): Promise<boolean> {
    if (this.#server.crash === undefined) return false;
    const until = systemClock.monotonicMs() + (this.#random.uint32() % killDelayMsMax);
    await this.#feedUntil(() => systemClock.monotonicMs() >= until);
    // Frames come while it is away; their producers try again until they have an answer.
    const sending = this.#producers.sendRound();
    await this.#server.crash();
    await sending;
    return true;
  }

  /** Frames keep coming until it is so; false: it never was. */
  async #feedUntil(isSo: () => boolean | Promise<boolean>): Promise<boolean> {
    const untilMs = systemClock.monotonicMs() + patienceMs;
    while (systemClock.monotonicMs() < untilMs) {
      await this.#producers.sendRound();
      for (let waited = 0; waited < feedMs; waited += lookMs) {
        if (await isSo()) return true;
        await sleep(systemClock, lookMs);
      }
    }
    return false;
  }

  /** Waits until nothing of the log is left to store; false: it does not come to that. */
  async #stored(): Promise<boolean> {
    const untilMs = systemClock.monotonicMs() + patienceMs;
    while (systemClock.monotonicMs() < untilMs) {
      const lag = await this.#bus.lag(engineGroup).catch(() => undefined);
      if (lag?.every(({ entries }) => entries === 0) === true) return true;
      await sleep(systemClock, lookMs);
    }
    const sessions = await this.admin.query<{ line: string }>(sessionsSql).catch(() => ({ rows: [] }));
    this.#evidence.push(...sessions.rows.map(({ line }) => line));
    return false;
  }
}
