// Why: the shipper's one entrance: bytes of any supported format in, canonical OCSF lines out.
// Enforces: every record read is an event or an invalid item with place, code and reason; memory is one chunk and one record; what can be read
//   before an input breaks off is handed over first.
// Forbids: files, sockets and clocks: whoever calls brings the bytes.

import { ShipError } from "./errors.ts";
import { shipInputFailed, shipInputFinished, shipRecordInvalid } from "./events.ts";
import type { Format } from "./formats.ts";
import { gunzip, isGzip } from "./input/gunzip.ts";
import { type ReadOptions, RecordReader } from "./record_reader.ts";
import type { Batch } from "./records.ts";

/**
 * Reads records and hands them over in batches, in order. An empty chunk says that the input pauses: records that have waited long enough for
 * another line are then handed over. Throws a ShipError, with place, when the input as a whole cannot be read (on).
 */
export async function* readRecords(input: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<Batch> {
  const count = new ReadCount(options);
  const reader = new RecordReader(options);
  try {
    for await (const chunk of unpacked(input)) {
      if (chunk.length > 0) reader.push(chunk);
      else if (options.clock !== undefined) reader.flushPending(options.clock.monotonicMs());
      yield* count.through(reader.takeBatch());
    }
    reader.end();
  } catch (error) {
    yield* count.through(reader.takeBatch());
    throw count.failed(reader.placed(error));
  }
  yield* count.through(reader.takeBatch());
  count.finished();
}

/** Counts what is handed over and tells it once. */
class ReadCount {
  readonly #options: ReadOptions;
  #format: Format | undefined;
  #events = 0;
  #invalid = 0;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  *through(batch: Batch | undefined): Generator<Batch> {
    if (batch === undefined) return;
    this.#format = batch.format;
    for (const item of batch.items) {
      if (item.kind === "event") this.#events++;
      else {
        this.#invalid++;
        this.#options.telemetry?.emit(shipRecordInvalid, { input: this.#options.name, code: item.code, line: item.place.line });
      }
    }
    yield batch;
  }

  finished(): void {
    this.#options.telemetry?.emit(shipInputFinished, {
      input: this.#options.name,
      format: this.#format,
      events: this.#events,
      invalid: this.#invalid,
    });
  }

  failed(error: unknown): unknown {
    const code = error instanceof ShipError ? error.code : undefined;
    this.#options.telemetry?.emit(shipInputFailed, { input: this.#options.name, code, events: this.#events, invalid: this.#invalid });
    return error;
  }
}

/** The input, unpacked if it is gzip by its first bytes. */
async function* unpacked(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = input[Symbol.asyncIterator]();
  try {
    let head = Buffer.alloc(0);
    while (head.length < 2) {
      const next = await source.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const rest = { [Symbol.asyncIterator]: () => prefixed(head, source) };
    yield* isGzip(head) ? gunzip(rest) : rest;
  } finally {
    await source.return?.();
  }
}

async function* prefixed(head: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}
