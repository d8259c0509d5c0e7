/**
 * Why it exists: tests, and whoever compares a database with a new one, need a server for a moment.
 * Enforces: a directory of its own below the system's temporary one; nothing of it is left, also when our process is killed (killed in the moment between its start
 * and its first answer, the server notices within a minute that its directory is gone, and ends).
 * Forbids: data that anybody wants to keep.
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, type Random, startGuard, type Telemetry } from "ransomeye-kernel";
import { type EmbeddedServer, startEmbedded } from "./embedded.ts";
import { signalProcess } from "./processes.ts";

/** Small, and as durable as any; few come to such a server. */
const smallSettings = { shared_buffers: "32MB", max_wal_size: "512MB", min_wal_size: "80MB", max_connections: "120" } as const;

/** Of the shell, with a server whose clients are all gone. */
const patienceS = 5;

export interface ThrowawayOptions {
  /** Begins the name of its directory. */
  readonly prefix: string;
  /** Over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Puts a cluster into the data directory, before the first start; without it one is made. */
  readonly fill?: (dataDir: string) => Promise<void>;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/** A server that is gone when it is closed. */
export interface ThrowawayServer {
  /** Another one after each `crash`, on the same socket. */
  readonly server: EmbeddedServer;
  /** Its directory, for what shall go with it. */
  readonly directory: string;
  readonly close: () => Promise<void>;
  /** Kills the server (SIGKILL) and starts it again: settles when it has recovered. */
  readonly crash: () => Promise<void>;
}

/** @throws DbError as startEmbedded does */
export async function startThrowaway({ prefix, settings = {}, fill, ...options }: ThrowawayOptions): Promise<ThrowawayServer> {
  const directory = await mkdtemp(join(tmpdir(), prefix));
  // As root the server runs as somebody else, who must be able to pass.
  await chmod(directory, 0o711);
  const guard = startGuard(directory, patienceS);
  const start = async (): Promise<EmbeddedServer> => {
    const started = await startEmbedded({
      dataDir: join(directory, "d"),
      runtimeDir: join(directory, "r"),
      syncNewCluster: false,
      settings: { ...smallSettings, ...settings },
      ...options,
    });
    guard.watch(started.pid);
    return started;
  };
  const first = async (): Promise<EmbeddedServer> => {
    if (fill !== undefined) {
      await mkdir(join(directory, "d"), { mode: 0o700 });
      await fill(join(directory, "d"));
    }
    return start();
  };
  let server = await first().catch(async (error: unknown) => {
    guard.release();
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  return {
    get server() {
      return server;
    },
    directory,
    close: async () => {
      await server.stop("immediate");
      await rm(directory, { recursive: true, force: true });
      guard.release();
    },
    crash: async () => {
      signalProcess(server.pid, "SIGKILL");
      await server.exited;
      server = await start();
    },
  };
}
