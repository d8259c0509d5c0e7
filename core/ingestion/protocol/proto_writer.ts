/**
 * Why: a frame of a quarter megabyte must reach the socket without being copied once more for its envelope.
 * Enforces: small fields are gathered in scratch buffers, byte fields above a threshold become parts of their own.
 * Forbids: touching the caller's buffers: parts are views, to be written before they change.
 */

/** Byte fields of at least this size travel as parts of their own. */
const shareBytesMin = 1024;
const scratchBytes = 512;

/** Gathers one encoded message as a list of parts. */
export class ProtoWriter {
  readonly #parts: Buffer[] = [];
  #scratch: Buffer = Buffer.allocUnsafe(scratchBytes);
  #from = 0;
  #at = 0;

  private constructor() {}

  /** The parts that `write` produced, in order. */
  static parts(write: (writer: ProtoWriter) => void): Buffer[] {
    const writer = new ProtoWriter();
    write(writer);
    writer.#cut();
    return writer.#parts;
  }

  tag(no: number, wire: number): void {
    this.varint(no * 8 + wire);
  }

  varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#scratch[this.#at] = (rest % 128) | 0x80;
      this.#at += 1;
      rest = Math.floor(rest / 128);
    }
    this.#scratch[this.#at] = rest;
    this.#at += 1;
  }

  bytes(value: Buffer): void {
    if (value.length >= shareBytesMin) {
      this.#cut();
      this.#parts.push(value);
      return;
    }
    this.#room(value.length);
    this.#at += value.copy(this.#scratch, this.#at);
  }

  #room(length: number): void {
    if (this.#scratch.length - this.#at >= length) return;
    this.#cut();
    this.#scratch = Buffer.allocUnsafe(Math.max(scratchBytes, length));
    this.#from = 0;
    this.#at = 0;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#parts.push(this.#scratch.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

/** Bytes of the varint of a safe integer. */
export function varintBytes(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length += 1;
  return length;
}
