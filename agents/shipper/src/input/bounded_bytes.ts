// Why: a record comes in pieces, chunk by chunk, and may be longer than memory should hold.
// Enforces: beyond the bound only the first bytes are kept, and the length is still counted.
// Forbids: copying what fits into one chunk.

/** What is kept of a record beyond the bound, to show what it was. */
export const oversizeKeptBytes = 4096;

/** The bytes of one open record. */
export class BoundedBytes {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes so far, kept or not. */
  get length(): number {
    return this.#length;
  }

  append(chunk: Buffer, from: number, to: number): void {
    this.#length += to - from;
    const room = (this.#length > this.#bytesMax ? oversizeKeptBytes : this.#bytesMax) - this.#keptBytes;
    if (room <= 0 || to === from) return;
    const piece = chunk.subarray(from, Math.min(to, from + room));
    this.#pieces.push(piece);
    this.#keptBytes += piece.length;
  }

  /** Ends the record and begins the next. `bytes` may share memory with the chunks. */
  take(): { readonly bytes: Buffer; readonly length: number; readonly oversize: boolean } {
    const whole = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    const length = this.#length;
    const oversize = length > this.#bytesMax;
    this.#pieces = [];
    this.#keptBytes = 0;
    this.#length = 0;
    return { bytes: oversize ? Buffer.from(whole.subarray(0, oversizeKeptBytes)) : whole, length, oversize };
  }
}
