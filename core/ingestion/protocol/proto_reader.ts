/**
 * Why: reading protobuf from a stranger is reading lengths that lie.
 * Enforces: nothing is read past the end of the enclosing message; the first fault wins, stops every loop and
 *   is what the caller gets. No exception on hostile input, so that refusing stays cheap.
 * Forbids: copies: byte fields are views.
 */

import { refused, type Decoded, type ProtocolCode, type Refused } from "./protocol_errors.ts";

/** Messages nest at most this deep in the contract; known fields alone recurse, so this is an assertion. */
const depthMax = 8;

/** A cursor over one encoded message. */
export class ProtoReader {
  readonly #input: Buffer;
  #at = 0;
  #end: number;
  #depth = 0;
  #fault: Refused | undefined;

  private constructor(input: Buffer) {
    this.#input = input;
    this.#end = input.length;
  }

  /** Runs a message reader over the whole input. */
  static decode<T>(input: Buffer, read: (reader: ProtoReader) => T): Decoded<T> {
    const reader = new ProtoReader(input);
    const value = read(reader);
    return reader.#fault ?? { kind: "decoded", value };
  }

  /** Whether bytes of the current message remain and no fault occurred. */
  more(): boolean {
    return this.#at < this.#end && this.#fault === undefined;
  }

  /** Records the first fault, ends reading, and gives back the fallback. */
  refuse<T>(code: ProtocolCode, detail: string, fallback: T): T {
    this.#fault ??= refused(code, detail);
    this.#at = this.#end;
    return fallback;
  }

  /** Whether a known field came with its own wire type. */
  expect(wire: number, wanted: number, no: number): boolean {
    return wire === wanted || this.refuse("PROTOCOL_WIRE_TYPE", `field ${no} has wire type ${wire}`, false);
  }

  tag(): { readonly no: number; readonly wire: number } {
    const tag = this.varint();
    const no = Math.floor(tag / 8);
    if (no < 1 || no > 0x1fff_ffff) return this.refuse("PROTOCOL_WIRE_TYPE", "a field number out of range", { no: 0, wire: 0 });
    return { no, wire: tag % 8 };
  }

  /** A varint as a safe integer. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i += 1) {
      if (this.#at >= this.#end) return this.refuse("PROTOCOL_TRUNCATED", "a varint is cut", 0);
      const byte = this.#input[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) return this.refuse("PROTOCOL_INTEGER", "an integer exceeds 2^53-1", 0);
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return this.refuse("PROTOCOL_INTEGER", "a varint has more than 10 bytes", 0);
  }

  /** A length-delimited field as a view. */
  slice(bytesMax: number): Buffer {
    const length = this.varint();
    if (length > this.#end - this.#at)
      return this.refuse("PROTOCOL_TRUNCATED", "a field ends behind its message", this.#input.subarray(0, 0));
    if (length > bytesMax) return this.refuse("PROTOCOL_BOUND", `a field exceeds ${bytesMax} bytes`, this.#input.subarray(0, 0));
    const start = this.#at;
    this.#at += length;
    return this.#input.subarray(start, this.#at);
  }

  /** Reads a length-delimited message in place; undefined after a fault. */
  nested<T>(read: (reader: ProtoReader) => T): T | undefined {
    const length = this.varint();
    const outer = this.#end;
    if (length > outer - this.#at) return this.refuse("PROTOCOL_TRUNCATED", "a message ends behind its parent", undefined);
    if (this.#depth >= depthMax) return this.refuse("PROTOCOL_BOUND", "messages nest too deep", undefined);
    const end = this.#at + length;
    this.#end = end;
    this.#depth += 1;
    const value = read(this);
    this.#depth -= 1;
    this.#end = outer;
    if (this.#fault !== undefined) {
      this.#at = outer;
      return undefined;
    }
    this.#at = end;
    return value;
  }

  /** Skips a field of a later version of the contract. */
  skip(wire: number): void {
    if (wire === 0) this.#skipVarint();
    else if (wire === 1) this.#advance(8);
    else if (wire === 2) this.#advance(this.varint());
    else if (wire === 5) this.#advance(4);
    else this.refuse("PROTOCOL_WIRE_TYPE", `wire type ${wire}`, undefined);
  }

  /** An unknown integer may be negative or beyond 2^53; only its length matters. */
  #skipVarint(): void {
    for (let i = 0; i < 10; i += 1) {
      if (this.#at >= this.#end) return this.refuse("PROTOCOL_TRUNCATED", "a varint is cut", undefined);
      const byte = this.#input[this.#at] ?? 0;
      this.#at += 1;
      if (byte < 0x80) return;
    }
    this.refuse("PROTOCOL_INTEGER", "a varint has more than 10 bytes", undefined);
  }

  #advance(length: number): void {
    if (length > this.#end - this.#at) this.refuse("PROTOCOL_TRUNCATED", "a field ends behind its message", undefined);
    else this.#at += length;
  }
}
