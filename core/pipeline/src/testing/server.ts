/**
 * Why it exists: one Redis server that a test can kill, stop, start again and ask.
 * Enforces: loopback, a directory of its own, settings in a file that only we can read; its death takes along what it forked.
 * Forbids: a server that only looks like ours: the process that answers must be the one that was started.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type Guard, sleep, systemClock } from "ransomeye-kernel";
import { loopback, releasePort } from "./ports.ts";
import type { Settings } from "./settings.ts";
import { tailOf, until, waitMsMax } from "./until.ts";

/** A running Redis (or Valkey) server on loopback. */
export interface TestRedis {
  readonly host: string;
  readonly port: number;
  /** `redis://127.0.0.1:port`. */
  readonly url: string;
  /** Its data, configuration and log; gone after `close`. */
  readonly directory: string;
  /** Of the process that runs now. Throws where none does. */
  pid(): number;
  /**
   * A connection for administration, made at the first call, closed by `close`. While the server is away, what was sent is rejected, what
   * was not sent yet waits about a second.
   */
  client(): Redis;
  /** SIGKILL, also to a rewrite that it forked; resolves when it has ended. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  stop(): void;
  /** SIGCONT. */
  go(): void;
  /**
   * Starts it again with the same port, directory and configuration file, killing it first where it still runs. Resolves when it has loaded
   * its data and answers, and `client` is connected again. What `set` changed is lost, unless CONFIG REWRITE wrote it down.
   */
  restart(): Promise<void>;
  /** CONFIG SET, one after the other. */
  set(settings: Settings): Promise<void>;
  /** All that it has logged so far. */
  log(): Promise<string>;
  /** Kills it and removes its directory. */
  close(): Promise<void>;
}

/** A server ended because it could not bind its port: somebody else was faster. */
export class PortTakenError extends Error {}

/** What a server logs that cannot bind its port, or the bus port of a cluster above it. */
const portTaken = /Address already in use|Failed listening on port/;

/** A living server answers long before, also while its disk is busy. */
const askMsMax = 10_000;
const reconnectMs = 50;

/** What a server is made of before it starts. */
export interface ServerParts {
  readonly program: string;
  readonly major: number;
  readonly port: number;
  readonly clustered: boolean;
  readonly directory: string;
  readonly guard: Guard;
  readonly login: Login | undefined;
  /** Arguments of the program before those that say where the test wants it; else our configuration file. */
  readonly given: readonly string[] | undefined;
}

/** As whom our own connections come. */
export interface Login {
  readonly username?: string;
  readonly password: string;
}

