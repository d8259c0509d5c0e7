/**
 * Why it exists: systemd wants to be told when the system is ready, that it stops, and again and again that it is well (Type=notify, WatchdogSec=).
 * Enforces: words reach systemd in the order in which they were said, one at a time; each is sent by `systemd-notify`, for Node.js has no datagram sockets of the unix kind
 * and nothing here builds native code. A process for each word is cheap where words are rare: a third of the watchdog's time apart.
 * Forbids: speaking where nobody listens, or keeping the system from its work where a word cannot be sent.
 */
import { spawn } from "node:child_process";

/** What systemd's variables say. */
export interface NotifyPlace {
  readonly socket: string;
  /** How long systemd waits for a sign of life; undefined where it does not. */
  readonly watchdogMs?: number;
}

/** Variables with which systemd speaks to this process alone; its children have no business with them. */
export const serviceVariables: ReadonlySet<string> = new Set([
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "RUNTIME_DIRECTORY",
  "CREDENTIALS_DIRECTORY",
]);

type Environment = Readonly<Record<string, string | undefined>>;

/** Where to notify, or undefined where nobody asked for it. */
export function notifyPlace(environment: Environment, pid: number): NotifyPlace | undefined {
  const socket = environment["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") return undefined;
  const us = Number(environment["WATCHDOG_USEC"]);
  const isOurs = environment["WATCHDOG_PID"] === undefined || Number(environment["WATCHDOG_PID"]) === pid;
  return { socket, ...(us > 0 && isOurs ? { watchdogMs: Math.floor(us / 1000) } : {}) };
}

/** Sends words to systemd. */
export class Notifier {
  readonly #socket: string;
  readonly #say: (line: string) => void;
  readonly #tool: string;
  #sending: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(socket: string, say: (line: string) => void, tool = "systemd-notify") {
    this.#socket = socket;
    this.#say = say;
    this.#tool = tool;
  }

  /** Sends `NAME=value` words as one message, after those before it; resolves when systemd has it, or cannot be told. */
  tell(...words: readonly string[]): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send(words));
    return this.#sending;
  }

  #send(words: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const failed = (why: string): void => {
        if (!this.#failed) this.#say(`systemd is not told (${why}); it may end what it does not hear of`);
        this.#failed = true;
        resolve();
      };
      const child = spawn(this.#tool, words, {
        stdio: "ignore",
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", NOTIFY_SOCKET: this.#socket },
      });
      child.once("error", (error) => failed(error.message));
      child.once("exit", (code) => {
        if (code !== 0) return failed(`${this.#tool} ended with ${code}`);
        this.#failed = false;
        resolve();
      });
    });
  }
}
