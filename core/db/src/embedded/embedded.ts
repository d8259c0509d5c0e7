import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import type { Connection } from "../connection.ts";

/** How the embedded server is started. */
export interface EmbeddedOptions {
  /** RansomEye's data directory (absolute, such as `/srv/x/.ransomeye`); the cluster lies in `postgres/` below it. */
  readonly dataDir: string;
  /** Short private directory for sockets; default `runtimeDirectoryFor(dataDir)`. The server's own lie in `pg/` below it. */
  readonly runtimeDir?: string;
  /** Number in the socket's name; there is no TCP port. Default 5432. */
  readonly port?: number;
  /** Database that `connection` names; created if missing. Default `ransomeye`. */
  readonly database?: string;
  /** Where passwords are kept; default `secrets/database.json` in `dataDir`. */
  readonly secretsFile?: string;
  /** Further settings for postgresql.conf, over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Wait for readiness, crash recovery included. Default 10 minutes. */
  readonly startMsMax?: number;
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
  readonly runAs: string;
  /** Stops it and settles when the process is gone. Falls back to the next harder mode after `boundMs` (default 60 s each). */
  stop(mode: StopMode, boundMs?: number): Promise<void>;
  /** Settles when the process ends for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
}

/** Starts (creating, recovering or taking over as needed) the embedded server. */
export function startEmbedded(_options: EmbeddedOptions): Promise<EmbeddedServer> {
  return Promise.reject(new Error("not built yet"));
}
