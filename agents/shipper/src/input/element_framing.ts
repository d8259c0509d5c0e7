// Why: elements of XML follow each other on lines of their own, over several lines or without any, and only their end tag tells them apart.
// Enforces: one element is one record; what stands between two of them is a record of its own and costs none of them; a declaration, and the tags of
//   an element around all, are no records; memory is one record.
// Forbids: elements of the same name inside each other, and looking further into them.

import { oversizeKeptBytes } from "./bounded_bytes.ts";
import type { Framing, FramingOptions, FramingPoint } from "./framing.ts";
import { isSpace } from "./json_frame.ts";

const lineFeed = 0x0a;
const latin = "latin1";

/** Records that are elements of one name. */
export class ElementFraming implements Framing {
  readonly #options: FramingOptions;
  readonly #endTag: Buffer;
  /** Where an element begins; the last one in a stretch, as an element that was cut off has no end. */
  readonly #startTag: RegExp;
  /** White space, a declaration, and tags of an element around all. */
  readonly #frame: RegExp;
  /** What lies behind the last end tag; of a stretch beyond the bound only its beginning and its end. */
  #open: Buffer = Buffer.alloc(0);
  /** Bytes of the open stretch that were passed over. */
  #passed = 0;
  #passedLines = 0;
  #records: number;
  #start: number;
  #startLine: number;

  constructor(options: FramingOptions, name: string) {
    this.#options = options;
    this.#endTag = Buffer.from(`</${name}>`);
    this.#startTag = new RegExp(`<${name}(?=[\\s>/])`, "g");
    this.#frame = new RegExp(`^(?:[ \\t\\r\\n]+|<\\?xml[^<>]*\\?>|</?${name}s(?:[ \\t\\r\\n][^<>]*)?>)+`);
    this.#records = options.start.record;
    this.#start = options.start.byteOffset;
    this.#startLine = options.start.line;
  }

  get offset(): number {
    return this.#start + this.#passed + this.#open.length;
  }

  get line(): number {
    return this.#startLine + this.#passedLines + linesIn(this.#open);
  }

  get resumePoint(): FramingPoint {
    return { byteOffset: this.#start, line: this.#startLine, record: this.#records, prelude: "" };
  }

  push(chunk: Buffer): void {
    let from = Math.max(0, this.#open.length - this.#endTag.length + 1);
    this.#open = this.#open.length === 0 ? chunk : Buffer.concat([this.#open, chunk]);
    for (let at = this.#open.indexOf(this.#endTag, from); at >= 0; at = this.#open.indexOf(this.#endTag)) {
      from = at + this.#endTag.length;
      this.#finish(from);
    }
    if (this.#open.length > this.#options.recordBytesMax) this.#pass();
  }

  end(): void {
    if (this.#open.length > 0) this.#finish(this.#open.length);
  }

  flushPending(): void {
    // An element waits for nothing but its end.
  }

  /** Keeps of a stretch that is too long what shows it, and what may be the beginning of its end tag. */
  #pass(): void {
    const tail = this.#open.length - this.#endTag.length + 1;
    const dropped = this.#open.subarray(oversizeKeptBytes, tail);
    this.#passed += dropped.length;
    this.#passedLines += linesIn(dropped);
    this.#open = Buffer.concat([this.#open.subarray(0, oversizeKeptBytes), this.#open.subarray(tail)]);
  }

  /** Hands out the stretch before `end`: what is no element first, then the element. */
  #finish(end: number): void {
    const bytes = this.#open.subarray(0, end);
    const place = { line: this.#startLine, byteOffset: this.#start };
    const passed = this.#passed;
    this.#open = this.#open.subarray(end);
    this.#start += passed + end;
    this.#startLine += this.#passedLines + linesIn(bytes);
    this.#passed = 0;
    this.#passedLines = 0;
    if (passed > 0) {
      this.#take(bytes.subarray(0, oversizeKeptBytes), place, bytes.length + passed);
      return;
    }
    const text = bytes.toString(latin);
    const cut = [...text.matchAll(this.#startTag)].at(-1)?.index ?? text.length;
    for (const [from, to] of [
      [0, cut],
      [cut, text.length],
    ] as const) {
      const skipped = from + (this.#frame.exec(text.slice(from, to))?.[0].length ?? 0);
      const record = trimmedEnd(bytes.subarray(skipped, to));
      if (record.length > 0)
        this.#take(
          record,
          { line: place.line + linesIn(bytes.subarray(0, skipped)), byteOffset: place.byteOffset + skipped },
          record.length,
        );
    }
  }

  #take(bytes: Buffer, place: { line: number; byteOffset: number }, length: number): void {
    const oversize = length > this.#options.recordBytesMax;
    this.#options.take({
      bytes: oversize ? bytes.subarray(0, oversizeKeptBytes) : bytes,
      length,
      oversize,
      record: ++this.#records,
      ...place,
    });
  }
}

function trimmedEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && isSpace(bytes[end - 1] as number)) end--;
  return bytes.subarray(0, end);
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) lines++;
  return lines;
}
