/**
 * Why it exists: one role's process, from start to end, again and again.
 * Enforces: its own process session, so that Ctrl-C reaches the supervisor alone; a log file; restarts with back-off, loudly.
 * Forbids: knowing what the role does.
 */
import { type ChildProcess, type SendHandle, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, systemEnvironment, type Timer } from "ransomeye-kernel";
import { serviceVariables } from "../host/notify.ts";
import { nextBackoff, type BackoffBounds } from "./backoff.ts";
import type { AlertsMessage, DownMessage, LoadMessage, RoleBegin, UpMessage } from "./ipc.ts";
import { LogFile } from "./log_file.ts";
import { processStartTime } from "./process_facts.ts";
import type { ChildState, RoleName } from "./runtime_file.ts";
import type { SocketHandle } from "./shared_socket.ts";

const entryPoint = fileURLToPath(new URL("../../../bin/ransomeye.js", import.meta.url));

/**
 * V8 counts the bytes of buffers as if they were its heap: with a live heap of 16 MB it marks all of it again for every 16 MB of frames that pass.
 * It now waits until ten times the live heap has passed, which costs some 50 MB of memory and spares a third of the gateway's and the engine's time
 * (bench, garbage collection). The bound above still holds.
 */
const heapGrowingPercent = 1000;

/** A process that says nothing for so long hangs: no step of any role's loop takes a part of it. */
const answerMsMax = 60_000;

export interface ChildEnd {
  readonly how: string;
  readonly pauseMs: number;
  readonly restarts: number;
}

export interface ChildOptions {
  readonly begin: RoleBegin;
  readonly logs: string;
  readonly clock: Clock;
  readonly backoff: BackoffBounds;
  /** Bound of its heap in MiB: reaching it ends the process, which comes back. */
  readonly heapMibMax: number;
  /** The process has just been started. */
  readonly onSpawn: (pid: number) => void;
  /** Ready, ended or restarted: runtime.json wants to know. */
  readonly onChange: () => void;
  /** The process ended without being asked to. */
  readonly onCrash: (end: ChildEnd) => void;
  /** A line of its log. */
  readonly onLine: (line: string) => void;
  /** A new process has been told to begin. */
  readonly onBegin?: () => void;
  /** A gateway tells its load. */
  readonly onLoad?: (load: LoadMessage) => void;
  /** An alarm of the process; whatever it says. */
  readonly onAlarm?: (alarm: unknown) => void;
  /** The keeper has put alerts with these ids into the outbox. */
  readonly onKept?: (ids: unknown) => void;
  /** The keeper has counted a day. */
  readonly onCounted?: () => void;
}

/** A supervised role. */
export class Child {
  readonly role: RoleName;
  readonly name: string;
  readonly #o: ChildOptions;
  readonly #log: LogFile;
  #process: ChildProcess | undefined;
  #startTime = "";
  #startedMs = 0;
  #readyUs: number | null = null;
  /** When it was asked whether it is there, while it has not answered. */
  #askedMs: number | undefined;
  #restarts = 0;
  #endsInARow = 0;
  /** Its end is wanted: nothing starts it again by itself. */
  #stopping = false;
  /** It shall not run any more. */
  #over = false;
  #retry: Timer | undefined;
  #failure: Extract<UpMessage, { type: "failed" }> | undefined;
  #readyWaiters: (() => void)[] = [];
  #endWaiters: (() => void)[] = [];

  constructor(o: ChildOptions) {
    this.role = o.begin.role;
    this.name = o.begin.name;
    this.#o = o;
    this.#log = new LogFile(join(o.logs, `${this.name}.log`));
  }

  state(): ChildState {
    const { role, name } = this;
    return {
      role,
      name,
      pid: this.#process?.pid ?? null,
      startTime: this.#startTime,
      restarts: this.#restarts,
      ready: this.#readyUs !== null,
      readyUs: this.#readyUs,
    };
  }

  /** What the role said when it last gave up. */
  get failure(): { readonly code: string; readonly message: string; readonly next: string } | undefined {
    return this.#failure;
  }

  get endsInARow(): number {
    return this.#endsInARow;
  }

