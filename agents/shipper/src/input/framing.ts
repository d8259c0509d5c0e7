// Why: a format decides how its bytes become records: JSON values, lines, lines that belong together.
// Enforces: whatever the framing, a record carries its original bytes and its place, and the framing can say from where reading may go on.
// Forbids: clocks: time that passes is told through `flushPending`.

/** One line or stretch of the input that a record is made of. `line` counts from 1, `byteOffset` from 0. */
export interface Piece {
  readonly line: number;
  readonly byteOffset: number;
  readonly length: number;
}

/** One record as it stands in the input, without what separates it from its neighbours. */
export interface RawRecord {
  /** The original bytes; of a record that was joined from several lines all of them in order, a line feed between them. */
  readonly bytes: Buffer;
  /** Length in the input; greater than `bytes.length` only where `oversize`. */
  readonly length: number;
  readonly oversize: boolean;
  readonly record: number;
  readonly line: number;
  readonly byteOffset: number;
  /** The lines of a record that was joined from several, which need not lie side by side. */
  readonly pieces?: readonly Piece[] | undefined;
  /** Lines before it that say how to read it, where the format has such. The same text for all records that it holds for. */
  readonly header?: string | undefined;
}

/** Where reading may go on: everything before `byteOffset` has been handed out whole, and nothing that was handed out comes again. */
export interface FramingPoint {
  readonly byteOffset: number;
  /** Line that `byteOffset` lies in, from 1. */
  readonly line: number;
  /** Records handed out so far. */
  readonly record: number;
  /** What a framing must know to go on in the middle of a file; its own notation, short, often empty. */
  readonly prelude: string;
}

/** The beginning of an input. */
export const inputStart: FramingPoint = { byteOffset: 0, line: 1, record: 0, prelude: "" };

/** What every framing is built from. */
export interface FramingOptions {
  readonly recordBytesMax: number;
  readonly start: FramingPoint;
  readonly take: (record: RawRecord) => void;
}

/** Cuts a stream of bytes into records. Push chunks, then end once; records come out through `take`, numbered in order. */
export interface Framing {
  /** Bytes pushed so far, from the beginning of the input. */
  readonly offset: number;
  /** Line of the next byte, from 1. */
  readonly line: number;
  readonly resumePoint: FramingPoint;
  push(chunk: Buffer): void;
  /** Ends the input; what is open is the last record, what is pending is handed out. */
  end(): void;
  /** Tells that it is now `nowMs` on any clock that only runs forward: records that have waited too long for another line are handed out. */
  flushPending(nowMs: number): void;
}
