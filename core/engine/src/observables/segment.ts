/**
 * Why it exists: when a day closes, or has grown large, the summaries of its frames are sorted by key, so that a question reads the few bytes of its own key.
 * Enforces: what goes in comes out: each key of each frame, no more and no less; a block is decoded by itself and fits a database page four times.
 * Forbids: I/O; more postings or frames than a segment may have.
 *
 * A block: for each key, ascending, the difference to the key before (the first: to `firstKey`), the number of frames, and their ordinals, ascending, each as the
 * difference to the one before. All as LEB128. A key whose frames do not fit goes on in the next block, with ordinals from the beginning again.
 */
import { EngineError } from "../codes.ts";

/** A frame's place in the log. */
export interface FramePlace {
  readonly part: number;
  readonly off: number;
  /** Microseconds since 1970. */
  readonly receivedUs: number;
}

/** A frame and its keys, as `FrameKeys` gives them. */
export interface FrameSummary extends FramePlace {
  readonly keys: Buffer;
}

/** Sorted postings; their first key is what they are found by. */
export interface Block {
  readonly firstKey: number;
  readonly bytes: Buffer;
}

export interface Segment {
  /** The frames by ordinal, `placeBytes` each, in the order of received time. */
  readonly places: Buffer;
  readonly frames: number;
  readonly postings: number;
  readonly blocks: readonly Block[];
}

/** A sort's memory is 8 bytes for each posting. */
export const segmentPostingsMax = 2_000_000;
/** Ordinals have 20 bits: with the key's 32 they are one exact number. */
export const segmentFramesMax: number = 2 ** 20;
/** Part, offset and received time. */
export const placeBytes = 20;
/** With its row's header a block of so many bytes stands in a page four times. */
const blockBytes = 1900;
/** What one posting takes at most: two numbers of 32 bits and one of 20. */
const postingBytesMax = 5 + 5 + 3;

/** Reads place `ordinal` of a segment's places. */
export function placeAt(places: Buffer, ordinal: number): FramePlace {
  const at = ordinal * placeBytes;
  return { part: places.readInt32BE(at), off: Number(places.readBigInt64BE(at + 4)), receivedUs: Number(places.readBigInt64BE(at + 12)) };
}

/** Sorts summaries. @throws EngineError ENGINE_INDEX_BROKEN beyond the bounds of a segment */
export function makeSegment(summaries: readonly FrameSummary[]): Segment {
  const frames = summaries.toSorted((a, b) => a.receivedUs - b.receivedUs || a.part - b.part || a.off - b.off);
  const postings = frames.reduce((sum, { keys }) => sum + keys.length / 4, 0);
  if (frames.length > segmentFramesMax || postings > segmentPostingsMax * 2)
    throw new EngineError("ENGINE_INDEX_BROKEN", `a segment of ${frames.length} frames with ${postings} keys is larger than any may be`);
  const places = Buffer.allocUnsafe(frames.length * placeBytes);
  const sorted = new Float64Array(postings);
  let count = 0;
  for (const [ordinal, { part, off, receivedUs, keys }] of frames.entries()) {
    const at = ordinal * placeBytes;
    places.writeInt32BE(part, at);
    places.writeBigInt64BE(BigInt(off), at + 4);
    places.writeBigInt64BE(BigInt(receivedUs), at + 12);
    for (let key = 0; key < keys.length; key += 4) sorted[count++] = keys.readUInt32BE(key) * segmentFramesMax + ordinal;
  }
  return { places, frames: frames.length, postings, blocks: blocksOf(sorted.sort()) };
}

function keyOf(posting: number): number {
  return Math.floor(posting / segmentFramesMax);
}

function blocksOf(sorted: Float64Array): Block[] {
  const blocks: Block[] = [];
  let writer = new BlockWriter();
  for (let from = 0; from < sorted.length; ) {
    const key = keyOf(sorted[from] as number);
    let to = from + 1;
    while (to < sorted.length && keyOf(sorted[to] as number) === key) to++;
    // Ordinals that fit beside what is there; the rest goes on in blocks that begin with the same key.
    while (from < to) {
      const taken = writer.add(key, sorted, from, to);
      from += taken;
      if (from < to || taken === 0) {
        blocks.push(writer.block());
        writer = new BlockWriter();
      }
    }
  }
  if (writer.length > 0) blocks.push(writer.block());
  return blocks;
}

class BlockWriter {
  readonly #bytes: Buffer = Buffer.allocUnsafe(blockBytes);
  #first = 0;
  #last = 0;
  length = 0;

  /** Writes as many of the postings [from, to), all of one key, as there is room for; says how many. */
  add(key: number, sorted: Float64Array, from: number, to: number): number {
    const room = blockBytes - this.length - 2 * postingBytesMax;
    if (room <= 0) return 0;
    let bytes = 0;
    let taken = 0;
    let before = 0;
    for (let at = from; at < to; at++) {
      const ordinal = (sorted[at] as number) % segmentFramesMax;
      bytes += lebBytes(ordinal - before);
      if (bytes > room) break;
      before = ordinal;
      taken++;
    }
    if (taken === 0) return 0;
    if (this.length === 0) {
      this.#first = key;
      this.#last = key;
    }
    this.#leb(key - this.#last);
    this.#leb(taken);
    before = 0;
    for (let at = from; at < from + taken; at++) {
      const ordinal = (sorted[at] as number) % segmentFramesMax;
      this.#leb(ordinal - before);
      before = ordinal;
    }
    this.#last = key;
    return taken;
  }

  block(): Block {
    return { firstKey: this.#first, bytes: Buffer.from(this.#bytes.subarray(0, this.length)) };
  }

  #leb(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.length++] = rest;
  }
}

function lebBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Ordinals of the frames that have a key, from one block. */
export function ordinalsIn({ firstKey, bytes }: Block, wanted: number): number[] {
  const found: number[] = [];
  let at = 0;
  const leb = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined)
        throw new EngineError("ENGINE_INDEX_BROKEN", "a block of the index of observables ends in the middle of a number");
      value += (byte % 128) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  let key = firstKey;
  while (at < bytes.length && key <= wanted) {
    key += leb();
    const count = leb();
    let ordinal = 0;
    for (let i = 0; i < count; i++) {
      ordinal += leb();
      if (key === wanted) found.push(ordinal);
    }
  }
  return found;
}