  start(): void {
    this.#startedMs = this.#o.clock.monotonicMs();
    let child: ChildProcess;
    try {
      child = this.#spawn();
    } catch (error) {
      // No memory for a process now: the next attempt comes after the pause, as after any end.
      this.#ended(`not started: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.#process = child;
    this.#askedMs = undefined;
    if (child.pid !== undefined) this.#o.onSpawn(child.pid);
    this.#startTime = child.pid === undefined ? "" : (processStartTime(child.pid) ?? "");
    this.#failure = undefined;
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) splitLines(stream, (line) => this.#line(line));
    child.on("message", (message: UpMessage) => this.#said(message));
    child.on("error", (error) => {
      this.#line(JSON.stringify({ level: "error", event: "process_error", reason: error.message }));
      // What was never started has no exit.
      if (child.pid === undefined) this.#ended(`not started: ${error.message}`);
    });
    child.once("exit", (code, signal) => this.#ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
    this.#send(this.#o.begin);
    this.#o.onBegin?.();
    this.#o.onChange();
  }

  #spawn(): ChildProcess {
    const heap = [`--max-old-space-size=${this.#o.heapMibMax}`, `--heap-growing-percent=${heapGrowingPercent}`];
    return spawn(process.execPath, [...heap, entryPoint, "role", this.role, "--data-dir", this.#o.begin.dataDir], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: childEnvironment(),
    });
  }

  /** Lets a gateway hold so many connections, and hands it the socket to listen on where it needs one. */
  grant(connectionsMax: number, handle: SocketHandle | undefined): void {
    this.#send({ type: "grant", connectionsMax }, handle);
  }

  /** Has a gateway send some of its connections elsewhere. */
  shed(connections: number): void {
    this.#send({ type: "shed", connections });
  }

  /** Hands the keeper alerts for the outbox; false while it could not take them. */
  alerts(alerts: AlertsMessage["alerts"]): boolean {
    if (this.#readyUs === null || this.#process?.connected !== true) return false;
    this.#send({ type: "alerts", alerts });
    return true;
  }

  /** Whether it is ready and has answered when it was asked last, or was asked a moment ago; and asks again. */
  isWell(): boolean {
    const nowMs = this.#o.clock.monotonicMs();
    const answers = this.#askedMs === undefined || nowMs - this.#askedMs <= answerMsMax;
    if (this.#readyUs !== null && this.#askedMs === undefined) {
      this.#askedMs = nowMs;
      this.#send({ type: "ping" });
    }
    return this.#readyUs !== null && answers;
  }

  /** Resolves when the role is ready, also if that takes a few restarts. */
  ready(): Promise<void> {
    return this.#readyUs !== null ? Promise.resolve() : new Promise((resolve) => this.#readyWaiters.push(resolve));
  }

  /** Lets the process finish and starts a new one; resolves when that is ready, with whether the old one left by itself. A stop overtakes it. */
  async restart(boundMs: number): Promise<boolean> {
    const inTime = await this.#leave(boundMs);
    if (this.#over) return inTime;
    this.#stopping = false;
    if (this.#process === undefined) this.start();
    await this.ready();
    return inTime;
  }

  /** Asks the role to finish and leave for good; after `boundMs` it is killed. Resolves with whether it left by itself. */
  drain(boundMs: number): Promise<boolean> {
    this.#over = true;
    return this.#leave(boundMs);
  }

  async #leave(boundMs: number): Promise<boolean> {
    this.#stopping = true;
    this.#retry?.cancel();
    if (this.#process === undefined) return true;
    this.#send({ type: "drain" });
    let inTime = true;
    const timer = this.#o.clock.setTimer(boundMs, () => {
      inTime = false;
      this.#process?.kill("SIGKILL");
    });
    await this.#end();
    timer.cancel();
    return inTime;
  }

  /** Ends the process now. */
  async destroy(): Promise<void> {
    this.#over = true;
    this.#stopping = true;
    this.#retry?.cancel();
    this.#process?.kill("SIGKILL");
    await this.#end();
  }

  #end(): Promise<void> {
    return this.#process === undefined ? Promise.resolve() : new Promise((resolve) => this.#endWaiters.push(resolve));
  }

  #send(message: DownMessage, handle?: SocketHandle): void {
    // A process that has just died cannot be told; its end is on the way. Node's types know servers and sockets only; it sends their handles.
    if (this.#process?.connected === true) this.#process.send(message, handle as SendHandle | undefined, undefined, () => undefined);
  }

  #said(message: UpMessage): void {
    switch (message.type) {
      case "failed":
        this.#failure = message;
        return;
      case "pong":
        this.#askedMs = undefined;
        return;
      case "load":
        this.#o.onLoad?.(message);
        return;
      case "alarm":
        this.#o.onAlarm?.(message.alarm);
        return;
      case "kept":
        this.#o.onKept?.(message.ids);
        return;
      case "counted":
        this.#o.onCounted?.();
        return;
      case "ready":
        this.#readyUs = this.#o.clock.nowUs();
        for (const resolve of this.#readyWaiters.splice(0)) resolve();
        this.#o.onChange();
    }
  }

  #ended(how: string): void {
    this.#process = undefined;
    this.#readyUs = null;
    for (const resolve of this.#endWaiters.splice(0)) resolve();
    if (!this.#stopping) {
      const { endsInARow, pauseMs } = nextBackoff(this.#endsInARow, this.#o.clock.monotonicMs() - this.#startedMs, this.#o.backoff);
      this.#endsInARow = endsInARow;
      this.#restarts += 1;
      this.#o.onCrash({ how, pauseMs, restarts: this.#restarts });
      this.#retry = this.#o.clock.setTimer(pauseMs, () => this.start());
    }
    this.#o.onChange();
  }

  #line(line: string): void {
    this.#log.line(line);
    this.#o.onLine(line);
  }
}

/** A role's environment has none of our variables: an administrator's database URL must not reach the gateway that way. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(systemEnvironment()).filter(
      ([name]) => !name.startsWith("RANSOMEYE_") && name !== "NODE_CHANNEL_FD" && !serviceVariables.has(name),
    ),
  );
}

/** Longest log line; the rest of a longer one comes as further lines. */
const lineCharsMax = 16_384;

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    rest += chunk;
    for (let end = rest.indexOf("\n"); end >= 0 || rest.length > lineCharsMax; end = rest.indexOf("\n")) {
      const cut = end >= 0 && end <= lineCharsMax ? end : lineCharsMax;
      onLine(rest.slice(0, cut));
      rest = rest.slice(end === cut ? cut + 1 : cut);
    }
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}
