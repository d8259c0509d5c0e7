// Why: text formats are lines first, whatever they make of them.
// Enforces: every line once, with its place and its bytes as they stand there, without the line end (LF or CRLF); memory is one line at most.
// Forbids: leaving lines out: a blank one is the format's business.

import { BoundedBytes } from "./bounded_bytes.ts";
import type { FramingPoint } from "./framing.ts";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** One line. */
export interface RawLine {
  readonly bytes: Buffer;
  readonly length: number;
  readonly oversize: boolean;
  readonly line: number;
  readonly byteOffset: number;
}

/** Cuts a stream into lines. */
export class LineCutter {
  readonly #take: (line: RawLine) => void;
  readonly #open: BoundedBytes;
  #offset: number;
  #line: number;
  #lineOffset: number;

  constructor(lineBytesMax: number, start: FramingPoint, take: (line: RawLine) => void) {
    this.#open = new BoundedBytes(lineBytesMax);
    this.#take = take;
    this.#offset = start.byteOffset;
    this.#lineOffset = start.byteOffset;
    this.#line = start.line;
  }

  /** Bytes pushed so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Line of the next byte, from 1. */
  get line(): number {
    return this.#line;
  }

  /** Where the line begins that is open. */
  get lineOffset(): number {
    return this.#lineOffset;
  }

  push(chunk: Buffer): void {
    const base = this.#offset;
    let at = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, at)) {
      this.#open.append(chunk, at, end);
      at = end + 1;
      this.#finish(base + at);
    }
    this.#open.append(chunk, at, chunk.length);
    this.#offset = base + chunk.length;
  }

  /** Ends the input: a last line without line end counts. */
  end(): void {
    if (this.#open.length > 0) this.#finish(this.#offset);
  }

  #finish(next: number): void {
    const { bytes, length, oversize } = this.#open.take();
    const cut = !oversize && bytes.at(-1) === carriageReturn ? 1 : 0;
    const line = { bytes: cut === 0 ? bytes : bytes.subarray(0, -1), length: length - cut, oversize };
    const place = { line: this.#line, byteOffset: this.#lineOffset };
    // Moved on before the line is handed over, so that whoever takes it may ask where reading would go on behind it.
    this.#line++;
    this.#lineOffset = next;
    this.#take({ ...line, ...place });
  }
}

/** True where a line has nothing but white space. */
export function isBlank(line: RawLine): boolean {
  return line.bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
