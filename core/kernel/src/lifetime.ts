/**
 * Why: shutdown verbs mean what they say. Draining finishes what was promised; destroying ends now.
 * Enforces: what was opened last is closed first, each closer is bounded in time, and one that fails does not keep the others from running.
 * Forbids: closing order by hand, and a shutdown that hangs.
 */
import { type Clock, systemClock } from "./clock.ts";
import { KernelError } from "./kernel_errors.ts";

/** `drain`: finish accepted work, then close. `destroy`: close now; unfinished work is recovered at the next start. */
export type CloseMode = "drain" | "destroy";

/** Closes one part. Called with "drain" and, if that still runs when the lifetime is destroyed, once more with "destroy". */
export type Closer = (mode: CloseMode) => Promise<void> | void;

interface Entry {
  readonly name: string;
  readonly close: Closer;
  readonly boundMs: number;
}

/** How long a closer may take unless `defer` says otherwise. */
export const closeMsMaxDefault = 10_000;

/** The life of a process or of a part of one: a stack of closers and two signals. */
export class Lifetime {
  readonly #clock: Clock;
  readonly #draining = new AbortController();
  readonly #destroyed = new AbortController();
  readonly #entries: Entry[] = [];
  readonly #errors: Error[] = [];
  #closing: Promise<void> | undefined;
  #late: Promise<void> = Promise.resolve();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Aborts when draining (or destroying) begins: take no new work. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** Aborts when destroying begins: stop waiting for anything. */
  get destroyed(): AbortSignal {
    return this.#destroyed.signal;
  }

  /**
   * Registers a closer. Closers run last-in first-out, each for at most `boundMs`; one that is registered while the lifetime closes runs next, and
   * after it has closed, at once. Returns a function that takes the closer out again, for a part that ended by itself.
   */
  defer(name: string, close: Closer, boundMs: number = closeMsMaxDefault): () => void {
    const entry: Entry = { name, close, boundMs };
    this.#entries.push(entry);
    if (this.#closing !== undefined) this.#late = this.#late.then(() => this.#closing).then(() => this.#closeAll());
    return () => {
      const at = this.#entries.lastIndexOf(entry);
      if (at >= 0) this.#entries.splice(at, 1);
    };
  }

  /** Finishes accepted work, then closes everything. Rejects with KERNEL_CLOSE_FAILED, at the end, if a closer failed or overran its bound. */
  drain(): Promise<void> {
    this.#draining.abort(new Error("draining"));
    return this.#close();
  }

  /** Closes everything now, also in the middle of a drain. Rejects as `drain` does. */
  destroy(): Promise<void> {
    this.#draining.abort(new Error("destroyed"));
    this.#destroyed.abort(new Error("destroyed"));
    return this.#close();
  }

  /** `await using`: a drain; each closer in it is bounded, so it ends. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  async #close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    await this.#closing;
    await this.#late;
    if (this.#errors.length === 0) return;
    const names = this.#errors.map((error) => error.message).join("; ");
    throw new KernelError("KERNEL_CLOSE_FAILED", `closing failed: ${names}`, { cause: new AggregateError(this.#errors) });
  }

  async #closeAll(): Promise<void> {
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      const finished = await this.#run(entry, this.#destroyed.signal.aborted ? "destroy" : "drain");
      if (finished === "interrupted") await this.#run(entry, "destroy");
    }
  }

  /** Runs one closer under its bound and keeps its error. "interrupted": the lifetime was destroyed while the closer drained. */
  #run(entry: Entry, mode: CloseMode): Promise<"closed" | "interrupted"> {
    return new Promise((resolve) => {
      let ended = false;
      const end = (result: "closed" | "interrupted", error?: unknown): void => {
        if (ended) return;
        ended = true;
        timer.cancel();
        this.#destroyed.signal.removeEventListener("abort", onDestroy);
        if (error !== undefined) this.#errors.push(error instanceof Error ? error : new Error(String(error)));
        resolve(result);
      };
      const onDestroy = (): void => end("interrupted");
      const timer = this.#clock.setTimer(entry.boundMs, () => {
        end("closed", new KernelError("KERNEL_CLOSE_TIMEOUT", `${entry.name} did not ${mode} within ${entry.boundMs} ms`));
      });
      if (mode === "drain") this.#destroyed.signal.addEventListener("abort", onDestroy, { once: true });
      void Promise.resolve()
        .then(() => entry.close(mode))
        .then(
          () => end("closed"),
          (error: unknown) => end("closed", new Error(`${entry.name} did not ${mode}: ${String(error)}`, { cause: error })),
        );
    });
  }
}
