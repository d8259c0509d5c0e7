/**
 * Why: "visible" means that another session's SELECT sees the row. The sink's heads move in the transaction of the rows, so a poll of a few heads tells
 * for every row when it became visible, at a cost that does not disturb what is measured.
 * Enforces: the time of an observation is taken when the answer is here, so it is never too early; the resolution is the poll's period, and is reported.
 * Forbids: counting rows while the clock runs.
 */
import type { Client } from "ransomeye-db";
import { sharedClockUs } from "../load/worker.ts";

/** A producer's head as it was seen. */
interface Seen {
  readonly seq: number;
  readonly atUs: number;
}

const pollMs = 2;

/** Watches the heads of some producers until stopped. */
export class SinkWatch {
  readonly #client: Client;
  readonly #producers: readonly string[];
  readonly #seen = new Map<string, Seen[]>();
  readonly #periodsMs: number[] = [];
  #stopped = false;
  #running: Promise<void> | undefined;

  /** @param client a connection of the watch's own */
  constructor(client: Client, producers: readonly string[]) {
    this.#client = client;
    this.#producers = producers;
    for (const producer of producers) this.#seen.set(producer, []);
  }

  /** Milliseconds between observations. */
  get periodsMs(): readonly number[] {
    return this.#periodsMs;
  }

  async start(): Promise<void> {
    await this.#look();
    this.#running = this.#loop();
  }

  /** When the row of this sequence was first seen; undefined where it has not been. */
  visibleUs(producer: string, seq: number): number | undefined {
    const seen = this.#seen.get(producer) ?? [];
    let low = 0;
    let high = seen.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((seen[middle]?.seq ?? 0) >= seq) high = middle;
      else low = middle + 1;
    }
    return seen[low]?.atUs;
  }

  /** Resolves with the time at which all heads together had reached this sum of sequences. */
  async reached(total: number, timeoutMs: number): Promise<number> {
    const deadlineUs = sharedClockUs() + timeoutMs * 1_000;
    for (;;) {
      const lasts = [...this.#seen.values()].map((seen) => seen.at(-1));
      const sum = lasts.reduce((all, last) => all + (last?.seq ?? 0), 0);
      if (sum >= total) return Math.max(...lasts.map((last) => last?.atUs ?? 0));
      if (sharedClockUs() > deadlineUs) throw new Error(`only ${sum} of ${total} events became rows within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #loop(): Promise<void> {
    let lastUs = sharedClockUs();
    while (!this.#stopped) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      await this.#look();
      const nowUs = sharedClockUs();
      this.#periodsMs.push((nowUs - lastUs) / 1_000);
      lastUs = nowUs;
    }
  }

  async #look(): Promise<void> {
    const { rows } = await this.#client.query<{ producer_id: string; seq: number }>({
      name: "bench_sink_heads",
      text: "SELECT producer_id, seq FROM data.sink_head WHERE producer_id = ANY ($1::uuid[])",
      values: [this.#producers],
    });
    const atUs = sharedClockUs();
    for (const { producer_id: producer, seq } of rows) {
      const seen = this.#seen.get(producer);
      if (seen !== undefined && seen.at(-1)?.seq !== seq) seen.push({ seq, atUs });
    }
  }
}