/** The one implementation of {@link TestRedis}. */
export class Server implements TestRedis {
  readonly host: string = loopback;
  readonly port: number;
  readonly url: string;
  readonly directory: string;
  readonly major: number;
  readonly configFile: string;
  readonly logFile: string;
  readonly #parts: ServerParts;
  #process: ChildProcess | undefined;
  #stopped = false;
  #client: Redis | undefined;
  #closed = false;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.port = parts.port;
    this.url = `redis://${loopback}:${parts.port}`;
    this.directory = parts.directory;
    this.major = parts.major;
    this.configFile = join(parts.directory, "redis.conf");
    this.logFile = join(parts.directory, "redis.log");
  }

  /** Alive and not stopped: it can answer. */
  get isLiving(): boolean {
    return this.#process !== undefined && hasNotEnded(this.#process) && !this.#stopped;
  }

  pid(): number {
    return this.#living().pid;
  }

  client(): Redis {
    if (this.#closed) throw new Error(`the server on port ${this.port} is closed`);
    if (this.#client === undefined) {
      const { host, port } = this;
      this.#client = new Redis({
        ...this.#connection(),
        host,
        port,
        autoResendUnfulfilledCommands: false,
        retryStrategy: () => reconnectMs,
      });
      // That a killed server is away is what the test wanted; its commands say so as well.
      this.#client.on("error", () => {});
    }
    return this.#client;
  }

  /** One question over a connection of its own, which depends on nothing that happened before. Rejects if there is no answer in time. */
  async ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const { host, port } = this;
    const once = { lazyConnect: true, enableReadyCheck: false, retryStrategy: null } as const;
    const client = new Redis({ ...this.#connection(), ...once, host, port, protocol: 2, autoResendUnfulfilledCommands: false });
    client.on("error", () => {});
    let late = false;
    const timer = systemClock.setTimer(askMsMax, () => {
      late = true;
      client.disconnect();
    });
    try {
      await client.connect();
      return await question(client);
    } catch (error) {
      if (!late) throw error;
      const said = `port ${port} did not answer within ${askMsMax / 1000} s\n${tailOf(await this.log())}`;
      throw new Error(said, { cause: error });
    } finally {
      timer.cancel();
      client.disconnect();
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || !hasNotEnded(child)) return;
    killGroup(child.pid);
    await until(`the end of process ${child.pid}`, [this], async () => !hasNotEnded(child));
  }

  stop(): void {
    this.#living().kill("SIGSTOP");
    this.#stopped = true;
  }

  go(): void {
    this.#living().kill("SIGCONT");
    this.#stopped = false;
  }

  /** Starts the process and waits until it answers. Throws PortTakenError where somebody else has the port. */
  async start(): Promise<void> {
    const before = (await this.log()).length;
    const child = await this.#spawn();
    await until(`the server on port ${this.port} to answer`, [this], async () => !hasNotEnded(child) || (await this.#answers(child.pid)));
    if (hasNotEnded(child)) return;
    const said = (await this.log()).slice(before);
    const message = `the server on port ${this.port} ended at its start:\n${tailOf(said)}`;
    throw portTaken.test(said) ? new PortTakenError(message) : new Error(message);
  }

  async restart(): Promise<void> {
    if (this.#closed) throw new Error(`the server on port ${this.port} is closed`);
    await this.kill();
    const end = systemClock.monotonicMs() + waitMsMax;
    for (;;) {
      try {
        await this.start();
        break;
      } catch (error) {
        // While nobody listened there, the system may have given our port to somebody's outgoing connection.
        if (!(error instanceof PortTakenError) || systemClock.monotonicMs() >= end) throw error;
        await sleep(systemClock, reconnectMs);
      }
    }
    const client = this.#client;
    if (client !== undefined && client.status !== "end")
      await until(`the client of port ${this.port} to be back`, [this], async () => (await client.ping()) === "PONG");
  }

  async set(settings: Settings): Promise<void> {
    await this.ask(async (client) => {
      for (const [name, value] of Object.entries(settings)) await client.config("SET", name, value);
    });
  }

  log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#client?.disconnect();
    await this.kill();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
    // Last: until here the guard would still clean up after us.
    this.#parts.guard.release();
    releasePort(this.port, this.#parts.clustered);
  }

  #connection(): Partial<Login> & { readonly disableClientInfo: true } {
    return { ...this.#parts.login, disableClientInfo: true };
  }

  #living(): ChildProcess & { readonly pid: number } {
    const child = this.#process;
    if (child === undefined || child.pid === undefined || !hasNotEnded(child)) throw new Error(`no server runs on port ${this.port}`);
    return child as ChildProcess & { readonly pid: number };
  }

  async #spawn(): Promise<ChildProcess> {
    const { program, guard, directory, given, port } = this.#parts;
    const place = ["--port", String(port), "--bind", loopback, "--daemonize", "no", "--logfile", this.logFile];
    const args = given === undefined ? [this.configFile] : [...given, ...place];
    // Also to the log: what is wrong with the configuration is said before the log is opened.
    const log = await open(this.logFile, "a", 0o600);
    try {
      const child = spawn(program, args, { detached: true, cwd: directory, stdio: ["ignore", log.fd, log.fd] });
      const { pid } = child;
      guard.watch(pid);
      child.unref();
      // Without a listener a program that cannot be started would end the test process; it counts as ended.
      child.on("error", () => {});
      child.once("exit", () => {
        killGroup(pid);
        if (this.#process === child) guard.watch(undefined);
      });
      this.#process = child;
      this.#stopped = false;
      return child;
    } finally {
      await log.close();
    }
  }

  async #answers(pid: number | undefined): Promise<boolean> {
    return this.ask(async (client) => {
      const info = await client.info();
      return info.includes(`\nprocess_id:${pid}\r`) && info.includes("\nloading:0\r") && (await client.ping()) === "PONG";
    });
  }
}

function hasNotEnded(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Kills a server and what it forked; nothing happens if none of them is left. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // There is nobody left.
  }
}
