/**
 * Why: load must come from processes of its own, or its cost would hide in the bench's.
 * Enforces: one question at a time over the channel, one answer each; a worker that dies fails the question.
 * Forbids: two bench processes that share a memory or a clock other than the machine's monotonic one.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

/** A child process that answers questions. */
export class Worker {
  readonly #child: ChildProcess;

  /**
   * @param flags Node's own, such as a larger heap
   * @param o `ownSession`: not in ours, among which Linux shares the processors out
   */
  constructor(modulePath: string, flags: readonly string[] = [], o: { readonly ownSession?: boolean } = {}) {
    this.#child = fork(modulePath, {
      execArgv: [...flags],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
      detached: o.ownSession === true,
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask<T>(question: object): Promise<T> {
    const over = new AbortController();
    try {
      const answered = once(this.#child, "message", over) as Promise<[Answer]>;
      const ended = once(this.#child, "exit", over).then(() => Promise.reject(new Error("a load process ended early")));
      this.#child.send(question);
      const [{ result, error }] = await Promise.race([answered, ended]);
      if (error !== undefined) throw new Error(error);
      return result as T;
    } finally {
      over.abort();
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}

/** The child's side: answers each question with what `handle` gives; leaves when the parent does. */
export function serveQuestions(handle: (question: never) => Promise<unknown>, leave: () => Promise<void>): void {
  process.on("message", (question: unknown) => {
    handle(question as never).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on("disconnect", () => {
    leave().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}

/** Microseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export function sharedClockUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
