/**
 * Why it exists: one signed hash stands for any number of entries, and each can be shown to be among them with few hashes (RFC 6962, section 2.1).
 * Enforces: leaves and inner nodes are hashed apart, so that neither can be passed off as the other; a tree of n leaves has one shape.
 * Forbids: I/O; memory that grows with the leaves where only the root is wanted.
 */
import { createHash } from "node:crypto";

export const hashBytes = 32;

const leafPrefix = Buffer.from([0]);
const nodePrefix = Buffer.from([1]);

/** SHA-256(0x00 ‖ bytes). */
export function leafHash(bytes: Buffer): Buffer {
  return createHash("sha256").update(leafPrefix).update(bytes).digest();
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return createHash("sha256").update(nodePrefix).update(left).update(right).digest();
}

/** The root of no leaves: SHA-256 of nothing. */
export const emptyRoot: Buffer = createHash("sha256").digest();

/** Takes leaf hashes in order and knows the root at any time, with one hash for each bit of their number. */
export class TreeRoot {
  /** Roots of complete subtrees, the largest (leftmost) first; their sizes are the set bits of `#size`. */
  readonly #complete: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(leaf: Buffer): void {
    let node = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) node = nodeHash(this.#complete.pop() as Buffer, node);
    this.#complete.push(node);
    this.#size += 1;
  }

  root(): Buffer {
    return (
      this.#complete.reduceRight<Buffer | undefined>((right, left) => (right === undefined ? left : nodeHash(left, right)), undefined) ??
      emptyRoot
    );
  }
}

/** The root over leaf hashes. */
export function rootOf(leaves: Iterable<Buffer>): Buffer {
  const tree = new TreeRoot();
  for (const leaf of leaves) tree.add(leaf);
  return tree.root();
}

/** Largest power of two below n, for n of at least 2. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** A whole tree in memory, for paths: `hashes` are leaf hashes, or equally roots of equal complete subtrees (the last may be incomplete). */
export class Tree {
  readonly #hashes: readonly Buffer[];
  readonly #known = new Map<string, Buffer>();

  constructor(hashes: readonly Buffer[]) {
    this.#hashes = hashes;
  }

  root(): Buffer {
    return this.#hashes.length === 0 ? emptyRoot : this.#rootOf(0, this.#hashes.length);
  }

  /** Siblings from the leaf up (RFC 6962, section 2.1.1). */
  path(index: number): Buffer[] {
    if (!Number.isInteger(index) || index < 0 || index >= this.#hashes.length)
      throw new RangeError(`no leaf ${index} of ${this.#hashes.length}`);
    const path: Buffer[] = [];
    let from = 0;
    let to = this.#hashes.length;
    while (to - from > 1) {
      const middle = from + split(to - from);
      if (index < middle) {
        path.push(this.#rootOf(middle, to));
        to = middle;
      } else {
        path.push(this.#rootOf(from, middle));
        from = middle;
      }
    }
    return path.toReversed();
  }

  #rootOf(from: number, to: number): Buffer {
    if (to - from === 1) return this.#hashes[from] as Buffer;
    const key = `${from}:${to}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const middle = from + split(to - from);
    const root = nodeHash(this.#rootOf(from, middle), this.#rootOf(middle, to));
    this.#known.set(key, root);
    return root;
  }
}

/** The root that a leaf hash at `index` of `size` leaves has with this path; undefined where the path has another length than that place asks for. */
export function rootByPath(leaf: Buffer, index: number, size: number, path: readonly Buffer[]): Buffer | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  // From the root down: whether the sibling is the left one.
  const siblingIsLeft: boolean[] = [];
  let place = index;
  let rest = size;
  while (rest > 1) {
    const left = split(rest);
    siblingIsLeft.push(place >= left);
    if (place >= left) {
      place -= left;
      rest -= left;
    } else rest = left;
  }
  if (siblingIsLeft.length !== path.length) return undefined;
  return path.reduce((node, sibling, up) => (siblingIsLeft.at(-1 - up) === true ? nodeHash(sibling, node) : nodeHash(node, sibling)), leaf);
}
