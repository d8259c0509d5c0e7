/**
 * Why it exists: one command gives a real PostgreSQL: made, started, recovered, taken over and stopped by us.
 * Enforces: an unprivileged user, a unix socket only, a process session of its own (a terminal's Ctrl-C does not reach it),
 * passwords in a 0600 file, and an end that is always noticed through `exited`.
 * Forbids: a second server on one data directory; TCP.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Clock, diskFacts, machineFacts, type Random, type Telemetry } from "ransomeye-kernel";
import { recoverySignal } from "../backup/recovery.ts";
import { archiveSettings, prepareArchive } from "../backup/wal_archive.ts";
import type { Connection } from "../connection.ts";
import { ensureDatabase } from "../database.ts";
import { DbError } from "../errors.ts";
import { serverExited, serverInitialised, serverStarted, serverStopped } from "../events.ts";
import { ensureSecrets, secretRoles, superuserName } from "../secrets.ts";
import { type Binaries, prepareBinaries } from "./binaries.ts";
import { createCluster, inspectCluster, startBytesMin } from "./cluster.ts";
import { clusterOwner, makeClusterDirectory, makeSocketDirectory } from "./places.ts";
import { clearTheWay, readPidFile, supervisorMark, waitUntil } from "./postmaster.ts";
import { processFacts, signalProcess, spawnIdentity, toolPath } from "./processes.ts";
import { chooseRunAs, type RunAs } from "./run_as.ts";
import { serverSettings } from "./settings.ts";

/** How the embedded server is started. */
export interface EmbeddedOptions {
  /** RansomEye's data directory (absolute, such as `/srv/x/.ransomeye`); the cluster lies in `postgres/` below it. */
  readonly dataDir: string;
  /** Short private directory for sockets, such as `makeRuntimeDirectory` gives. The server's own lie in `pg/` below it. */
  readonly runtimeDir: string;
  /** Number in the socket's name; there is no TCP port. Default 5432. */
  readonly port?: number;
  /** Database that `connection` names; created if missing. Default `ransomeye`. */
  readonly database?: string;
  /** Where passwords are kept; default `secrets/database.json` in `dataDir`. */
  readonly secretsFile?: string;
  /** Further settings of the server, over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where finished files of the log of changes are copied to, for points in time (absolute). Default: nowhere. */
  readonly walArchiveDir?: string;
  /** Wait for readiness, crash recovery included. Default 10 minutes, and a day for a restored cluster. */
  readonly startMsMax?: number;
  /** The server's process has just been started: whoever divides a host puts it in its place before it takes memory. */
  readonly onSpawn?: (pid: number) => void;
  /** Flush a newly created cluster to disk; only tests say false. */
  readonly syncNewCluster?: boolean;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/** How the server ended. `asked` is true if `stop` was called before. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly asked: boolean;
}

/** smart waits for clients to leave, fast ends their sessions, immediate skips the checkpoint (recovery at the next start). */
export type StopMode = "smart" | "fast" | "immediate";

/** A running embedded server. */
export interface EmbeddedServer {
  /** As superuser, to `database`. */
  readonly connection: Connection;
  readonly pid: number;
  /** Start time of the process in clock ticks since boot (/proc), which with the pid names it for ever; undefined elsewhere. */
  readonly startTime: number | undefined;
  /** PGDATA, the real path. */
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly logFile: string;
  readonly version: string;
  /** Name of the user that it runs as. */
  readonly runAs: string;
  /** Stops it and settles when the process is gone. Where a mode does not suffice within `boundMs` (default 60 s), the next harder one follows. */
  stop(mode: StopMode, boundMs?: number): Promise<void>;
  /** Settles when the process ends for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
}

const startMsMaxDefault = 600_000;
/** A recovery from an archive reads everything since the backup. */
const restoreMsMaxDefault = 86_400_000;
const stopMsMaxDefault = 60_000;
const logBytesMax = 16 * 1024 * 1024;
const logTailBytes = 4096;

/**
 * Starts the embedded server: creates the cluster if there is none, takes over from a supervisor that died, waits for the remains of a
 * killed server, and lets PostgreSQL recover from its log. Settles when it accepts connections.
 * @throws DbError DB_BINARIES_*, DB_RUNAS_UNAVAILABLE, DB_RUNTIME_DIR_UNSAFE, DB_SOCKET_PATH_TOO_LONG, DB_DATA_DIR_*, DB_DISK_FULL,
 * DB_INITDB_FAILED, DB_SERVER_START_*, DB_SECRETS_UNREADABLE, DB_ARCHIVE_UNUSABLE
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const begun = options.clock.monotonicMs();
  const dataDir = resolve(options.dataDir);
  const port = options.port ?? 5432;
  const { runtimeDir } = options;
  const runAs = await chooseRunAs(await clusterOwner(dataDir));
  const socketDirectory = await makeSocketDirectory(runtimeDir, runAs, port);
  const binaries = await prepareBinaries(runAs, join(runtimeDir, "lib"));
  const dataDirectory = await makeClusterDirectory(dataDir, runAs, options.random);
  await clearTheWay(dataDirectory, options);
  const secretsFile = options.secretsFile ?? join(dataDir, "secrets", "database.json");
  const password = await superuserPassword(secretsFile, options.random);
  if ((await inspectCluster(dataDirectory, binaries.major)) === "empty") {
    await createCluster({ directory: dataDirectory, runtimeDir, binaries, runAs, password, sync: options.syncNewCluster ?? true });
    options.telemetry.emit(serverInitialised, { data_directory: dataDirectory, version: binaries.version });
  }
  const log = await prepareLog(dataDir);
  const disk = await diskFacts(dataDirectory);
  const { walArchiveDir } = options;
  if (walArchiveDir !== undefined) await prepareArchive(walArchiveDir, runAs);
  const overrides = { ...(walArchiveDir === undefined ? {} : archiveSettings(walArchiveDir)), ...options.settings };
  const settings = serverSettings({ machine: machineFacts(), disk, socketDirectory, port, overrides });
  const isRestored = existsSync(join(dataDirectory, recoverySignal));
  const server = await spawnServer({ binaries, runAs, dataDirectory, settings, logFile: log.path }, options);
  await untilReady(server, {
    dataDirectory,
    log,
    startMsMax: options.startMsMax ?? (isRestored ? restoreMsMaxDefault : startMsMaxDefault),
    clock: options.clock,
  });
  const connection: Connection = { host: socketDirectory, port, database: options.database ?? "ransomeye", user: superuserName, password };
  await ensureDatabase(connection).catch(async (error: unknown) => {
    await server.stop("fast");
    throw error;
  });
  const facts = await processFacts(server.pid);
  const seconds = (options.clock.monotonicMs() - begun) / 1000;
  options.telemetry.emit(serverStarted, {
    pid: server.pid,
    data_directory: dataDirectory,
    version: binaries.version,
    seconds,
    run_as: runAs.name,
  });
  return {
    connection,
    pid: server.pid,
    startTime: facts?.startTime,
    dataDirectory,
    socketDirectory,
    logFile: log.path,
    version: binaries.version,
    runAs: runAs.name,
    stop: (mode, boundMs) => server.stop(mode, boundMs),
    exited: server.exited,
  };
}

async function superuserPassword(secretsFile: string, random: Random): Promise<string> {
  await mkdir(join(secretsFile, ".."), { recursive: true, mode: 0o700 });
  const secrets = await ensureSecrets(secretsFile, [superuserName, ...secretRoles], random);
  return secrets.passwords[superuserName] ?? "";
}

/** The server's log, and where the coming start's lines begin in it. */
interface ServerLog {
  readonly path: string;
  readonly from: number;
}

/** `logs/postgres.log`; what grew too long is put aside at a start. */
async function prepareLog(dataDir: string): Promise<ServerLog> {
  const directory = join(dataDir, "logs");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "postgres.log");
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined || facts.size <= logBytesMax) return { path, from: facts?.size ?? 0 };
  await rename(path, `${path}.1`);
  return { path, from: 0 };
}

