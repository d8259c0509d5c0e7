/**
 * Why: "on disk" has one meaning here: written, and then covered by a flush that began after the write had ended and has itself ended well.
 * Enforces: fdatasync and fsync count, by whichever process, for what had been written to the same file before they began.
 * Forbids: trusting a flush that was under way while the bytes were still being written.
 */
import type { Call, Moment } from "./trace_file.ts";

/** When bytes were written for the first time, and when they were on disk; undefined: never. */
export interface Found {
  readonly written: Moment | undefined;
  readonly durable: Moment | undefined;
}

export const nowhere: Found = { written: undefined, durable: undefined };

/** Bytes that a write has brought, with as much before them as a search needs. */
interface Written {
  readonly file: string;
  readonly bytes: Buffer;
  readonly ends: Moment;
}

/** Files of one purpose, and what happened to them. */
export class DurableFiles {
  readonly #textOf: (write: Call) => Buffer;
  readonly #writes: Written[] = [];
  readonly #flushes = new Map<string, Call[]>();
  #count = 0;

  /** @param textOf what a write has brought, as it is to be searched */
  constructor(textOf: (write: Call) => Buffer = ({ bytes }) => bytes) {
    this.#textOf = textOf;
  }

  /** Flushes seen. */
  get flushes(): number {
    return this.#count;
  }

  /** Takes calls in the order in which they ended. */
  take(call: Call): void {
    if (call.name === "fsync" || call.name === "fdatasync") {
      this.#count += 1;
      const flushes = this.#flushes.get(call.file);
      if (flushes === undefined) this.#flushes.set(call.file, [call]);
      else flushes.push(call);
    } else this.#writes.push({ file: call.file, bytes: this.#textOf(call), ends: call.ends });
  }

  /** Looks for bytes that are nowhere else. */
  find(needle: Buffer): Found {
    const found = this.#writes.find(({ bytes }) => bytes.includes(needle));
    if (found === undefined) return nowhere;
    const { file, ends } = found;
    return { written: ends, durable: this.#flushes.get(file)?.find(({ begins }) => begins > ends)?.ends };
  }
}

const pageBytes = 8192;
const segmentPages = 2048;
/** XLogPageHeaderData; the first page of a segment has the long form. */
const pageHeaderBytes = 24;
const longPageHeaderBytes = 40;

/**
 * PostgreSQL's write-ahead log as one stream: a record goes on behind the header of the next page, so headers are taken off, and the page before is looked at
 * as well, because a record may begin in one write and end in the next.
 */
export class LogPages {
  readonly #pages = new Map<number, Buffer>();

  /** What a write to a log segment has brought, without page headers, behind what the page before holds. */
  textOf(write: Call): Buffer {
    const segment = /(?<high>[0-9A-F]{8})(?<low>[0-9A-F]{8})$/.exec(write.file)?.groups;
    if (segment === undefined) return write.bytes;
    const number = Number.parseInt(segment["high"] ?? "", 16) * 256 + Number.parseInt(segment["low"] ?? "", 16);
    const first = number * segmentPages + write.offset / pageBytes;
    const text = [this.#pages.get(first - 1) ?? Buffer.alloc(0)];
    for (let at = 0; at < write.bytes.length; at += pageBytes) {
      const page = first + at / pageBytes;
      const content = write.bytes.subarray(at + (page % segmentPages === 0 ? longPageHeaderBytes : pageHeaderBytes), at + pageBytes);
      this.#pages.set(page, content);
      text.push(content);
    }
    return Buffer.concat(text);
  }
}
