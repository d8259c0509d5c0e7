/**
 * Why: the parent's hand on an engine: start, arm, kill, stop and continue.
 * Enforces: a process that died, killed or by itself, is followed by one of the same name, as a supervisor does it.
 * Forbids: signals to anything but its own child.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { SinkStep } from "ransomeye-engine";
import { sleep, systemClock } from "ransomeye-kernel";
import type { EngineOrder, EngineStart, EngineStrike } from "./engine_main.ts";

const restartMs = 100;
const modulePath = fileURLToPath(new URL("./engine_main.js", import.meta.url));

export class EngineProcess {
  readonly #options: EngineStart;
  #child: ChildProcess;
  #closed = false;
  #strike: EngineStrike | undefined;

  constructor(options: EngineStart) {
    this.#options = options;
    this.#child = this.#begin();
  }

  /** What the armed step has met, once it has come. */
  get strike(): EngineStrike | undefined {
    return this.#strike;
  }

  /** The next time that the step comes the engine waits there; null: not any more. */
  arm(step: SinkStep | null): void {
    this.#strike = undefined;
    this.#order({ arm: step });
  }

  goOn(): void {
    this.#order({ goOn: true });
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** SIGKILL; settles when another one has begun in its place. */
  async killAndStart(): Promise<void> {
    const killed = this.#child;
    await this.#end();
    while (this.#child === killed) await sleep(systemClock, restartMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  #begin(): ChildProcess {
    const child = fork(modulePath, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    child.on("message", (strike: EngineStrike) => {
      this.#strike = strike;
    });
    child.once("exit", () => {
      // PostgreSQL may be away when it begins, and then it ends.
      void sleep(systemClock, restartMs).then(() => {
        if (!this.#closed) this.#child = this.#begin();
      });
    });
    child.send({ start: this.#options } satisfies EngineOrder);
    return child;
  }

  async #end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #order(order: EngineOrder): void {
    // One that has just died is not there to be told, and will not strike.
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }
}
