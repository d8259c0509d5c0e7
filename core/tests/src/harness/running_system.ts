/**
 * Why: proofs and measurements need the whole system as a stranger runs it: the `ransomeye` command, its real processes, a data directory of its own.
 * Enforces: everything goes through the command line and the files it documents; each system lives in a fresh directory, on a free port, and ends its own processes only;
 * nothing of it is left behind, also when the test's process is killed.
 * Forbids: reaching into a running process, or killing a pid that the system's own runtime file did not name.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { get } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Client, openClient, readSecrets, superuserName } from "ransomeye-db";
import { copyPreparedCluster } from "ransomeye-db/testing";
import { type Guard, startGuard } from "ransomeye-kernel";
import { type GivenDatabase, givenDatabase } from "./given_database.ts";
import { givenServers, leaveServers } from "./given_servers.ts";

/** The committed entry point; it loads the built command. */
export const RANSOMEYE_BIN: string = fileURLToPath(new URL("../../../../../cli/bin/ransomeye.js", import.meta.url));

/** A system that nobody needs any more has drained by then, or will not. */
const patienceMs = 5_000;
/** Seconds that a system may take to end whose test process was killed. */
const drainSMax = 20;

export type Victim = "gateway" | "engine" | "postgres" | "supervisor" | "registry" | "keeper" | "forensics" | "sealer" | "indexer";

