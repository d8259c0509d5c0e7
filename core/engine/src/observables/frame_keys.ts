/**
 * Why it exists: a frame's events repeat the same host, users and addresses; the index wants each value of a frame once.
 * Enforces: a text that stood in the frame before, at the same place and in the same bytes, is not looked at again; one that stood in a frame before, mostly not. Memory is
 *   that of one frame, and of so many texts.
 * Forbids: leaving any value out: a frame's bytes bound how many there can be.
 */
import { observableAt, type Place, scanObservables, textOf } from "ransomeye-ingestion/protocol";
import { limits } from "ransomeye-kernel";
import type { KeyOf } from "./observable_key.ts";

/** A text of one letter, its quotes and what parts it from the next take as many bytes: no frame has more texts. */
const textBytesMin = 4;
const textsMax = limits.frameBytesMax / textBytesMin;
const slotsMask = textsMax * 2 - 1;
/** Texts whose keys are remembered from frame to frame, each in a place of its own; most hosts, users, addresses and domains come again. */
const knownTexts = 2 ** 16;
const knownBytesMax = 48;
const noKey = -1;
const lineFeed = 10;

/** Makes the sorted keys of frames, one after the other. */
export class FrameKeys {
  readonly #keyOf: KeyOf;
  readonly #slots: Int32Array = new Int32Array(slotsMask + 1);
  readonly #used: Int32Array = new Int32Array(textsMax);
  readonly #hashes: Int32Array = new Int32Array(textsMax);
  readonly #froms: Int32Array = new Int32Array(textsMax);
  readonly #tos: Int32Array = new Int32Array(textsMax);
  readonly #places: Uint8Array = new Uint8Array(textsMax);
  readonly #keys: Uint32Array = new Uint32Array(textsMax);
  readonly #knownHashes: Int32Array = new Int32Array(knownTexts);
  /** 0: nothing is known there. */
  readonly #knownLengths: Uint8Array = new Uint8Array(knownTexts);
  readonly #knownPlaces: Uint8Array = new Uint8Array(knownTexts);
  readonly #knownBytes: Buffer = Buffer.alloc(knownTexts * knownBytesMax);
  readonly #knownKeys: Float64Array = new Float64Array(knownTexts);
  #texts = 0;
  #count = 0;
  #payload: Buffer = Buffer.alloc(0);

  constructor(keyOf: KeyOf) {
    this.#keyOf = keyOf;
  }

  /** Keys of all observables in a frame's payload, ascending, each once, four bytes big-endian each. At most `limits.frameBytesMax` bytes of payload. */
  of(payload: Buffer): Buffer {
    if (payload.length > limits.frameBytesMax) throw new RangeError(`a frame of ${payload.length} bytes is larger than any`);
    this.#payload = payload;
    this.#texts = 0;
    this.#count = 0;
    const take = (place: Place, from: number, to: number, how: number): void => this.#take(place, from, to, how);
    for (let from = 0; from < payload.length; ) {
      scanObservables(payload, from, take);
      const feed = payload.indexOf(lineFeed, from);
      from = feed < 0 ? payload.length : feed + 1;
    }
    for (let text = 0; text < this.#texts; text++) this.#slots[this.#used[text] as number] = 0;
    return this.#sorted();
  }

  #take(place: Place, from: number, to: number, how: number): void {
    const bytes = this.#payload;
    let hash: number = place;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0;
    let slot = (hash ^ (hash >>> 15)) & slotsMask;
    for (let text = this.#slots[slot] as number; text !== 0; text = this.#slots[slot] as number) {
      if (this.#isSame(text - 1, hash, place, from, to)) return;
      slot = (slot + 1) & slotsMask;
    }
    const text = this.#texts++;
    this.#slots[slot] = text + 1;
    this.#used[text] = slot;
    this.#hashes[text] = hash;
    this.#places[text] = place;
    this.#froms[text] = from;
    this.#tos[text] = to;
    const key = this.#knownKey(hash, place, from, to, how);
    if (key !== noKey) this.#keys[this.#count++] = key;
  }

  /** The text's key, remembered or made; `noKey` where it is no observable. */
  #knownKey(hash: number, place: Place, from: number, to: number, how: number): number {
    const length = to - from;
    if (length > knownBytesMax) return this.#newKey(place, from, to, how);
    const bytes = this.#payload;
    const at = (hash ^ (hash >>> 16)) & (knownTexts - 1);
    const start = at * knownBytesMax;
    if (this.#knownLengths[at] === length && this.#knownHashes[at] === hash && this.#knownPlaces[at] === place) {
      let i = 0;
      while (i < length && this.#knownBytes[start + i] === bytes[from + i]) i++;
      if (i === length) return this.#knownKeys[at] as number;
    }
    const key = this.#newKey(place, from, to, how);
    this.#knownHashes[at] = hash;
    this.#knownLengths[at] = length;
    this.#knownPlaces[at] = place;
    this.#knownKeys[at] = key;
    bytes.copy(this.#knownBytes, start, from, to);
    return key;
  }

  #newKey(place: Place, from: number, to: number, how: number): number {
    const read = textOf(this.#payload, from, to, how);
    const one = read === undefined ? null : observableAt(place, read);
    return one === null ? noKey : this.#keyOf(one);
  }

  #isSame(text: number, hash: number, place: Place, from: number, to: number): boolean {
    if (this.#hashes[text] !== hash || this.#places[text] !== place) return false;
    const start = this.#froms[text] as number;
    if ((this.#tos[text] as number) - start !== to - from) return false;
    const bytes = this.#payload;
    for (let i = to - from - 1; i >= 0; i--) if (bytes[start + i] !== bytes[from + i]) return false;
    return true;
  }

  #sorted(): Buffer {
    const keys = this.#keys.subarray(0, this.#count).sort();
    const out = Buffer.allocUnsafe(keys.length * 4);
    let length = 0;
    let last = -1;
    for (const key of keys) {
      if (key === last) continue;
      length = out.writeUInt32BE(key, length);
      last = key;
    }
    return out.subarray(0, length);
  }
}
