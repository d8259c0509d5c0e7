// Why: six columns of a row are texts, and most of them stand in the line already as PostgreSQL wants them.
// Enforces: no NUL, no lone surrogate, at most column_text_bytes_max bytes of UTF-8, cut between characters; bytes are taken as they are only where
//   they are ASCII, or become it by undoing escapes of one character.
// Forbids: a string for a text that is only to be copied.

import { limits } from "ransomeye-kernel";
import { type EventValues, held } from "./event_values.ts";

/** A text column: a string, or bytes that hold until the next row is derived. */
export type ColumnText = string | TextBytes | null;

const backslash = 0x5c;
/** What the letter after a backslash stands for; 0 where it is more than one character. */
const unescaped: Uint8Array = new Uint8Array(256);
for (const [letter, byte] of Object.entries({ '"': 0x22, "\\": 0x5c, "/": 0x2f, b: 8, f: 12, n: 10, r: 13, t: 9 }))
  unescaped[letter.charCodeAt(0)] = byte;

/** ASCII of one column: a piece of the line, or of memory of its own. */
export class TextBytes {
  bytes: Buffer = Buffer.alloc(0);
  from = 0;
  to = 0;
  #own: Buffer | undefined;

  /** Takes the text of a scanned slot, if its bytes can be had without making a string. */
  take(values: EventValues, at: number): boolean {
    const from = values.starts[at] as number;
    const to = values.ends[at] as number;
    if (to - from > limits.columnTextBytesMax) return false;
    const kind = values.kinds[at];
    if (kind === held.escaped) return this.#unescape(values.bytes, from, to);
    if (kind !== held.ascii) return false;
    this.bytes = values.bytes;
    this.from = from;
    this.to = to;
    return true;
  }

  toString(): string {
    return this.bytes.toString("latin1", this.from, this.to);
  }

  #unescape(bytes: Buffer, from: number, to: number): boolean {
    const own = (this.#own ??= Buffer.alloc(limits.columnTextBytesMax));
    let length = 0;
    for (let at = from; at < to; at++) {
      let byte = bytes[at] as number;
      if (byte === backslash) byte = unescaped[bytes[++at] as number] as number;
      if (byte === 0 || byte >= 0x80) return false;
      own[length++] = byte;
    }
    this.bytes = own;
    this.from = 0;
    this.to = length;
    return true;
  }
}

/** Kept apart because the standard library types that we compile against are older than the method, which Node 20 has. */
interface WellFormed {
  isWellFormed(): boolean;
  toWellFormed(): string;
}

/** What `safeText` had to do. */
export interface SafeText {
  readonly text: string;
  readonly cut: boolean;
  readonly replaced: boolean;
}

/** A text as its column can hold it. */
export function safeText(value: string): SafeText {
  let text = value;
  let replaced = false;
  // Cut first: what is cut away need not be looked at. One code unit is at least one byte.
  const long = text.length > limits.columnTextBytesMax;
  if (long) text = text.slice(0, limits.columnTextBytesMax + 1);
  if (!(text as unknown as WellFormed).isWellFormed() && !splitsPairOnly(text, value)) {
    text = (text as unknown as WellFormed).toWellFormed();
    replaced = true;
  }
  if (text.indexOf("\0") >= 0) {
    text = text.replaceAll("\0", "\ufffd");
    replaced = true;
  }
  const fitting = text.length * 3 <= limits.columnTextBytesMax ? text : cutToBytes(text, limits.columnTextBytesMax);
  return { text: fitting, cut: long || fitting.length < text.length, replaced };
}

/** True if the only thing wrong with `text` is that the cut above fell into a surrogate pair; `cutToBytes` leaves that half out. */
function splitsPairOnly(text: string, whole: string): boolean {
  return text.length < whole.length && (text.slice(0, -1) as unknown as WellFormed).isWellFormed();
}

/** At most `bytesMax` bytes of UTF-8, ending between characters. */
function cutToBytes(text: string, bytesMax: number): string {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const pair = code >= 0xd800 && code < 0xdc00 && i + 1 < text.length;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : pair ? 4 : 3;
    if (bytes > bytesMax) return text.slice(0, i);
    if (pair) i++;
  }
  return text;
}
