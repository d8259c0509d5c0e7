/** A stream that pauses is told to its reader, so that records which wait for more lines do not wait for ever. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { systemClock } from "ransomeye-kernel";
import { readRecords } from "ransomeye-shipper";
import { withPauses } from "../src/ship/pauses.ts";

test("chunks come through as they are, with an empty one for each pause between them", async () => {
  const stream = new PassThrough();
  const seen: string[] = [];
  stream.write("one");
  for await (const chunk of withPauses(stream as AsyncIterable<Buffer>, systemClock, 5)) {
    seen.push(chunk.toString());
    if (seen.filter((text) => text === "").length === 3 && !stream.writableEnded) stream.end("two");
  }
  assert.equal(seen[0], "one");
  assert.equal(seen.at(-1), "two");
  assert.deepEqual([...new Set(seen.slice(1, -1))], [""]);
});

test("a stream that fails is passed on, and one that is left is closed", async () => {
  const failing = (async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from("x");
    throw new Error("EIO");
  })();
  await assert.rejects(async () => {
    for await (const _ of withPauses(failing, systemClock, 1000)) continue;
  }, /EIO/);
  let closed = false;
  const left = (async function* (): AsyncGenerator<Buffer> {
    try {
      for (;;) yield Buffer.from("x");
    } finally {
      closed = true;
    }
  })();
  for await (const _ of withPauses(left, systemClock, 1000)) break;
  assert.ok(closed);
});

test("an event of auditd's without an end comes out of a silent stream, by the clock", async () => {
  let nowMs = 0;
  const clock = { nowUs: (): number => 0, monotonicMs: (): number => (nowMs += 700) };
  const stream = new PassThrough();
  stream.write("type=SYSCALL msg=audit(1490137971.011:1): arch=c000003e\n");
  for await (const batch of readRecords(withPauses(stream as AsyncIterable<Buffer>, systemClock, 1), { name: "-", clock })) {
    assert.equal(batch.items.length, 1);
    assert.ok(!stream.writableEnded, "before the stream's end");
    stream.end();
  }
  assert.ok(stream.writableEnded);
});
