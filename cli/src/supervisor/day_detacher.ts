/**
 * Why it exists: only who owns the tables can detach a day, and only by a statement of its own. That is the administrator's connection, which no role has.
 * Enforces: the keeper can ask for it and say nothing with it: what is detached the database says; one attempt at a time, with a pause after one that had to wait.
 * Forbids: taking anything from the message but that it came.
 */
import type { Detached } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { detachFailed } from "../events.ts";

export interface DayDetacherOptions {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly detach: () => Promise<Detached>;
}

/** While an attempt waits for a table no day ahead can be attached to it: there is time for that between two attempts. */
const pauseMs = 5000;

export class DayDetacher {
  readonly #o: DayDetacherOptions;
  #running: Promise<void> | undefined;
  #notBeforeMs = 0;
  #closed = false;

  constructor(o: DayDetacherOptions) {
    this.#o = o;
  }

  /** A day may be waiting. */
  ask(): void {
    if (this.#closed || this.#running !== undefined || this.#o.clock.monotonicMs() < this.#notBeforeMs) return;
    this.#running = this.#attempt().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing of it goes on any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #attempt(): Promise<void> {
    const { clock, telemetry, detach } = this.#o;
    let result: Detached = "waiting";
    try {
      result = await detach();
    } catch (error) {
      telemetry.emit(detachFailed, { reason: error instanceof Error ? error.message : String(error) });
    }
    if (result === "waiting") this.#notBeforeMs = clock.monotonicMs() + pauseMs;
  }
}