/** What `runtime.json` says, as far as the harness needs it. */
export interface Runtime {
  readonly phase: string;
  readonly supervisor: { readonly pid: number };
  readonly postgres: { readonly pid: number; readonly host: string; readonly port: number; readonly database: string } | null;
  readonly gateway: { readonly host: string; readonly port: number };
  readonly registrySocket: string;
  readonly socketDir: string;
  readonly children: readonly { readonly role: string; readonly name: string; readonly pid: number; readonly restarts: number }[];
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class RunningSystem implements AsyncDisposable {
  readonly dataDir: string;
  #supervisor: ChildProcess | undefined;
  readonly #flags: readonly string[];
  readonly #commands = new Set<ChildProcess>();
  readonly #environment: Readonly<Record<string, string>>;
  readonly #database: GivenDatabase | undefined;
  readonly #guard: Guard;

  private constructor(dataDir: string, flags: readonly string[], environment: Readonly<Record<string, string>>) {
    this.dataDir = dataDir;
    this.#flags = flags;
    this.#database = environment["RANSOMEYE_DATABASE_URL"] === undefined ? givenDatabase() : undefined;
    this.#environment = { ...this.#database?.environment, ...environment };
    this.#guard = startGuard(dataDir, drainSMax);
  }

  /**
   * Starts a system without the demo fleet in a fresh directory and waits until it says that rows can flow. Where the log lies in the database, that one is a copy of
   * a new one: `startFirst` makes its own.
   * @param environment variables that the system's processes get beside ours
   */
  static async start(flags: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<RunningSystem> {
    const dataDir = await mkdtemp(join(tmpdir(), "ransomeye-run-"));
    const all: Readonly<Record<string, string>> = { ...givenServers(dataDir), ...environment };
    if ((all["RANSOMEYE_BUS_URL"] ?? "") === "" && !flags.includes("--bus") && givenDatabase() === undefined)
      await copyPreparedCluster(dataDir);
    return await RunningSystem.#startIn(dataDir, flags, all);
  }

  /** The same from nothing at all, as a stranger does. */
  static async startFirst(): Promise<RunningSystem> {
    const dataDir = await mkdtemp(join(tmpdir(), "ransomeye-run-"));
    return await RunningSystem.#startIn(dataDir, [], givenServers(dataDir));
  }

  static async #startIn(dataDir: string, flags: readonly string[], environment: Readonly<Record<string, string>>): Promise<RunningSystem> {
    const system = new RunningSystem(dataDir, ["--no-demo", "--listen", "127.0.0.1:0", ...flags], environment);
    await system.startAgain();
    return system;
  }

  /** Whether PostgreSQL is this system's own, and may be killed; with PG_URL it is not. */
  get hasOwnDatabase(): boolean {
    return this.#database === undefined;
  }

  /** Starts the supervisor on the same directory (again), `more` after the flags that it always has. Rejects if it does not become ready. */
  async startAgain(more: readonly string[] = []): Promise<void> {
    const log = createWriteStream(join(this.dataDir, "supervisor.log"), { flags: "a" });
    const child = spawn(process.execPath, [RANSOMEYE_BIN, "start", "--data-dir", this.dataDir, ...this.#flags, ...more], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#environment },
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#supervisor = child;
    this.#guard.watch(child.pid);
    child.once("exit", () => {
      if (this.#supervisor === child) this.#guard.watch(undefined);
    });
    const waiting = this.spawn("status", "--wait", "ready");
    child.once("exit", () => waiting.kill());
    const ready = await finished(waiting);
    if (ready.exitCode !== 0) {
      // Nobody will stop it: the caller gets no system. Its processes leave with it.
      child.kill("SIGKILL");
      const said = await readFile(join(this.dataDir, "supervisor.log"), "utf8").catch(() => "");
      throw new Error(`the system in ${this.dataDir} did not become ready: ${ready.stderr}\n${said.slice(-4_000)}`);
    }
  }

  /** Starts a `ransomeye` command on this system's directory and leaves it running. */
  spawn(...args: readonly string[]): ChildProcess {
    const command = spawn(process.execPath, this.#line(args), { stdio: ["ignore", "pipe", "pipe"], env: this.#commandEnvironment() });
    return this.#watched(command);
  }

  /** The same with a standard input to write to. What a command that has ended does not take is the caller's to notice by its end. */
  spawnFed(...args: readonly string[]): { readonly command: ChildProcess; readonly stdin: Writable } {
    const command = spawn(process.execPath, this.#line(args), { stdio: ["pipe", "pipe", "pipe"], env: this.#commandEnvironment() });
    command.stdin.on("error", () => undefined);
    return { command: this.#watched(command), stdin: command.stdin };
  }

  #line(args: readonly string[]): string[] {
    return [RANSOMEYE_BIN, ...args, "--data-dir", this.dataDir];
  }

  /** A command finds the system by its directory, and a database of somebody else's by the configuration. */
  #commandEnvironment(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#database?.environment };
  }

  #watched(command: ChildProcess): ChildProcess {
    this.#commands.add(command);
    command.once("exit", () => this.#commands.delete(command));
    return command;
  }

  /** Runs a `ransomeye` command to its end. */
  run(...args: readonly string[]): Promise<CommandResult> {
    return finished(this.spawn(...args));
  }

  /** Runs a command with `--json` and parses what it printed: one document, over one line or many. */
  async json<T>(...args: readonly string[]): Promise<T> {
    const result = await this.run(...args, "--json");
    try {
      return JSON.parse(result.stdout) as T;
    } catch (cause) {
      throw new Error(`ransomeye ${args.join(" ")} printed no JSON (exit ${result.exitCode}): ${result.stdout}\n${result.stderr}`, {
        cause,
      });
    }
  }

  async runtime(): Promise<Runtime> {
    return JSON.parse(await readFile(join(this.dataDir, "runtime.json"), "utf8")) as Runtime;
  }

  /** The metrics that a process of this system serves, as text. */
  async metrics(processName: string): Promise<string> {
    const { socketDir } = await this.runtime();
    return await new Promise((resolve, reject) => {
      const request = get({ socketPath: join(socketDir, `${processName}.metrics`), path: "/metrics" }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve(text));
      });
      request.on("error", reject);
    });
  }

  /** A connection as PostgreSQL's administrator, for tests that change things behind the system's back. */
  async administrator(): Promise<Client> {
    if (this.#database !== undefined) return await openClient(this.#database.connection, "test");
    const { postgres } = await this.runtime();
    if (postgres === null) throw new Error("runtime.json names no PostgreSQL");
    const { host, port, database } = postgres;
    const secrets = await readSecrets(join(this.dataDir, "secrets", "database.json"));
    return openClient({ host, port, database, user: superuserName, password: secrets.passwords[superuserName] ?? "" }, "test");
  }

  /** SIGKILLs one of this system's processes and returns its pid; `name` says which, where there are several of a kind. */
  kill(victim: Victim, name?: string): Promise<number> {
    return this.signal(victim, "SIGKILL", name);
  }

  /** The same with any signal. */
  async signal(victim: Victim, signal: NodeJS.Signals, name?: string): Promise<number> {
    const pid = await this.#pidOf(victim, name);
    process.kill(pid, signal);
    return pid;
  }

  /** Makes one of them stand still until what is returned is disposed of. While it does it hears no request to end. */
  async standStill(victim: Victim, name?: string): Promise<AsyncDisposable> {
    const pid = await this.signal(victim, "SIGSTOP", name);
    return {
      async [Symbol.asyncDispose]() {
        process.kill(pid, "SIGCONT");
      },
    };
  }

  async #pidOf(victim: Victim, name: string | undefined): Promise<number> {
    const runtime = await this.runtime();
    const pid =
      victim === "supervisor"
        ? runtime.supervisor.pid
        : victim === "postgres"
          ? runtime.postgres?.pid
          : runtime.children.find((child) => child.role === victim && (name === undefined || child.name === name))?.pid;
    if (pid === undefined) throw new Error(`runtime.json names no ${name ?? victim}`);
    return pid;
  }

  /** Drains the system as one Ctrl-C would and returns the supervisor's exit code. */
  async stop(): Promise<number | null> {
    const child = this.#supervisor;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    return await ended;
  }

  /** The same, and a second Ctrl-C if it has not ended by then: that ends at once what nothing drains. */
  async stopWithin(ms: number): Promise<number | null> {
    const ended = this.stop();
    const child = this.#supervisor;
    const timer = setTimeout(() => child?.kill("SIGTERM"), ms);
    const exitCode = await ended;
    clearTimeout(timer);
    return exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const command of this.#commands) command.kill("SIGKILL");
    await this.stopWithin(patienceMs);
    await leaveServers(this.dataDir, this.#environment);
    await this.#database?.drop();
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
    this.#guard.release();
  }
}

/** Collects a child's output until it ends. */
export async function finished(child: ChildProcess): Promise<CommandResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}
