// Why: in most text formats a line is a record.
// Enforces: every line that is not blank is one record.
// Forbids: looking into lines.

import type { Framing, FramingOptions, FramingPoint } from "./framing.ts";
import { isBlank, LineCutter } from "./line_cutter.ts";

/** One record a line. */
export class LineFraming implements Framing {
  readonly #cutter: LineCutter;
  #records: number;

  constructor(options: FramingOptions) {
    this.#records = options.start.record;
    this.#cutter = new LineCutter(options.recordBytesMax, options.start, (line) => {
      if (!isBlank(line)) options.take({ ...line, record: ++this.#records });
    });
  }

  get offset(): number {
    return this.#cutter.offset;
  }

  get line(): number {
    return this.#cutter.line;
  }

  get resumePoint(): FramingPoint {
    return { byteOffset: this.#cutter.lineOffset, line: this.#cutter.line, record: this.#records, prelude: "" };
  }

  push(chunk: Buffer): void {
    this.#cutter.push(chunk);
  }

  end(): void {
    this.#cutter.end();
  }

  flushPending(): void {
    // A line waits for nothing but its end.
  }
}
