/**
 * Why it exists: the records of one identity go through one open producer; this counts what becomes of them.
 * Enforces: a detection is handed over as one, and waits for nothing else; all is handed over in order, a bounded amount ahead of the disk; every line handed over ends up accepted or invalid, by its receipt.
 * Forbids: waiting for each batch's flush, which would make the disk's latency the speed limit.
 */
import type { Place } from "ransomeye-shipper";
import type { Producer } from "ransomeye-sdk";
import { holdFinding, invalidName } from "ransomeye-ingestion/protocol";

/** Bytes that may be on their way to the spool at once. */
const aheadBytesMax = 8 * 1024 * 1024;

/** Where the lines of one call come from. */
export interface Origin {
  readonly file: string;
  readonly places: readonly Place[];
}

/** What a receipt said about a line that became a dead letter. */
export interface GateInvalid {
  readonly file: string;
  readonly place: Place;
  readonly code: string;
  readonly reason: string;
  readonly id: string;
}

export interface LaneCounts {
  /** Lines whose receipt has come. */
  readonly receipted: number;
  readonly invalid: number;
  /** Invalid lines that no receipt named one by one. */
  readonly invalidUnnamed: number;
  /** Lines that were acknowledged without a word about their validity (after a reconnect). */
  readonly unknown: number;
}

/** Whom a lane tells. */
export interface LaneListener {
  /** A line became a dead letter. */
  invalid(found: GateInvalid): void;
  /** Lines of an input have these ids now. */
  placed(file: string, firstId: string, lastId: string): void;
}

/** One producer's stream of lines within a run. */
export class Lane {
  readonly #producer: Producer;
  readonly #id: string;
  readonly #listener: LaneListener;
  #aheadBytes = 0;
  #ahead: Promise<unknown>[] = [];
  #receipts = new Set<Promise<void>>();
  #failed: Error | undefined;
  #receipted = 0;
  #invalid = 0;
  #invalidUnnamed = 0;
  #unknown = 0;

  constructor(producer: Producer, id: string, listener: LaneListener) {
    this.#producer = producer;
    this.#id = id;
    this.#listener = listener;
  }

  /** Hands lines over with the checkpoint behind them, and the version of the mapping that made them. Waits only while too much is ahead of the disk. */
  async send(lines: readonly Buffer[], origin: Origin, about: { readonly cursor: string; readonly mappingVersion: number }): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    const bytes = lines.reduce((sum, line) => sum + line.length, 0);
    this.#aheadBytes += bytes;
    const spooled = this.#producer.sendMany(lines, { ...about, urgent: holdFinding(lines) }).then(
      ({ receipt }) => {
        this.#aheadBytes -= bytes;
        this.#await(receipt, origin);
      },
      (error: unknown) => {
        this.#failed ??= error instanceof Error ? error : new Error(String(error));
      },
    );
    this.#ahead.push(spooled);
    while (this.#aheadBytes > aheadBytesMax && this.#ahead.length > 0 && this.#failed === undefined) await this.#ahead.shift();
    if (this.#ahead.length > 1024) this.#ahead = this.#ahead.slice(-512);
  }

  /** Waits until everything handed over is on this machine's disk. */
  async spooled(): Promise<void> {
    this.#producer.flush();
    await Promise.all(this.#ahead.splice(0));
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Waits until everything is receipted, or stored. */
  async drain(until: "receipt" | "stored", signal?: AbortSignal): Promise<void> {
    await this.spooled();
    await this.#producer.drain(until, signal);
    await Promise.all(this.#receipts);
    if (this.#failed !== undefined) throw this.#failed;
  }

  counts(): LaneCounts {
    return { receipted: this.#receipted, invalid: this.#invalid, invalidUnnamed: this.#invalidUnnamed, unknown: this.#unknown };
  }

  #await(receipt: Awaited<ReturnType<Producer["sendMany"]>>["receipt"], { file, places }: Origin): void {
    const settled = receipt.then(
      (summary) => {
        this.#receipted += places.length;
        if (!summary.known) this.#unknown += places.length;
        this.#invalid += summary.invalid.length + summary.invalidMore;
        this.#invalidUnnamed += summary.invalidMore;
        for (const { line, code, reason, id } of summary.invalid) {
          const place = places[line];
          if (place !== undefined) this.#listener.invalid({ file, place, code: invalidName(code), reason, id });
        }
        const first = summary.ranges[0];
        const last = summary.ranges.at(-1);
        if (first !== undefined && last !== undefined)
          this.#listener.placed(file, `${this.#id}:${first.epoch}:${first.firstSeq}`, `${this.#id}:${last.epoch}:${last.lastSeq}`);
      },
      (error: unknown) => {
        this.#failed ??= error instanceof Error ? error : new Error(String(error));
      },
    );
    this.#receipts.add(settled);
    void settled.then(() => this.#receipts.delete(settled));
  }
}
