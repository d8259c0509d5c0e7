// Why: several framings are built of lines, and differ in what they make of one.
// Enforces: one way from bytes to lines, with one account of where reading stands.
// Forbids: knowing what a line is for: whoever extends this takes them, and says where reading may go on.

import type { Framing, FramingOptions, FramingPoint } from "./framing.ts";
import { LineCutter, type RawLine } from "./line_cutter.ts";

/** A framing over lines. */
export abstract class LineBased implements Framing {
  protected readonly cutter: LineCutter;

  constructor({ recordBytesMax, start }: FramingOptions) {
    this.cutter = new LineCutter(recordBytesMax, start, (line) => this.takeLine(line));
  }

  get offset(): number {
    return this.cutter.offset;
  }

  get line(): number {
    return this.cutter.line;
  }

  abstract get resumePoint(): FramingPoint;

  push(chunk: Buffer): void {
    this.cutter.push(chunk);
  }

  end(): void {
    this.cutter.end();
  }

  flushPending(_nowMs: number): void {
    // A line waits for nothing but its end, unless somebody joins it with others.
  }

  /** The next line of the input. */
  protected abstract takeLine(line: RawLine): void;
}
