// Why: tests of readers all read text and look at the events. Records here are synthetic, of the shapes that real sources write (ING-9).
import assert from "node:assert/strict";
import { deriveRow, newRowColumns, type RowColumns, validatePayload } from "ransomeye-ingestion/protocol";
import { type InvalidItem, type Item, originalOf, readRecords, type ReadOptions } from "../src/lib.ts";

/** A JSON object with fields that tests reach into. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape
export type Event = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any

/** The bytes in chunks of `chunkBytes`. */
export async function* chunks(bytes: Buffer | string, chunkBytes: number = 64 * 1024): AsyncGenerator<Buffer> {
  const all = Buffer.from(bytes);
  for (let at = 0; at < all.length; at += chunkBytes) yield all.subarray(at, at + chunkBytes);
}

/** All items of an input. */
export async function readAll(bytes: Buffer | string, options: Partial<ReadOptions> & { chunkBytes?: number } = {}): Promise<Item[]> {
  const items: Item[] = [];
  for await (const batch of readRecords(chunks(bytes, options.chunkBytes), { name: "input", ...options })) items.push(...batch.items);
  return items;
}

/** One record's event and row; fails if the gate would not take it, or if the original cannot be had back. */
export async function eventOf(record: object, options: Partial<ReadOptions> = {}): Promise<{ event: Event; row: RowColumns }> {
  const original = JSON.stringify(record);
  const items = await readAll(`${original}\n`, options);
  assert.equal(items.length, 1);
  const item = items[0] as Item;
  if (item.kind === "invalid") throw new Error(`${item.code}: ${item.message}`);
  const check = validatePayload(Buffer.concat([item.line, Buffer.from("\n")]), 1);
  assert.ok(check.kind === "lines" && check.invalid.length === 0, JSON.stringify(check));
  const event = JSON.parse(item.line.toString()) as Event;
  assert.equal(event["raw_data"], undefined === originalOf(event) ? undefined : original);
  const row = newRowColumns();
  deriveRow(event, event["time"] * 1000, row);
  return { event, row };
}

/** Events and invalid items of an input. */
export async function sorted(
  bytes: Buffer | string,
  options: Partial<ReadOptions> = {},
): Promise<{ events: Event[]; invalid: InvalidItem[] }> {
  const items = await readAll(bytes, options);
  return {
    events: items.flatMap((item) => (item.kind === "event" ? [JSON.parse(item.line.toString()) as Event] : [])),
    invalid: items.filter((item) => item.kind === "invalid"),
  };
}

/** Asserts an error with this code whose message names every one of `words`. */
export async function refused(work: Promise<unknown>, code: string, ...words: string[]): Promise<void> {
  await assert.rejects(work, (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} names ${word}`);
    return true;
  });
}
