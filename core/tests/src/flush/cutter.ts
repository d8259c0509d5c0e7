/**
 * Why: TLS records, HTTP/2 frames and messages lie in each other, each cut as it pleases, and the judge asks when a message began to leave.
 * Enforces: a piece is as old as its first byte.
 * Forbids: knowing what is cut.
 */
import type { Moment } from "./trace_file.ts";

/** Bytes, and when the first of them left. */
export interface Piece {
  readonly bytes: Buffer;
  readonly at: Moment;
}

/** Cuts one stream into pieces that begin with a head that tells their length. */
export class Cutter {
  readonly #headBytes: number;
  readonly #lengthOf: (head: Buffer) => number;
  #rest: Buffer = Buffer.alloc(0);
  #restAt: Moment = 0;

  /** @param lengthOf the length of a whole piece, from its head of `headBytes` */
  constructor(headBytes: number, lengthOf: (head: Buffer) => number) {
    this.#headBytes = headBytes;
    this.#lengthOf = lengthOf;
  }

  /** Pieces that these bytes complete. */
  push(bytes: Buffer, at: Moment): Piece[] {
    const pieces: Piece[] = [];
    let begun = this.#rest.length > 0 ? this.#restAt : at;
    let rest = Buffer.concat([this.#rest, bytes]);
    while (rest.length >= this.#headBytes) {
      const length = this.#lengthOf(rest);
      if (rest.length < length) break;
      pieces.push({ bytes: rest.subarray(0, length), at: begun });
      rest = rest.subarray(length);
      begun = at;
    }
    this.#rest = rest;
    this.#restAt = begun;
    return pieces;
  }
}
