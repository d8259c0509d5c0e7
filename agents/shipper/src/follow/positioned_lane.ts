// Why: lines and the position behind them must become durable together, and what no line tells must become durable by itself.
// Enforces: a file is in the checkpoint before its first line is handed over; a checkpoint is written when everything before it is on disk; while there is
//   nothing to do, what is not told yet is told.
// Forbids: choosing producers, and reading.

import type { Clock } from "ransomeye-kernel";
import { formats } from "../formats.ts";
import type { FramingPoint } from "../input/framing.ts";
import type { Batch, Place } from "../records.ts";
import type { FileMark, Head } from "./file_mark.ts";
import type { Positions } from "./positions.ts";

/** One producer's spool, as far as this file needs it. */
export interface Sink {
  /** Hands lines over, with a cursor that is kept with them. Waits while too much is ahead of the disk. */
  send(
    lines: readonly Buffer[],
    origin: { readonly file: string; readonly places: readonly Place[] },
    about: { readonly cursor: string; readonly mappingVersion: number },
  ): Promise<void>;
  /** Everything that was handed over is on this machine's disk. */
  spooled(): Promise<void>;
}

/** A checkpoint without lines is written at most so often. */
const restMs = 2000;

/** The files of one producer. */
export class PositionedLane {
  readonly #positions: Positions;
  readonly #sink: Sink;
  readonly #write: (checkpoint: string) => Promise<void>;
  readonly #clock: Clock;
  #restAtMs = 0;

  /** `write` replaces the checkpoint durably. */
  constructor(positions: Positions, sink: Sink, write: (checkpoint: string) => Promise<void>, clock: Clock) {
    this.#positions = positions;
    this.#sink = sink;
    this.#write = write;
    this.#clock = clock;
  }

  markOf(path: string): FileMark | undefined {
    return this.#positions.markOf(path);
  }

  /** Hands over what was read of a path. */
  async take(path: string, batch: Batch, about: { readonly fresh: FileMark | undefined; readonly head: Head | undefined }): Promise<void> {
    const positions = this.#positions;
    if (about.fresh !== undefined) {
      positions.register(about.fresh);
      await this.#checkpoint();
    }
    if (about.head !== undefined) positions.knownHead(path, about.head);
    const lines: Buffer[] = [];
    const places: Place[] = [];
    for (const item of batch.items) {
      if (item.kind !== "event") continue;
      lines.push(item.line);
      places.push(item.place);
    }
    const { format, ...point } = batch.resume;
    if (lines.length === 0) {
      positions.moved(path, point);
      return;
    }
    await this.#sink.send(
      lines,
      { file: path, places },
      { cursor: await this.#cursor(path, point), mappingVersion: formats[format].mappingVersion },
    );
  }

  moved(path: string, point: FramingPoint): void {
    this.#positions.moved(path, point);
  }

  /** The path is read under another producer now, or is followed no more. */
  drop(path: string): void {
    this.#positions.drop(path);
  }

  /** Nothing is to be read: a moment to tell what no line has told. */
  async rest(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#positions.dirty || nowMs < this.#restAtMs) return;
    this.#restAtMs = nowMs + restMs;
    await this.#checkpoint();
  }

  /** Writes all, for good: after this, others may send with the same spool. */
  async close(): Promise<void> {
    await this.#sink.spooled();
    await this.#write(this.#positions.checkpoint(true));
  }

  async #cursor(path: string, point: FramingPoint): Promise<string> {
    const fits = this.#positions.cursor(path, point);
    if (fits !== undefined) return fits;
    await this.#checkpoint();
    const alone = this.#positions.cursor(path, point);
    if (alone !== undefined) return alone;
    await this.#sink.spooled();
    const { checkpoint, cursor } = this.#positions.intend(path, point);
    await this.#write(checkpoint);
    return cursor;
  }

  async #checkpoint(): Promise<void> {
    await this.#sink.spooled();
    await this.#write(this.#positions.checkpoint());
  }
}
