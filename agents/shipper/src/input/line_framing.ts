// Why: in most text formats a line is a record.
// Enforces: every line that is not blank is one record.
// Forbids: looking into lines.

import type { FramingOptions, FramingPoint } from "./framing.ts";
import { LineBased } from "./line_based.ts";
import { isBlank, type RawLine } from "./line_cutter.ts";

/** One record a line. */
export class LineFraming extends LineBased {
  readonly #take: FramingOptions["take"];
  #records: number;

  constructor(options: FramingOptions) {
    super(options);
    this.#take = options.take;
    this.#records = options.start.record;
  }

  get resumePoint(): FramingPoint {
    return { byteOffset: this.cutter.lineOffset, line: this.line, record: this.#records, prelude: "" };
  }

  protected override takeLine(line: RawLine): void {
    if (!isBlank(line)) this.#take({ ...line, record: ++this.#records });
  }
}
