/**
 * Why: deleting is the one thing that a spool does to what was durable. Enforces: X-6: what a crash leaves between two deletions is never a batch
 * that has lost its place in the chain, nor a chain with a hole.
 */
import assert from "node:assert/strict";
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { headerBytes, payloadHash } from "ransomeye-ingestion/protocol";
import { openProducer, type OpenSpoolFile } from "../src/lib.ts";
import { Spool } from "../src/spool.ts";
import { openSpoolFile } from "../src/spool_files.ts";
import { openSpool } from "../src/spool_open.ts";
import type { BatchRecord } from "../src/spool_record.ts";
import { GatewayDouble, settings, testIdentity } from "./gateway_double.ts";

test("X-6 a link's segment is not deleted before the segment of its batch", async () => {
  const payload = Buffer.alloc(600, "x");
  const facts = {
    type: "batch" as const,
    kind: "events" as const,
    count: 1,
    schemaVersion: 1,
    mappingVersion: 0,
    createdUs: 1,
    more: false,
  };
  const record = (index: number): BatchRecord => ({
    ...facts,
    index,
    payloadHash: payloadHash(payload),
    payloadBytes: payload.length,
    cursor: undefined,
    signed: undefined,
  });
  const signed = { header: Buffer.alloc(headerBytes), signature: Buffer.alloc(64) };
  let written = (_index: number): void => undefined;
  /** Does the work and waits until the record of this index is durable. */
  const durable = (work: () => void, last: number): Promise<void> =>
    new Promise((resolve) => {
      written = (index) => {
        if (index === last) resolve();
      };
      work();
    });
  const listener = {
    batches: (through: number) => written(through),
    links: (links: readonly { readonly index: number }[]) => written(links.at(-1)?.index ?? 0),
    stalled: () => undefined,
    failed: () => undefined,
  };
  const directory = await temporaryDirectory();
  // Every group of writes begins a segment of its own.
  const spool = new Spool(
    { directory, segmentBytesMax: 300, cacheBytesMax: 1 << 20, openFile: openSpoolFile, clock: systemClock },
    listener,
    [],
    [],
  );
  // What comes while the first is being written makes one group, and so lies in one segment.
  await durable(() => {
    spool.appendBatch(record(1), payload);
    spool.appendBatch(record(2), payload);
    spool.appendBatch(record(3), payload);
  }, 3);
  for (const index of [1, 2, 3]) await durable(() => spool.appendLinks([{ index, signed }]), index);
  await durable(() => spool.appendBatch(record(4), payload), 4);
  assert.equal(spool.forget([1]), true);
  await spool.remove(spool.free);
  assert.equal(spool.forget([2]), false, "batch 2 still lies beside batch 3, so its link stays too");
  assert.equal(spool.forget([3]), true);
  await spool.close();
});

test("X-6 R-5 whenever a segment goes, a crash at that moment leaves a spool without a hole, also where more is stored while the state is written", async (t) => {
  const directory = await temporaryDirectory();
  const identity = testIdentity();
  const gateway = new GatewayDouble(identity);
  gateway.store = false;
  const spoolBytesMax = 8 * 1024 * 1024;
  const crashes: Promise<unknown>[] = [];
  // A segment's file is closed right before it is removed: what is left then, without it, is what a crash would leave.
  const watching: OpenSpoolFile = async (path, create) => {
    const file = await openSpoolFile(path, create);
    const close = async (): Promise<void> => {
      await file.close();
      const left = await temporaryDirectory();
      const names = (await readdir(directory)).filter((name) => name.endsWith(".seg") || name === "state.json");
      for (const name of names) if (join(directory, name) !== path) await copyFile(join(directory, name), join(left, name));
      crashes.push(opens(left));
    };
    return { ...file, close };
  };
  const silent = { batches: () => undefined, links: () => undefined, stalled: () => undefined, failed: () => undefined };
  const opens = async (left: string): Promise<void> => {
    const options = { directory: left, producer: identity.producer, bytesMax: spoolBytesMax, openFile: openSpoolFile, clock: systemClock };
    const opened = await openSpool(options, silent);
    await opened.spool.close();
    await opened.release();
  };
  const producer = await openProducer(settings(identity, await gateway.listen(), directory, { spoolBytesMax, openFile: watching }));
  t.after(async () => {
    await producer.close();
    gateway.close();
  });
  const frames = 60;
  for (let i = 0; i < frames; i += 1) await producer.sendMany(Array.from({ length: 10 }, () => Buffer.alloc(10_000, "x")));
  await producer.drain("receipt");
  const segments = (await readdir(directory)).filter((name) => name.endsWith(".seg")).length;
  // Each in a packet of its own, so that some come while the state that an earlier one asked for is being written.
  for (let frame = 1; frame <= frames; frame += 1) {
    gateway.say({ kind: "stored", epoch: 1, seq: 10 * frame });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await producer.drain("stored");
  await producer.close();
  assert.ok(segments > 5 && crashes.length >= segments - 1, `${String(crashes.length)} of ${String(segments)} segments went`);
  const broken = (await Promise.allSettled(crashes)).filter((one) => one.status === "rejected");
  assert.deepEqual(broken, []);
});