interface SpawnOptions {
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  readonly dataDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/**
 * A host that is short of memory ends the postmaster last where somebody may say so; its backends, which hold a question each, are as others: one that ends
 * costs a recovery, the postmaster costs the server. PostgreSQL does it itself at each fork.
 */
const oomAdjustment = { PG_OOM_ADJUST_FILE: "/proc/self/oom_score_adj", PG_OOM_ADJUST_VALUE: "0" } as const;

async function spawnServer(o: SpawnOptions, context: Pick<EmbeddedOptions, "clock" | "telemetry" | "onSpawn">): Promise<RunningServer> {
  const log = await open(o.logFile, "a", 0o600);
  try {
    const pairs = [...Object.entries(o.settings).map(([name, value]) => `${name}=${value}`), await supervisorMark()];
    const child = spawn(o.binaries.postgres, ["-D", o.dataDirectory, ...pairs.flatMap((pair) => ["-c", pair])], {
      // A session of its own: Ctrl-C reaches a whole terminal group, and for PostgreSQL SIGINT is a fast shutdown.
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: { PATH: toolPath, LC_ALL: "C", ...oomAdjustment, ...o.binaries.environment },
      cwd: "/",
      ...spawnIdentity(o.runAs),
    });
    // Before anything is awaited: a server that refuses its settings has ended before a file is closed.
    const server = new RunningServer(child, context);
    if (child.pid !== undefined) context.onSpawn?.(child.pid);
    return server;
  } finally {
    await log.close();
  }
}

/** The postmaster as a child of ours: stop in escalating modes, one `exited` for everybody. */
class RunningServer {
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  #exit: ServerExit | undefined;
  #asked = false;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(child: ChildProcess, context: { readonly clock: Clock; readonly telemetry: Telemetry }) {
    this.pid = child.pid ?? 0;
    this.#clock = context.clock;
    this.#telemetry = context.telemetry;
    this.exited = new Promise((settle) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#exit ??= { code, signal, asked: this.#asked };
        settle(this.#exit);
      };
      child.once("error", () => end(null, null));
      child.once("exit", end);
    });
  }

  get exit(): ServerExit | undefined {
    return this.#exit;
  }

  /** From now on an end without our word is an event of its own. */
  watch(): void {
    void this.exited.then(({ code, signal, asked }) => {
      if (!asked) this.#telemetry.emit(serverExited, { pid: this.pid, exit_code: code, signal });
    });
  }

  async stop(mode: StopMode, boundMs: number = stopMsMaxDefault): Promise<void> {
    const begun = this.#clock.monotonicMs();
    const signals: Readonly<Record<StopMode, readonly NodeJS.Signals[]>> = {
      smart: ["SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL"],
      fast: ["SIGINT", "SIGQUIT", "SIGKILL"],
      immediate: ["SIGQUIT", "SIGKILL"],
    };
    this.#asked = true;
    for (const signal of signals[mode]) {
      if (this.#exit === undefined) signalProcess(this.pid, signal);
      if (await waitUntil(this.#clock, boundMs, () => Promise.resolve(this.#exit !== undefined))) break;
    }
    this.#telemetry.emit(serverStopped, { pid: this.pid, mode, seconds: (this.#clock.monotonicMs() - begun) / 1000 });
  }
}

/** Waits for `ready` in postmaster.pid, as pg_ctl does: no log-in is tried that could fail and fill the log. */
async function untilReady(
  server: RunningServer,
  o: { dataDirectory: string; log: ServerLog; startMsMax: number; clock: Clock },
): Promise<void> {
  const settled = async (): Promise<boolean> => {
    if (server.exit !== undefined) return true;
    const noted = await readPidFile(o.dataDirectory);
    return noted?.pid === server.pid && noted.status === "ready";
  };
  const inTime = await waitUntil(o.clock, o.startMsMax, settled);
  if (server.exit !== undefined) {
    const tail = await readTail(o.log);
    const { freeBytes } = await diskFacts(o.dataDirectory);
    // 53100 is the SQLSTATE of a full disk, which our log prefix shows on each line.
    const full = freeBytes < startBytesMin || / 53100 /.test(tail);
    throw new DbError(full ? "DB_DISK_FULL" : "DB_SERVER_START_FAILED", `PostgreSQL ended before it was ready. Its last lines:\n${tail}`, {
      fields: { free_bytes: freeBytes, log_file: o.log.path },
    });
  }
  if (!inTime) {
    await server.stop("immediate");
    throw new DbError("DB_SERVER_START_TIMEOUT", `PostgreSQL was not ready after ${o.startMsMax} ms; see ${o.log.path}.`);
  }
  server.watch();
}

async function readTail(log: ServerLog): Promise<string> {
  const bytes = await readFile(log.path).catch(() => Buffer.alloc(0));
  return bytes.subarray(log.from).subarray(-logTailBytes).toString("utf8").trim();
}
