/**
 * What was accepted and what was refused, counted.
 *
 * Why: nothing is dropped silently (ING-11), and an attacker must not be able to fill a log or a metric store with refusals.
 * Enforces: counters by code of the closed table, and log lines about once a second per code, with a count and one example that was already
 *   authenticated. Memory is bounded by the number of codes.
 * Forbids: labels and log lines made of what a peer wrote.
 */
import { type DuplicateCode, INGEST_CODES, type IngestCode } from "../errors/ingest_errors.ts";

/** One code's refusals since the last flush. */
export interface RefusalLine {
  readonly code: IngestCode;
  readonly step: string;
  readonly count: number;
  /** One of the producers concerned; undefined where none was authenticated. */
  readonly producer: string | undefined;
}

/** Counters of transmissions since the process started, and what has not been logged yet. */
export class Transmissions {
  #framesAccepted = 0;
  #eventsAccepted = 0;
  #framesDuplicate = 0;
  #eventsDuplicate = 0;
  readonly #duplicates = new Map<DuplicateCode, number>();
  readonly #refused = new Map<IngestCode, number>();
  readonly #unlogged = new Map<IngestCode, { count: number; producer: string | undefined }>();

  accept(frames: number, events: number): void {
    this.#framesAccepted += frames;
    this.#eventsAccepted += events;
  }

  duplicate(code: DuplicateCode, frames: number, events: number, producer: string): void {
    this.#framesDuplicate += frames;
    this.#eventsDuplicate += events;
    this.#duplicates.set(code, (this.#duplicates.get(code) ?? 0) + frames);
    this.#note(code, frames, producer);
  }

  refuse(code: IngestCode, producer: string | undefined): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
    this.#note(code, 1, producer);
  }

  /** Refusals by code since the last call, for one log line and one metric step each. */
  flush(): readonly RefusalLine[] {
    const lines = [...this.#unlogged].map(([code, { count, producer }]) => ({ code, step: INGEST_CODES[code].stage, count, producer }));
    this.#unlogged.clear();
    return lines;
  }

  /** All counters by name, for `bus.putCounters`. */
  totals(): Readonly<Record<string, number>> {
    const totals: Record<string, number> = {
      frames_accepted: this.#framesAccepted,
      events_accepted: this.#eventsAccepted,
      frames_duplicate: this.#framesDuplicate,
      events_duplicate: this.#eventsDuplicate,
    };
    for (const [code, count] of this.#duplicates) totals[`duplicate_${code}`] = count;
    for (const [code, count] of this.#refused) totals[`refused_${code}`] = count;
    return totals;
  }

  #note(code: IngestCode, count: number, producer: string | undefined): void {
    const line = this.#unlogged.get(code);
    if (line === undefined) this.#unlogged.set(code, { count, producer });
    else {
      line.count += count;
      line.producer = producer ?? line.producer;
    }
  }
}
