/**
 * Why it exists: the system needs one PostgreSQL, ours or somebody else's, and ours has to come back when it is killed.
 * Enforces: an embedded server that ends without being asked is started again, with back-off and loudly; the database is prepared (migrations,
 * roles, grants, days) before any role begins; a server on which a receipt could not mean durable is refused (R-4).
 * Forbids: handing the administrator's connection to any role.
 */
import { join } from "node:path";
import {
  assertDurable,
  beginBackup,
  type Connection,
  type DatabaseSecrets,
  type Detached,
  detachDay,
  type EmbeddedServer,
  type LoginRole,
  openClient,
  parseConnectionUrl,
  prepareDatabase,
  roleConnection,
  type StopMode,
  startEmbedded,
} from "ransomeye-db";
import { type Clock, type Config, type Random, sleep, type Telemetry } from "ransomeye-kernel";
import { backupSocketName, serveBackups } from "../backup/backup_desk.ts";
import { CliError } from "../errors.ts";
import { nextBackoff } from "./backoff.ts";
import { redisUrl } from "./bus_url.ts";
import { assertConnectionsFit, connectionBudget } from "./connection_budget.ts";
import type { DataDir } from "./data_dir.ts";
import type { RuntimeFile } from "./runtime_file.ts";

export interface DatabaseOptions {
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly socketDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** Lines for the console. */
  readonly say: (line: string) => void;
  readonly onChange: () => void;
  /** What the host's plan tells an embedded server over its own settings. */
  readonly settings: Readonly<Record<string, string>>;
  /** An embedded server's process has just been started. */
  readonly onSpawn: (pid: number) => void;
}

/** The running database. */
export interface Database {
  /** Connection of one of our roles. */
  role(role: LoginRole): Connection;
  state(): NonNullable<RuntimeFile["postgres"]>;
  /** Detaches the day that retention has counted, on the administrator's connection. */
  readonly detachDay: () => Promise<Detached>;
  /** Stops an embedded server; an external one is left alone. */
  stop(mode: StopMode): Promise<void>;
}

/** Starts or finds the database and prepares it. */
export async function openDatabase(o: DatabaseOptions): Promise<Database> {
  return o.config.database.url.isEmpty ? openEmbedded(o) : openExternal(o);
}

async function prepare(o: DatabaseOptions, connection: Connection): Promise<DatabaseSecrets> {
  const { clock, random, telemetry } = o;
  const log = redisUrl(o.config) === undefined ? "here" : "elsewhere";
  const secrets = await prepareDatabase({ connection, secretsFile: o.dataDir.databaseSecrets, log, clock, random, telemetry });
  const client = await openClient(connection, "ransomeye supervisor");
  try {
    await assertDurable(client);
    const allowed = await client.query<{ max: number }>("SELECT current_setting('max_connections')::int4 AS max");
    assertConnectionsFit(connectionBudget(o.config), allowed.rows[0]?.max ?? 0);
  } finally {
    await client.end();
  }
  return secrets;
}

async function openExternal(o: DatabaseOptions): Promise<Database> {
  const connection = parseConnectionUrl(o.config.database.url.reveal());
  const secrets = await prepare(o, connection);
  const { host, port, database } = connection;
  return {
    role: (role) => roleConnection(connection, secrets, role),
    state: () => ({ embedded: false, host, port, database, pid: null, restarts: 0 }),
    detachDay: () => detachDay(connection),
    stop: () => Promise.resolve(),
  };
}

async function openEmbedded(o: DatabaseOptions): Promise<Database> {
  const start = (): Promise<EmbeddedServer> =>
    startEmbedded({
      dataDir: o.dataDir.root,
      runtimeDir: o.socketDir,
      port: o.config.database.listenPort,
      secretsFile: o.dataDir.databaseSecrets,
      settings: o.settings,
      ...(o.config.backup.walArchiveDir === "" ? {} : { walArchiveDir: o.config.backup.walArchiveDir }),
      onSpawn: o.onSpawn,
      clock: o.clock,
      random: o.random,
      telemetry: o.telemetry,
    });
  let server = await start();
  let alive = true;
  let restarts = 0;
  const stopping = new AbortController();
  const { connection } = server;
  let secrets: DatabaseSecrets;
  let endBackups: () => Promise<void>;
  try {
    secrets = await prepare(o, connection);
    endBackups = await serveBackups(join(o.socketDir, backupSocketName), () => beginBackup(connection));
  } catch (error) {
    await server.stop("fast");
    throw error;
  }
  o.say(`PostgreSQL ${server.version} ready (unix socket in ${server.socketDirectory}, process ${server.pid}, user ${server.runAs})`);
  const guarded = guard();

  /** Waits for the server's end and starts it again, until stopped on purpose. */
  async function guard(): Promise<void> {
    for (let endsInARow = 0; ; ) {
      const startedMs = o.clock.monotonicMs();
      const end = await server.exited;
      alive = false;
      if (stopping.signal.aborted) return;
      const next = nextBackoff(endsInARow, o.clock.monotonicMs() - startedMs, {
        minMs: o.config.supervisor.restartMsMin,
        maxMs: o.config.supervisor.restartMsMax,
      });
      endsInARow = next.endsInARow;
      restarts += 1;
      o.say(`PostgreSQL ended (${end.signal ?? `exit code ${end.code}`}); starting it again in ${next.pauseMs} ms`);
      o.onChange();
      if (!(await restart(next.pauseMs))) return;
    }
  }

  async function restart(firstPauseMs: number): Promise<boolean> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(o.config.supervisor.restartMsMax, pauseMs * 2)) {
      try {
        await sleep(o.clock, pauseMs, stopping.signal);
        server = await start();
      } catch (error) {
        if (stopping.signal.aborted) return false;
        o.say(`PostgreSQL does not start: ${error instanceof Error ? error.message : String(error)}`);
        continue;
      }
      alive = true;
      if (stopping.signal.aborted) await server.stop("fast");
      else o.say(`PostgreSQL is back (process ${server.pid})`);
      o.onChange();
      return !stopping.signal.aborted;
    }
  }

  return {
    role: (role) => roleConnection(connection, secrets, role),
    state: () => ({
      embedded: true,
      host: connection.host,
      port: connection.port,
      database: connection.database,
      pid: alive ? server.pid : null,
      restarts,
    }),
    detachDay: () => detachDay(connection),
    async stop(mode) {
      stopping.abort(new CliError("CLI_START_FAILED", "stopping"));
      const ended = endBackups();
      if (alive) await server.stop(mode);
      await guarded;
      await ended;
    },
  };
}
