// Why: where the log lies apart from the rows, it learns from here how far rows have come: trimming, backpressure and receipts go by it.
// Enforces: told only after the commit; one telling under way, what comes meanwhile is gathered; a telling that fails is made again, for nothing but the
//   next one would repair it.
// Forbids: holding up a commit, or believing anything back.

import { type Clock, type Telemetry, sleep } from "ransomeye-kernel";
import type { FrameLink, Position, StoredHead, StoredProgress } from "ransomeye-pipeline";
import { progressUntold } from "./events.ts";
import { lastSeq } from "./sink_machine.ts";
import { codeOf } from "./tail_watch.ts";

const retryMs = 500;

export interface ProgressTellerOptions {
  readonly log: StoredProgress;
  readonly group: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export class ProgressTeller {
  readonly #options: ProgressTellerOptions;
  readonly #closed = new AbortController();
  #positions = new Map<number, Position>();
  #heads = new Map<string, StoredHead>();
  #telling: Promise<void> | undefined;

  constructor(options: ProgressTellerOptions) {
    this.#options = options;
  }

  /** The frames of one partition have become durable in the sink, up to `position`. */
  stored(position: Position, links: readonly FrameLink[]): void {
    this.#positions.set(position.part, position);
    for (const link of links) this.#heads.set(link.producer, { producer: link.producer, epoch: link.epoch, seq: lastSeq(link) });
    this.#telling ??= this.#tell();
  }

  /** Tells what is still untold, once, and ends. */
  async close(): Promise<void> {
    this.#closed.abort(new Error("the engine closes"));
    await this.#telling;
  }

  async #tell(): Promise<void> {
    const { log, group, clock, telemetry } = this.#options;
    while (this.#positions.size + this.#heads.size > 0) {
      const [positions, heads] = [this.#positions, this.#heads];
      this.#positions = new Map();
      this.#heads = new Map();
      try {
        await log.noteStored(group, [...positions.values()], [...heads.values()]);
      } catch (error) {
        telemetry.emit(progressUntold, { code: codeOf(error), partitions: positions.size, producers: heads.size });
        // What has come meanwhile is newer.
        this.#positions = new Map([...positions, ...this.#positions]);
        this.#heads = new Map([...heads, ...this.#heads]);
        if (this.#closed.signal.aborted) break;
        await sleep(clock, retryMs, this.#closed.signal).catch(() => undefined);
      }
    }
    this.#telling = undefined;
  }
}
