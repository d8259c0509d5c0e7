// Why: readers hand over records that carry their own place and fate, so that every record read is accounted for.
// Enforces: an item is an event or an invalid record, never nothing: read = events + invalid.
// Forbids: items without a place.

import type { RecordCode } from "./errors.ts";
import type { Format } from "./formats.ts";
import type { FramingPoint, Piece } from "./input/framing.ts";

/** Where a record stands in its input (after gunzip). `record` and `line` count from 1, `byteOffset` from 0. */
export interface Place {
  readonly record: number;
  readonly line: number;
  readonly byteOffset: number;
  /** The lines of a record that was joined from several; `line` and `byteOffset` are those of the first. */
  readonly pieces?: readonly Piece[];
}

/** Where a later reading goes on without losing or repeating a record. The input is then opened at `byteOffset`. */
export interface ResumePoint extends FramingPoint {
  readonly format: Format;
}

/** One canonical OCSF event, one line of JSON without its line feed. */
export interface EventItem {
  readonly kind: "event";
  readonly line: Buffer;
  readonly place: Place;
}

/** A record that gives no event. `original` holds at most the first bytes of a record beyond the bound; `originalBytes` is its whole length. */
export interface InvalidItem {
  readonly kind: "invalid";
  readonly place: Place;
  readonly code: RecordCode;
  /** Printable ASCII of bounded length. */
  readonly message: string;
  readonly original: Buffer;
  readonly originalBytes: number;
}

export type Item = EventItem | InvalidItem;

/** Items in the order of their records. A batch ends where the input paused, so that a slow stream is not held back. */
export interface Batch {
  readonly format: Format;
  readonly items: readonly Item[];
  /** Input bytes (after gunzip) taken so far. */
  readonly bytesRead: number;
  /** Behind the last of these items. */
  readonly resume: ResumePoint;
}
