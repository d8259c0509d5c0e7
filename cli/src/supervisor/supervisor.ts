/**
 * Why it exists: one command runs the whole data plane: it starts each part when what it needs is there, keeps it running, and stops all of it
 * in the order that loses nothing (R-22).
 * Enforces: PostgreSQL before roles, registry before gateway, the fleet last; and back: fleet, gateway, engine until idle, PostgreSQL. "ready" is
 * said only when rows can flow. Whatever ends unasked is started again, loudly.
 * Forbids: data passing through this process: it holds none, so killing it loses none.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Connection, type LoginRole, makeRuntimeDirectory } from "ransomeye-db";
import type { BusCode } from "ransomeye-pipeline";
import {
  type Clock,
  type Config,
  createTelemetry,
  Lifetime,
  machineFacts,
  type Random,
  serveMetrics,
  type Telemetry,
} from "ransomeye-kernel";
import { AlarmDesk } from "../alarms/alarm_desk.ts";
import { type CliCode, CliError } from "../errors.ts";
import { childEnded, ledgerSumsDiffer } from "../events.ts";
import { Host } from "../host/host.ts";
import type { Part } from "../host/watch.ts";
import { Child } from "./child.ts";
import type { Console } from "./console.ts";
import { controlSocketName, serveControl } from "./control.ts";
import { createDataDir, type DataDir } from "./data_dir.ts";
import { DayDetacher } from "./day_detacher.ts";
import { type Database, openDatabase } from "./database.ts";
import { openGatewaySocket } from "./gateway_address.ts";
import { GateDesk } from "./gate_desk.ts";
import { processNames } from "./process_names.ts";
import { metricsSocketName, type RoleBegin, registrySocketName } from "./ipc.ts";
import { writeBusFile } from "./bus_file.ts";
import { redisUrl } from "./bus_url.ts";
import { busLogin, busRoleOf, type BusUsers, configuredBusUsers } from "./bus_users.ts";
import { acquireLock } from "./lock.ts";
import { LogFile } from "./log_file.ts";
import { thisProcess } from "./process_facts.ts";
import { restartOneByOne } from "./rolling.ts";
import { guestRoles, type LedgerVerdict, type Phase, type RoleName, type RuntimeFile, writeRuntime } from "./runtime_file.ts";
import type { SharedSocket } from "./shared_socket.ts";
import { takeOver } from "./takeover.ts";
import { type IdleProbe, untilIdle } from "./until_idle.ts";

/** The database role of each process; the demo fleet has none: it is a producer like any other. */
const databaseRole: Readonly<Record<RoleName, LoginRole | undefined>> = {
  registry: "ransomeye_registry",
  gateway: "ransomeye_gate",
  engine: "ransomeye_engine",
  keeper: "ransomeye_keeper",
  sealer: "ransomeye_sealer",
  indexer: "ransomeye_indexer",
  forensics: "ransomeye_consumer",
  demo: undefined,
};

/** Where the log lies elsewhere this one has no business in the database; whoever takes messages reads their archive there (R-26). */
const onlyForTheLog: ReadonlySet<RoleName> = new Set(["gateway"]);

/** A role that ends this often in a row before it was ever ready will not become ready by itself. */
const startAttemptsMax = 5;
/** What keeps a role from starting until somebody changes something: another attempt would only say it again. */
const operatorCodes: ReadonlySet<string> = new Set<CliCode | BusCode>(["CLI_START_FAILED", "BUS_FORBIDDEN", "BUS_NOT_DURABLE"]);

export interface SupervisorOptions {
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly clock: Clock;
  readonly random: Random;
  readonly console: Console;
  /** Folder that a service manager has made for this service's sockets; else they lie below /tmp. */
  readonly runtimeParent?: string;
  /** The operator's word that what the log's servers held and rows were not made of is gone for good. */
  readonly afterLoss: boolean;
}

/** The running system. */
export class Supervisor {
  readonly #o: SupervisorOptions;
  readonly #lifetime = new Lifetime();
  /** By process name: `engine`, `gateway-1`. */
  readonly #children = new Map<string, Child>();
  readonly #alarms: AlarmDesk;
  #telemetry: Telemetry | undefined;
  #database: Database | undefined;
  #host: Host | undefined;
  #socketDir = "";
  #socket: SharedSocket | undefined;
  #desk: GateDesk | undefined;
  #detacher: DayDetacher | undefined;
  #phase: Phase = "starting";
  #busUsers: BusUsers | undefined;
  #startedUs = 0;
  #ledger: LedgerVerdict | null = null;
  #release: (() => Promise<void>) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #writeAgain = false;
  #stopped = false;
  #destroyed = false;

