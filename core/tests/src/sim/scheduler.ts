/**
 * Why: a simulated minute must be the same minute every time, so one queue decides what happens next and what time it is.
 * Enforces: order by virtual time, then by the order of scheduling; one event runs to its end, promises included, before the next.
 * Forbids: real time and real randomness anywhere in a simulated world.
 */
import type { Clock, Random, Timer } from "ransomeye-kernel";

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly label: string;
  readonly run: () => unknown;
  cancelled: boolean;
}

/** Virtual time begins here, microseconds since 1970. */
const startUs = 1_790_000_000_000_000;
/** Labels of this many last steps are kept for the report of a failure. */
const traceMax = 400;

/** The world's queue of things to come. */
export class Scheduler {
  readonly random: Random;
  readonly #heap: Scheduled[] = [];
  readonly #trace: string[] = [];
  #order = 0;
  #nowMs = 0;
  #steps = 0;

  constructor(random: Random) {
    this.random = random;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get nowUs(): number {
    return startUs + Math.floor(this.#nowMs * 1000);
  }

  get steps(): number {
    return this.#steps;
  }

  /** The labels of the last steps, oldest first. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  /** Runs `run` after `delayMs`. An empty label keeps the step out of the trace. */
  in(delayMs: number, label: string, run: () => unknown): Timer {
    const event: Scheduled = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, label, run, cancelled: false };
    this.#push(event);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  note(text: string): void {
    this.#trace.push(`${this.#nowMs.toFixed(1).padStart(9)} ${text}`);
    if (this.#trace.length > traceMax) this.#trace.splice(0, this.#trace.length - traceMax);
  }

  /** Runs events until `done` says so, the time is over or nothing is left. True: `done`. */
  async run(done: () => boolean, untilMs: number, stepsMax: number): Promise<boolean> {
    while (!done()) {
      const next = this.#pop();
      if (next === undefined || next.atMs > untilMs || this.#steps >= stepsMax) return false;
      if (next.cancelled) continue;
      this.#nowMs = next.atMs;
      this.#steps += 1;
      if (next.label !== "") this.note(next.label);
      await next.run();
      // Everything that follows from this step happens in it: promises settle before the next event.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return true;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent] as Scheduled, event)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child += 1;
      if (before(last, heap[child] as Scheduled)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/**
 * One incarnation of a process. What it has scheduled dies with it; while it is stopped (SIGSTOP) time passes and nothing of it runs.
 */
export class Life {
  readonly #scheduler: Scheduler;
  #alive = true;
  #pausedUntilMs = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** kill -9: nothing that this incarnation waits for ever comes. */
  kill(): void {
    this.#alive = false;
  }

  pause(ms: number): void {
    this.#pausedUntilMs = this.#scheduler.nowMs + ms;
  }

  in(delayMs: number, label: string, run: () => unknown): Timer {
    return this.#scheduler.in(delayMs, "", () => {
      if (!this.#alive) return undefined;
      const restMs = this.#pausedUntilMs - this.#scheduler.nowMs;
      if (restMs > 0) return this.in(restMs, label, run);
      if (label !== "") this.#scheduler.note(label);
      return run();
    });
  }

  clock(): Clock {
    return {
      nowUs: () => this.#scheduler.nowUs,
      monotonicMs: () => this.#scheduler.nowMs,
      setTimer: (ms, fire) => this.in(ms, "", fire),
    };
  }
}

/** An integer from `min` to `max`, both included. */
export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random.float() * (max - min + 1));
}

export function chance(random: Random, probability: number): boolean {
  return random.float() < probability;
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random.float() * items.length)] as T;
}
