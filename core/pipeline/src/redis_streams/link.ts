/**
 * Why it exists: one connection to one server, on which calls go out in order and answers come back in order.
 * Enforces: nothing waits in a queue of the client and nothing is sent twice behind our back: a call that cannot be written now fails at once
 * (BUS_UNAVAILABLE), one whose answer is lost says so. Calls handed in together leave together, so that WAIT speaks of the write before it.
 * Forbids: deciding where a call belongs, and retrying.
 */
import { Command, Redis, type RedisOptions } from "ioredis";
import { BusError } from "../errors.ts";
import { serverWord } from "./failures.ts";
import type { Reply } from "./replies.ts";
import type { Script } from "./scripts.ts";

export type Argument = string | Buffer;

/** A command, or a script with its keys and arguments. */
export type Call = { readonly command: readonly [string, ...Argument[]] } | ScriptCall;

export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
  /** A second time it would do something else. All others may be sent again although the server has done them. */
  readonly once?: true;
}

/** Where a server is and how one gets in. */
export type LinkOptions = Pick<RedisOptions, "host" | "port" | "path" | "username" | "password" | "db" | "tls">;

/** A server that says nothing for so long, while it is asked, is taken for dead. */
const silentMsMax = 15_000;
const connectMsMax = 5000;
const retryMsMin = 20;
const retryMsMax = 1000;

export class Link {
  readonly #redis: Redis;
  /** What the last attempt to connect failed with. */
  #trouble: Error | undefined;
  #connections = 0;
  /** Scripts that were sent in full on this connection; the server has them unless somebody makes it forget. */
  readonly #told = new Set<Script>();

  readonly options: LinkOptions;

  constructor(options: LinkOptions) {
    this.options = options;
    this.#redis = new Redis({
      ...options,
      lazyConnect: true,
      protocol: 2,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      disableClientInfo: true,
      connectionName: "ransomeye",
      connectTimeout: connectMsMax,
      socketTimeout: silentMsMax,
      retryStrategy: (attempt) => Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempt, 10)),
    });
    this.#redis.on("error", (error) => (this.#trouble = error));
    this.#redis.on("ready", () => {
      this.#connections += 1;
      this.#told.clear();
    });
    this.#redis.connect().catch((error: unknown) => (this.#trouble = error as Error));
  }

  get isReady(): boolean {
    return this.#redis.status === "ready";
  }

  /** How often the server was connected to: another number is perhaps another server process, with other settings. */
  get connections(): number {
    return this.#connections;
  }

  /** Resolves when the server answers. @throws BusError BUS_UNAVAILABLE, BUS_FORBIDDEN, with what went wrong last */
  async ready(signal: AbortSignal): Promise<void> {
    while (!this.isReady) {
      const word = serverWord(this.#trouble);
      if (word === "NOAUTH" || word === "WRONGPASS" || word === "NOPERM")
        throw new BusError("BUS_FORBIDDEN", `the server does not let us in: ${this.#trouble?.message}`, { cause: this.#trouble });
      if (signal.aborted || this.#redis.status === "end")
        throw new BusError("BUS_UNAVAILABLE", `the server cannot be reached: ${this.#trouble?.message ?? "no answer"}`, {
          cause: this.#trouble,
        });
      await change(this.#redis, signal);
    }
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  async tried(signal: AbortSignal): Promise<void> {
    while (!this.isReady && this.#trouble === undefined && !signal.aborted) await change(this.#redis, signal);
  }

  /** Sends the calls together; gives their answers, or the server's errors, in order. @throws BusError BUS_UNAVAILABLE if nothing was sent */
  async send(calls: readonly Call[]): Promise<(Reply | Error)[]> {
    if (!this.isReady)
      throw new BusError("BUS_UNAVAILABLE", `not connected: ${this.#trouble?.message ?? "connecting"}`, { cause: this.#trouble });
    const connections = this.#connections;
    const answers = await this.#sendAll(calls, false);
    // A server that was started anew knows no script. It did nothing of that call, so all are sent again, in full, unless it is another one by now.
    const isUnknown = (answer: Reply | Error | undefined): boolean => serverWord(answer) === "NOSCRIPT";
    if (!answers.some(isUnknown)) return answers;
    if (!this.isReady || this.#connections !== connections) throw new BusError("BUS_UNAVAILABLE", "not connected");
    const isDone = calls.map((call, index) => "script" in call && call.once === true && !isUnknown(answers[index]));
    const again = await this.#sendAll(
      calls.filter((_call, index) => !isDone[index]),
      true,
    );
    return answers.map((answer, index) => (isDone[index] ? answer : (again.shift() as Reply | Error)));
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #sendAll(calls: readonly Call[], inFull: boolean): Promise<(Reply | Error)[]> {
    const sent = calls.map((call) => this.#redis.sendCommand(this.#commandOf(call, inFull)) as Promise<Reply>);
    const answers: (Reply | Error)[] = [];
    let lost: Error | undefined;
    for (const settled of await Promise.allSettled(sent)) {
      if (settled.status === "fulfilled") answers.push(settled.value);
      else if (serverWord(settled.reason) !== undefined) answers.push(settled.reason as Error);
      else lost = settled.reason as Error;
    }
    if (lost !== undefined) throw lost;
    return answers;
  }

  /** A script is sent in full the first time: calls behind one that found it unknown, and was sent again, would overtake it. */
  #commandOf(call: Call, inFull: boolean): Command {
    if ("command" in call) {
      const [name, ...args] = call.command;
      return new Command(name, args);
    }
    const { script, keys, args } = call;
    const isTold = this.#told.has(script) && !inFull;
    this.#told.add(script);
    return new Command(isTold ? "EVALSHA" : "EVAL", [isTold ? script.sha : script.text, String(keys.length), ...keys, ...args]);
  }
}

/** Waits for the next change of the connection, or for the signal. */
function change(redis: Redis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const events = ["ready", "close", "end", "error"] as const;
    const done = (): void => {
      for (const event of events) redis.off(event, done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    for (const event of events) redis.on(event, done);
    signal.addEventListener("abort", done);
  });
}
