/**
 * Why: deleting is the one thing that a spool does to what was durable. Enforces: X-6: what a crash leaves between two deletions is never a batch
 * that has lost its place in the chain. Found by the simulation.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { headerBytes, payloadHash } from "ransomeye-ingestion/protocol";
import { Spool } from "../src/spool.ts";
import { openSpoolFile } from "../src/spool_files.ts";
import type { BatchRecord } from "../src/spool_record.ts";

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
  await spool.removeFree();
  assert.equal(spool.forget([2]), false, "batch 2 still lies beside batch 3, so its link stays too");
  assert.equal(spool.forget([3]), true);
  await spool.close();
});
