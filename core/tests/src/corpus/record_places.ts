/**
 * Why: "every line is accounted for" is a statement about a file's bytes, and a record may be made of lines that others lie between.
 * Enforces: what a file has at a record's place, and what no record has taken.
 * Forbids: asking the shipper what the original was.
 */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import type { Format, Item, Place } from "ransomeye-shipper";

/** A file's bytes as the shipper sees them. */
export async function unpackedBytes(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}

/** Where a record lies: one stretch, or one for each of its lines. */
function stretches(place: Place, length: number): readonly { readonly byteOffset: number; readonly length: number }[] {
  return place.pieces ?? [{ byteOffset: place.byteOffset, length }];
}

/** What the file has at a record's place; lines are joined by a line feed. `length` is that of the original. */
export function bytesAt(bytes: Buffer, place: Place, length: number): Buffer {
  const parts = stretches(place, length).map((part) => bytes.subarray(part.byteOffset, part.byteOffset + part.length));
  return Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from("\n"), part])));
}

/** How many lines a file has, and how many of them no record has taken. */
export interface LineCount {
  readonly lines: number;
  readonly beside: number;
}

/** Counts a file's lines: what `unaccounted` finds well is in records, or beside them. */
export function countLines(bytes: Buffer, items: readonly Item[], lengthOf: (item: Item) => number): LineCount {
  const starts = [0];
  for (let feed = bytes.indexOf("\n"); feed >= 0 && feed + 1 < bytes.length; feed = bytes.indexOf("\n", feed + 1)) starts.push(feed + 1);
  const held = new Uint8Array(starts.length);
  for (const part of items.flatMap((item) => stretches(item.place, lengthOf(item)))) {
    const first = lineAt(starts, part.byteOffset);
    held.fill(1, first, lineAt(starts, part.byteOffset + Math.max(part.length, 1) - 1) + 1);
  }
  const lines = bytes.length === 0 ? 0 : starts.length;
  return { lines, beside: lines - held.reduce((all, one) => all + one, 0) };
}

/** Index of the line that holds a byte. */
function lineAt(starts: readonly number[], byteOffset: number): number {
  let [low, high] = [0, starts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) <= byteOffset) low = middle;
    else high = middle;
  }
  return low;
}

/** Every stretch of the file that no record has taken and that is no separator either. `lengthOf` is that of an item's original. */
export function unaccounted(bytes: Buffer, format: Format, items: readonly Item[], lengthOf: (item: Item) => number): string[] {
  const taken = items.flatMap((item) => stretches(item.place, lengthOf(item))).sort((a, b) => a.byteOffset - b.byteOffset);
  const between = separators(bytes, format);
  const left: string[] = [];
  let end = 0;
  const look = (to: number): void => {
    const gap = bytes.toString("utf8", end, to);
    if (to < end) left.push(`bytes ${to} to ${end} belong to two records`);
    else if (!between.test(gap)) left.push(`bytes ${end} to ${to} belong to no record`);
  };
  for (const { byteOffset, length } of taken) {
    look(byteOffset);
    end = byteOffset + length;
  }
  look(bytes.length);
  return left;
}

/** What may stand beside records: white space and the mark of UTF-8, in JSON commas and brackets, in Zeek's rows the header's lines, in syslog lengths. */
function separators(bytes: Buffer, format: Format): RegExp {
  if (format === "syslog") return /^\s*(?:\d+ )?$/;
  if (format !== "zeek_tsv") return /^[\s,[\]]*$/;
  // Lines of a header begin as its first line does, whose name is always the same.
  const first = /^(.*?)separator/m.exec(bytes.toString("latin1"))?.[1] ?? "#";
  const literal = first.replaceAll(/\W/g, String.raw`\$&`);
  return new RegExp(String.raw`^\ufeff?\s*(?:(?:#|${literal})[^\n]*(?:\n|$)\s*)*$`);
}
