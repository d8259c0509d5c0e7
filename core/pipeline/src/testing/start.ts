/**
 * Why it exists: a server's start may fail because somebody took its port, and then it is tried with another.
 * Enforces: a start that fails leaves nothing behind; of several servers all start or none.
 * Forbids: settings in argv, where everybody can read them.
 */
import { accessSync, constants, statSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { startGuard, systemEnvironment } from "ransomeye-kernel";
import { holdPort } from "./ports.ts";
import { type Login, PortTakenError, Server, type TestRedis } from "./server.ts";
import { configurationOf, isClustered, majorOf, type Settings } from "./settings.ts";

/** How a test's server is started. */
export interface StartRedisOptions {
  /** Over ours, as they are written in redis.conf; for example `{ appendfsync: "everysec" }`. With `requirepass` our own connections use it. */
  readonly settings?: Settings;
  readonly mounted?: Mounted;
}

/** A server with configuration files of somebody's own, instead of ours: a test then adds only where it listens and logs. */
export interface Mounted {
  /** A configuration file and what follows it; the directory is the server's own. */
  readonly arguments: (directory: string) => readonly string[];
  readonly clustered: boolean;
  /** A user with every right: such files let nobody in without a name. */
  readonly login: Login;
}

/** Where `redis-server` is, or else `valkey-server`, on PATH; undefined if there is none. */
function redisServerPath(): string | undefined {
  const directories = (systemEnvironment().PATH ?? "").split(delimiter).filter((directory) => directory !== "");
  for (const name of ["redis-server", "valkey-server"]) {
    for (const directory of directories) {
      const path = join(directory, name);
      if (isProgram(path)) return path;
    }
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** One server; resolves when it answers. Use as `const redis = await startRedis(); after(() => redis.close());`. */
export function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  return startServer(options.settings ?? {}, options.mounted);
}

const portTriesMax = 10;

/** As `startRedis`, for the files beside this one: they ask a server more than a test does. */
export async function startServer(settings: Settings, mounted?: Mounted): Promise<Server> {
  const program = redisServerPath();
  if (program === undefined) throw new Error("there is no redis-server on PATH (Debian: apt-get install redis-server)");
  for (let tries = 1; ; tries += 1) {
    const server = await prepareServer(program, settings, mounted);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.close();
      if (!(error instanceof PortTakenError) || tries === portTriesMax) throw error;
    }
  }
}

/** Several servers at once: all of them or none. */
export async function startServers(all: readonly Settings[]): Promise<readonly Server[]> {
  const started = await Promise.allSettled(all.map((settings) => startServer(settings)));
  const servers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = started.find((one) => one.status === "rejected");
  if (failed === undefined) return servers;
  await Promise.all(servers.map((server) => server.close()));
  throw failed.reason;
}

async function prepareServer(program: string, settings: Settings, mounted: Mounted | undefined): Promise<Server> {
  const major = await majorOf(program);
  const clustered = mounted?.clustered ?? isClustered(settings);
  const port = await holdPort(clustered);
  const directory = await mkdtemp(join(tmpdir(), "re-redis-"));
  const server = new Server({
    program,
    major,
    port,
    clustered,
    directory,
    guard: startGuard(directory),
    login: mounted?.login ?? (settings["requirepass"] === undefined ? undefined : { password: settings["requirepass"] }),
    given: mounted?.arguments(directory),
  });
  try {
    const text = configurationOf({ directory, log: server.logFile, port, major }, settings);
    await writeFile(server.configFile, text, { mode: 0o600, flag: "wx" });
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}
