/**
 * Why it exists: a page that the disk has changed must be found in a backup, not after a restore; the embedded package has no pg_checksums.
 * Enforces: PostgreSQL's own sum over a page (32 parallel FNV-1a sums, folded, mixed with the block's number), as its server writes and checks it.
 * Forbids: repairing; judging files that hold no pages.
 */

/** Bytes of a page, in every server that is built as usual. */
export const pageBytes = 8192;
/** Pages of one file; a relation's next ones are in its next file. */
export const pagesPerFile = 131_072;

const sumsCount = 32;
const fnvPrime = 16_777_619;
const foldsMax = 65_535;
const upperOffset = 14;

/** Where the sums begin: PostgreSQL's own constants. */
const baseOffsets = new Int32Array([
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f, 0xe39eb970, 0x42c6ae16,
  0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2,
  0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
]);
const sums = new Int32Array(sumsCount);

/** The sum that belongs into the header of a page, for the block that it is. `page` must begin at a multiple of four bytes. */
export function pageChecksum(page: Buffer, block: number): number {
  const words = new Int32Array(page.buffer, page.byteOffset, pageBytes / 4);
  sums.set(baseOffsets);
  for (let at = 0; at < words.length; at += sumsCount)
    for (let i = 0; i < sumsCount; i += 1) {
      // The sum itself, the lower half of the third word, counts as zero.
      const word = at === 0 && i === 2 ? (words[2] as number) & 0xffff0000 : (words[at + i] as number);
      const mixed = (sums[i] as number) ^ word;
      sums[i] = Math.imul(mixed, fnvPrime) ^ (mixed >>> 17);
    }
  let result = 0;
  for (let i = 0; i < sumsCount; i += 1) {
    let sum = sums[i] as number;
    // Two rounds of zeroes spread the last words' bits.
    for (let round = 0; round < 2; round += 1) sum = Math.imul(sum, fnvPrime) ^ (sum >>> 17);
    result ^= sum;
  }
  return (((result ^ block) >>> 0) % foldsMax) + 1;
}

/**
 * What a page is. `newer`: it was written after `sinceLsn`, where the write-ahead log has all of it again, so that half of it may be old.
 */
export type PageState = "sound" | "newer" | "damaged";

/** Judges a page of block `block`. `sinceLsn`: the log's place from which on it is replayed. */
export function judgePage(page: Buffer, block: number, sinceLsn: number): PageState {
  if (page.readUInt16LE(upperOffset) === 0) return page.every((byte) => byte === 0) ? "sound" : "damaged";
  if (page.readUInt16LE(8) === pageChecksum(page, block)) return "sound";
  return page.readUInt32LE(0) * 2 ** 32 + page.readUInt32LE(4) >= sinceLsn ? "newer" : "damaged";
}
