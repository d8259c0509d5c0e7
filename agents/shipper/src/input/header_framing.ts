// Why: some formats of rows say in lines of their own how the rows below them are to be read, anew in the middle of a file if they must.
// Enforces: every line is a row or part of a header; each row carries the header that held where it stands, also when reading goes on later.
// Forbids: knowing what a header says: a function of the format's tells header lines from rows.

import type { FramingOptions, FramingPoint } from "./framing.ts";
import { LineBased } from "./line_based.ts";
import type { RawLine } from "./line_cutter.ts";

/** The header after this line, given the one before it (both byte for byte as latin1); undefined where the line is a row. */
export type HeaderStep = (line: string, before: string) => string | undefined;

/** Rows, one a line, under headers. */
export class HeaderFraming extends LineBased {
  readonly #take: FramingOptions["take"];
  readonly #step: HeaderStep;
  #header: string;
  #records: number;

  constructor(options: FramingOptions, step: HeaderStep) {
    super(options);
    this.#take = options.take;
    this.#step = step;
    this.#header = options.start.prelude;
    this.#records = options.start.record;
  }

  get resumePoint(): FramingPoint {
    return { byteOffset: this.cutter.lineOffset, line: this.line, record: this.#records, prelude: this.#header };
  }

  /** An empty line is none; one of white space may be a row with a field of white space. */
  protected override takeLine(line: RawLine): void {
    if (line.length === 0) return;
    const header = line.oversize ? undefined : this.#step(line.bytes.toString("latin1"), this.#header);
    if (header !== undefined) {
      this.#header = header;
      return;
    }
    this.#take({ ...line, record: ++this.#records, header: this.#header });
  }
}