  constructor(o: SupervisorOptions) {
    this.#o = o;
    this.#alarms = new AlarmDesk({
      clock: o.clock,
      file: o.dataDir.alertsFile,
      host: machineFacts().hostname,
      hand: (alerts) => this.#children.get("keeper")?.alerts(alerts) ?? false,
    });
  }

  /** Where the reader connects; only after `start`. */
  readerConnection(): Connection {
    if (this.#database === undefined) throw new CliError("CLI_NOT_READY", "the database has not been opened");
    return this.#database.role("ransomeye_reader");
  }

  get registrySocket(): string {
    return join(this.#socketDir, registrySocketName);
  }

  get gateway(): { readonly host: string; readonly port: number } | null {
    return this.#socket === undefined ? null : { host: this.#socket.host, port: this.#socket.port };
  }

  /** Everything without which no row flows, and whether it is well; each process is asked anew. Guests are none of it. */
  parts(): Part[] {
    const roles = [...this.#children.values()].filter(({ role }) => !guestRoles.some((guest) => guest === role));
    const server = this.#database?.state();
    return [
      { name: "PostgreSQL", isWell: server !== undefined && (!server.embedded || server.pid !== null) },
      ...roles.map((child) => ({ name: child.name, isWell: child.isWell() })),
    ];
  }

  /** The ledger was counted again. Noted where the answer is another one than before: `status` tells it without counting. The keeper alarms. */
  noteLedger(balanced: boolean): void {
    if (this.#ledger?.balanced === balanced) return;
    this.#ledger = { balanced, sinceUs: this.#o.clock.nowUs() };
    this.#changed();
  }

  /** All rows were counted again, and in so many epochs they are not what the ledger's sums say. */
  noteSumsDiffer(epochs: number): void {
    this.#telemetry?.emit(ledgerSumsDiffer, { epochs });
  }

  /** Resolves when rows can flow. @throws what kept it from starting, after everything that had been started is stopped again */
  async start(): Promise<void> {
    const { config, dataDir, clock, random, console } = this.#o;
    const onRedis = redisUrl(config) !== undefined;
    await createDataDir(dataDir);
    this.#release = await acquireLock(dataDir.lockFile);
    try {
      await takeOver(dataDir, clock, console.say);
      const busUrl = redisUrl(config);
      if (busUrl !== undefined) this.#busUsers = await configuredBusUsers(config);
      const logins = { operator: busLogin(this.#busUsers, "operator"), consumer: busLogin(this.#busUsers, "consumer") };
      await writeBusFile(dataDir, busUrl === undefined ? undefined : { ...config.bus, url: busUrl }, logins);
      this.#startedUs = clock.nowUs();
      const host = await Host.open(config, dataDir.root, console.say);
      this.#host = host;
      this.#socketDir = await makeRuntimeDirectory(dataDir.root, this.#o.runtimeParent);
      const telemetry = await this.#openTelemetry();
      this.#telemetry = telemetry;
      await this.#alarms.begin(telemetry);
      this.#socket = await openGatewaySocket(config.gateway.listen, dataDir.gatewayPortFile);
      this.#desk = new GateDesk(clock, this.#socket.handle);
      this.#changed();
      this.#database = await openDatabase({
        config,
        dataDir,
        socketDir: this.#socketDir,
        clock,
        random,
        telemetry,
        say: console.say,
        onChange: () => this.#changed(),
        settings: host.plan.postgresOverrides,
        onSpawn: (pid) => host.settle(pid, "postgres"),
      });
      this.#detacher = new DayDetacher({ clock, telemetry, detach: this.#database.detachDay });
      await serveControl(join(this.#socketDir, controlSocketName), (request, say) => this.#restart(request.what, say), this.#lifetime);
      // On Redis servers the keeper makes the log; the registry then bars producers there.
      await this.#startRoles(onRedis ? ["keeper"] : ["registry", "keeper"]);
      if (onRedis) await this.#startRoles(["registry"]);
      await this.#startRoles(["gateway", "engine"]);
      if (this.#stopped) return;
      this.#phase = "ready";
      this.#changed();
      for (const guest of guestRoles)
        if (guest === "sealer" || guest === "indexer" || config[guest].enabled)
          void this.#launch(guest, guest).catch((error: unknown) => console.say(String(error)));
    } catch (error) {
      if (!this.#stopped) await this.destroy();
      throw error;
    }
  }

  /**
   * Ends everything in order; nothing that was receipted is left unstored unless a bound is passed, and then it is recovered at the next start.
   * False: `destroy` came in between, and ends it all.
   */
  async drain(probe: IdleProbe, beforeDatabaseStops: () => Promise<void>): Promise<boolean> {
    this.#stopped = true;
    this.#phase = "draining";
    this.#changed();
    for (const role of ["demo", "gateway"] as const) await this.#drainRole(role);
    const { clock, config, console } = this.#o;
    // A stop in the middle of the start: nothing has come in, and nobody would store it.
    if (this.#children.has("engine"))
      await untilIdle({ probe, clock, boundMs: config.supervisor.drainMsMax, givenUp: () => this.#destroyed, say: console.say });
    if (this.#destroyed) return false;
    for (const role of ["engine", "sealer", "indexer", "forensics", "keeper", "registry"] as const) await this.#drainRole(role);
    await this.#detacher?.close();
    await beforeDatabaseStops();
    if (this.#destroyed) return false;
    await this.#database?.stop("fast");
    await this.#forget();
    return true;
  }

  /** Ends everything now. What was receipted is recovered at the next start. */
  async destroy(): Promise<void> {
    this.#stopped = true;
    this.#destroyed = true;
    await Promise.all([...this.#children.values()].map((child) => child.destroy()));
    const detached = this.#detacher?.close();
    await this.#database?.stop("immediate");
    await detached;
    await this.#forget();
  }

  async #forget(): Promise<void> {
    await this.#writing;
    await this.#alarms.close();
    await this.#lifetime.drain().catch((error: unknown) => this.#o.console.say(String(error)));
    this.#socket?.handle.close();
    this.#socket = undefined;
    await rm(this.#o.dataDir.runtimeFile, { force: true });
    if (this.#socketDir !== "") await rm(this.#socketDir, { recursive: true, force: true });
    await this.#release?.();
  }

  /** The supervisor's own events: the database's among them. */
  async #openTelemetry(): Promise<Telemetry> {
    const { config, dataDir } = this.#o;
    const log = new LogFile(join(dataDir.logs, "supervisor.log"));
    this.#lifetime.defer("log file", () => log.close());
    const telemetry = createTelemetry({
      role: "supervisor",
      level: config.log.level,
      destination: { write: (line) => log.line(line.trimEnd()) },
      onAlarm: (alarm) => this.#alarms.raised(alarm),
    });
    await serveMetrics(telemetry, join(this.#socketDir, metricsSocketName("supervisor")), this.#lifetime);
    return telemetry;
  }

  async #startRoles(roles: readonly RoleName[]): Promise<void> {
    if (this.#stopped) return;
    const { gateway } = this.#o.config;
    await Promise.all(roles.flatMap((role) => processNames(role, gateway.processes).map((name) => this.#launch(role, name))));
  }

  /** Starts a process of a role; resolves when it is ready. @throws CliError CLI_START_FAILED if it keeps ending before that */
  #launch(role: RoleName, name: string): Promise<void> {
    const { config, clock, console, dataDir } = this.#o;
    const host = this.#host;
    if (host === undefined) throw new CliError("CLI_NOT_READY", "the host has not been divided");
    return new Promise((resolve, reject) => {
      let ready = false;
      const child: Child = new Child({
        begin: this.#begin(role, name),
        logs: dataDir.logs,
        clock,
        backoff: { minMs: config.supervisor.restartMsMin, maxMs: config.supervisor.restartMsMax },
        heapMibMax: host.heapMibMax(role),
        onSpawn: (pid) => host.settle(pid, role, name),
        onChange: () => this.#changed(),
        onLine: (line) => console.roleLine(name, line),
        onAlarm: (alarm) => this.#alarms.told(name, alarm),
        ...(role === "keeper" ? { onKept: (ids) => this.#alarms.kept(ids), onCounted: () => this.#detacher?.ask() } : {}),
        ...(role === "gateway" ? { onBegin: () => this.#desk?.started(child), onLoad: (load) => this.#desk?.heard(child, load) } : {}),
        onCrash: (end) => {
          this.#desk?.left(name);
          const { failure } = child;
          this.#telemetry?.emit(childEnded, { child: name, ...end, code: failure?.code });
          console.say(`${name} ended (${end.how}); starting it again in ${end.pauseMs} ms (restart ${end.restarts})`);
          if (!ready && (child.endsInARow >= startAttemptsMax || operatorCodes.has(failure?.code ?? ""))) {
            const why = failure === undefined ? "" : `: ${failure.code} ${failure.message} — ${failure.next}`;
            reject(new CliError("CLI_START_FAILED", `${name} does not start${why} (log: ${join(dataDir.logs, `${name}.log`)})`));
          }
        },
      });
      this.#children.set(name, child);
      child.start();
      void child.ready().then(() => {
        ready = true;
        console.say(role === "gateway" ? `${name} ready on ${this.gateway?.host}:${this.gateway?.port}` : `${name} ready`);
        resolve();
      });
    });
  }

  #begin(role: RoleName, name: string): RoleBegin {
    const busUrl = redisUrl(this.#o.config);
    const busRole = busRoleOf[role];
    const login = busRole === undefined ? undefined : busLogin(this.#busUsers, busRole);
    const databaseRoleName = busUrl !== undefined && onlyForTheLog.has(role) ? undefined : databaseRole[role];
    return {
      type: "begin",
      role,
      name,
      config: this.#o.config,
      dataDir: this.#o.dataDir.root,
      socketDir: this.#socketDir,
      registrySocket: this.registrySocket,
      embedded: this.#o.config.database.url.isEmpty,
      gateway: this.gateway ?? { host: "127.0.0.1", port: 0 },
      ...(busUrl === undefined || busRole === undefined ? {} : { busUrl }),
      ...(login === undefined ? {} : { busLogin: login }),
      afterLoss: this.#o.afterLoss,
      ...(databaseRoleName === undefined || this.#database === undefined ? {} : { connection: this.#database.role(databaseRoleName) }),
    };
  }

  /** Starts processes again: all of a role, or one by its name. @throws CliError CLI_REFUSED, CLI_NOT_READY */
  async #restart(what: string, say: (message: string) => void): Promise<void> {
    const { clock, config, console } = this.#o;
    const chosen = [...this.#children.values()].filter(({ name, role }) => name === what || role === what);
    if (chosen.length === 0) throw new CliError("CLI_REFUSED", `nothing runs that is called ${what}`);
    if (this.#phase !== "ready") throw new CliError("CLI_REFUSED", "the system is starting or stopping");
    const restart = (child: Child, boundMs: number): Promise<boolean> => {
      this.#desk?.left(child.name);
      return child.restart(boundMs);
    };
    await restartOneByOne(
      chosen.map((child) => ({ name: child.name, restart: (boundMs) => restart(child, boundMs) })),
      {
        clock,
        drainMsMax: config.supervisor.drainMsMax,
        say: (message) => {
          console.say(`restart: ${message}`);
          say(message);
        },
      },
    );
  }

  #drainRole(role: RoleName): Promise<unknown> {
    return Promise.all([...this.#children.values()].filter((child) => child.role === role).map((child) => this.#drainChild(child)));
  }

  async #drainChild(child: Child): Promise<void> {
    const boundMs = this.#o.config.supervisor.drainMsMax;
    this.#desk?.left(child.name);
    if (await child.drain(boundMs)) this.#o.console.say(`${child.name} stopped`);
    else this.#o.console.say(`${child.name} did not finish within ${boundMs} ms and was ended; the next start recovers`);
  }

  /** Writes runtime.json; while one write runs, the next waits and takes the newest state. */
  #changed(): void {
    if (this.#writeAgain) return;
    this.#writeAgain = true;
    this.#writing = this.#writing.then(async () => {
      this.#writeAgain = false;
      await writeRuntime(this.#o.dataDir, this.#state()).catch((error: unknown) =>
        this.#o.console.say(`runtime.json cannot be written: ${String(error)}`),
      );
    });
  }

  #state(): RuntimeFile {
    return {
      version: 1,
      phase: this.#phase,
      supervisor: thisProcess(),
      startedUs: this.#startedUs,
      socketDir: this.#socketDir,
      postgres: this.#database?.state() ?? null,
      gateway: this.gateway,
      registrySocket: this.registrySocket,
      streams: this.#o.config.streams,
      children: [...this.#children.values()].map((child) => child.state()),
      ledger: this.#ledger,
    };
  }
}
