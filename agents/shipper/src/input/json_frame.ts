// Why: records lie in files as lines, as elements of an array, or as pretty-printed objects one after another; where one ends is a matter of
//   brackets and quotes, and a damaged record must not swallow its neighbours.
// Enforces: byte by byte, with memory of a bounded number of levels; a broken record ends where the next one visibly begins.
// Forbids: parsing: what a record says is none of this file's business.

const quote = 0x22;
const backslash = 0x5c;
const lineFeed = 0x0a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

/** Levels whose kind (object or array) is remembered; deeper ones are only counted. */
const levelsKept = 256;

/** What one byte meant. `cut` says that it begins a new record and that the current one, broken, ended before it. */
export type Step = "more" | "done" | "cut";

export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === lineFeed || byte === 0x0d || byte === 0x09;
}

/** Follows one bracketed value through its bytes. Reused from record to record. */
export class JsonFrame {
  #depth = 0;
  #inText = false;
  #escaped = false;
  /** A line feed inside a text: no JSON any more, brackets cannot be trusted. */
  #broken = false;
  /** Last byte outside texts that is no white space; a text counts as its closing quote. */
  #previous = 0;
  /** Column of the current byte, and whether only white space stands before it on its line. */
  #column = 0;
  #lineStart = false;
  #startColumn = 0;
  /** A line of the record began further right than the record: it is printed with indentation. */
  #indented = false;
  readonly #isArray: Uint8Array = new Uint8Array(levelsKept);

  /** Begins a record whose first byte stands at `column`. */
  begin(column: number): void {
    this.#depth = 0;
    this.#inText = false;
    this.#escaped = false;
    this.#broken = false;
    this.#previous = 0;
    this.#column = column;
    this.#startColumn = column;
    this.#lineStart = false;
    this.#indented = false;
  }

  /** True while the value is open and nothing speaks against its going on in the next line. */
  get open(): boolean {
    return this.#depth > 0 && !this.#inText && !this.#broken;
  }

  step(byte: number): Step {
    if (byte === lineFeed) {
      if (this.#inText) this.#broken = true;
      this.#inText = false;
      this.#escaped = false;
      this.#column = 0;
      this.#lineStart = true;
      return "more";
    }
    const column = this.#column++;
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) {
        this.#inText = false;
        this.#previous = quote;
      }
      return "more";
    }
    if (isSpace(byte)) return "more";
    const first = this.#lineStart;
    this.#lineStart = false;
    if (first && byte === openBrace && this.#mustBeNew(column)) return "cut";
    if (first && column > this.#startColumn) this.#indented = true;
    return this.#outsideText(byte);
  }

  #outsideText(byte: number): Step {
    this.#previous = byte;
    if (byte === quote) this.#inText = true;
    else if (byte === openBrace || byte === openBracket) {
      if (this.#depth < levelsKept) this.#isArray[this.#depth] = byte === openBracket ? 1 : 0;
      this.#depth++;
    } else if ((byte === closeBrace || byte === closeBracket) && --this.#depth === 0) return "done";
    return "more";
  }

  /** Whether `{` at the beginning of a line cannot belong to the record that is open: no grammar allows it there, or nothing fits any more. */
  #mustBeNew(column: number): boolean {
    if (this.#broken || this.#indented) return column <= this.#startColumn;
    if (this.#previous === colon || this.#previous === openBracket) return false;
    if (this.#previous !== comma) return true;
    return this.#depth <= levelsKept && this.#isArray[this.#depth - 1] !== 1;
  }
}
