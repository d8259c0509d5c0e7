// Why: promise 5, memory is bounded whatever is shipped: a long stream, a line without end, a bomb.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { type Format, readRecords } from "../src/lib.ts";

const mib = 1024 * 1024;

/** Most that the memory in use may grow over what it was when the stream was under way: chunks and one record. Well below what each stream holds. */
const growthBytesMax = 24 * mib;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is still held after a collection: resident memory would say how lazy this machine's collector is, and not what the reader keeps. */
function heldBytes(): number {
  collectGarbage();
  // What the first has found, buffers above all, is swept and discounted in the background; the second waits for that.
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function measured(input: AsyncIterable<Buffer>, format?: Format): Promise<{ events: number; invalid: number; growth: number }> {
  const result = { events: 0, invalid: 0, growth: 0 };
  let settled: number | undefined;
  let batches = 0;
  const watch = (): void => {
    const held = heldBytes();
    settled ??= held;
    result.growth = Math.max(result.growth, held - settled);
  };
  async function* watched(): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      if (++batches % 64 === 0) watch();
      yield chunk;
    }
  }
  for await (const batch of readRecords(watched(), { name: "stream", format })) {
    for (const item of batch.items) result[item.kind === "event" ? "events" : "invalid"]++;
  }
  return result;
}

const line = Buffer.from(
  `${JSON.stringify({ class_uid: 0, category_uid: 0, activity_id: 0, type_uid: 0, severity_id: 0, time: 1_700_000_000_000, metadata: { version: "1.9.0", product: { name: "x" } }, message: "m".repeat(250) })}\n`,
);

test("200 MB of events stream through flat memory", async () => {
  const chunk = Buffer.concat(Array.from({ length: 160 }, () => line));
  const count = Math.ceil((200 * mib) / chunk.length);
  async function* stream(): AsyncGenerator<Buffer> {
    for (let i = 0; i < count; i++) yield Buffer.from(chunk);
  }
  const { events, invalid, growth } = await measured(stream());
  assert.deepEqual([events, invalid], [count * 160, 0]);
  assert.ok(growth < growthBytesMax, `grew by ${growth} bytes`);
});

test("a line of 1 GB costs that record and no memory", async () => {
  const part = Buffer.alloc(mib, 0x79);
  async function* stream(): AsyncGenerator<Buffer> {
    yield line;
    yield Buffer.from('{"x":"');
    // The same bytes again and again: what grows is the reader's.
    for (let i = 0; i < 1024; i++) yield part;
    yield Buffer.from('"}\n');
    yield line;
  }
  const { events, invalid, growth } = await measured(stream());
  assert.deepEqual([events, invalid], [2, 1]);
  assert.ok(growth < growthBytesMax, `grew by ${growth} bytes`);
});

test("a gzip bomb unpacks through bounded memory", async () => {
  const bomb = gzipSync(Buffer.alloc(256 * mib, 0x20), { level: 9 });
  async function* stream(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bomb.length; at += 1024) yield bomb.subarray(at, at + 1024);
  }
  const { events, invalid, growth } = await measured(stream(), "ocsf_ndjson");
  assert.deepEqual([events, invalid], [0, 0]);
  assert.ok(growth < growthBytesMax, `grew by ${growth} bytes`);
});

test("records that wait for their ends, and lines that are none, cost no memory", async () => {
  const garbage = Buffer.from(`${"\u0001 no record at all ".repeat(100)}\n`);
  async function* stream(): AsyncGenerator<Buffer> {
    for (let i = 0; i < 15_000; i++) {
      yield Buffer.from(`type=SYSCALL msg=audit(1490137971.011:${i}): ${"a".repeat(12_000)}\n`);
      if (i % 10 === 0) yield garbage;
    }
  }
  const { events, invalid, growth } = await measured(stream(), "auditd");
  assert.deepEqual([events, invalid], [15_000, 1500]);
  assert.ok(growth < growthBytesMax, `grew by ${growth} bytes`);
});
