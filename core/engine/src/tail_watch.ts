// Why: somebody must look whether the bus has news, often enough for latency and seldom enough for cost.
// Enforces: one query for all partitions and all writers of this engine, every 2 to 20 ms; twice a second while it has no answer.
// Forbids: pushing: a writer asks for the next look and reads for itself.

import { type Clock, type Telemetry, sleep } from "ransomeye-kernel";
import type { FrameReader } from "ransomeye-pipeline";
import { busUnreadable } from "./events.ts";
import { type Look, nextPollMs, pollMsMin } from "./pace.ts";

export class TailWatch {
  readonly #bus: FrameReader;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #tails = new Map<number, number>();
  #waiters: (() => void)[] = [];
  #pauseMs = pollMsMin;

  constructor(bus: FrameReader, clock: Clock, telemetry: Telemetry) {
    this.#bus = bus;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  /** Offset of the last entry that was seen in a partition, 0 while none was. */
  tail(part: number): number {
    return this.#tails.get(part) ?? 0;
  }

  /** Resolves after the next look, whatever it saw, and at the end of the watch. */
  nextLook(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Looks until `signal` aborts. `backlog` says whether the writers have more than they can store. */
  async run(signal: AbortSignal, backlog: () => boolean): Promise<void> {
    while (!signal.aborted) {
      const seen = await this.#look();
      this.#wake();
      this.#pauseMs = nextPollMs(this.#pauseMs, { seen, backlog: backlog() });
      await sleep(this.#clock, this.#pauseMs, signal).catch(() => undefined);
    }
    this.#wake();
  }

  async #look(): Promise<Look> {
    try {
      let news = false;
      for (const { part, off } of await this.#bus.tails()) {
        if (off > this.tail(part)) news = true;
        this.#tails.set(part, off);
      }
      return news ? "news" : "silence";
    } catch (error) {
      this.#telemetry.emit(busUnreadable, { code: codeOf(error), reason: error instanceof Error ? error.message : String(error) });
      return "no answer";
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** The code of one of our errors, for a label. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "UNKNOWN";
}
