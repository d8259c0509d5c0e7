/**
 * Why: what a producer confirmed must be on the disk after anything. Enforces: X-6 and promise 1 at the spool: kill -9, torn tails, full and failing disks, two processes.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, copyFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { hasCode, seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { encodeHeader, frameHash, payloadHash } from "ransomeye-ingestion/protocol";
import { type OpenProducer, openProducer, type OpenSpoolFile, type Producer, saveIdentity, type SdkError } from "../src/lib.ts";
import { openSpoolFile } from "../src/spool_files.ts";
import { lockSpool } from "../src/spool_lock.ts";
import { type OpenedSpool, openSpool, segmentBytesOf } from "../src/spool_open.ts";
import { type BatchRecord, decodeRecord } from "../src/spool_record.ts";
import { GatewayDouble, producer, settings, testIdentity } from "./gateway_double.ts";

const identity = testIdentity();

/** A producer that is closed with its test, also where that fails. */
async function openFor(t: TestContext, all: OpenProducer): Promise<Producer> {
  const one = await openProducer(all);
  t.after(() => one.close());
  return one;
}

interface Told {
  through: number[];
  stalled: SdkError[];
  failed: SdkError[];
}

async function open(
  directory: string,
  openFile: OpenSpoolFile = openSpoolFile,
  bytesMax = 4 * 1024 * 1024,
): Promise<OpenedSpool & { told: Told }> {
  const told: Told = { through: [], stalled: [], failed: [] };
  const opened = await openSpool(
    { directory, producer, bytesMax, openFile, clock: systemClock },
    {
      batches: (through) => told.through.push(through),
      links: () => undefined,
      stalled: (error) => told.stalled.push(error),
      failed: (error) => told.failed.push(error),
    },
  );
  return { ...opened, told };
}

const done = async (opened: OpenedSpool): Promise<void> => {
  await opened.spool.close();
  await opened.release();
};

function batch(index: number, more = false): { record: BatchRecord; payload: Buffer } {
  const payload = Buffer.from(`{"n":${index}}\n`.repeat(1 + (index % 5)));
  const facts = { kind: "events" as const, count: 1 + (index % 5), schemaVersion: 1, mappingVersion: 0, createdUs: index };
  return {
    record: {
      type: "batch",
      index,
      ...facts,
      payloadHash: payloadHash(payload),
      payloadBytes: payload.length,
      more,
      cursor: more ? undefined : `c${index}`,
      signed: undefined,
    },
    payload,
  };
}

const append = (opened: OpenedSpool, index: number, more = false): void => {
  const { record, payload } = batch(index, more);
  opened.spool.appendBatch(record, payload);
};

test("X-6 a spool that is cut at any byte opens with the whole records before the cut", async () => {
  const directory = await temporaryDirectory();
  const first = await open(directory);
  const ends: number[] = [8];
  for (let index = 1; index <= 6; index += 1) {
    append(first, index);
    await first.spool.finish();
    ends.push(first.spool.bytes);
  }
  await done(first);
  const segment = join(directory, "000000000001.seg");
  const whole = await readFile(segment);
  assert.equal(whole.length, ends.at(-1));
  for (let length = 0; length <= whole.length; length += length < 20 ? 1 : 3) {
    const copy = await temporaryDirectory();
    await writeFile(join(copy, "000000000001.seg"), whole.subarray(0, length));
    const opened = await open(copy);
    const expected = ends.filter((end) => end <= length).length - 1;
    assert.equal(opened.entries.length, Math.max(0, expected), `cut at ${length}`);
    assert.equal((await stat(join(copy, "000000000001.seg"))).size, expected < 0 ? 8 : ends[expected], "the torn tail is gone");
    append(opened, 50);
    await done(opened);
    const again = await open(copy);
    assert.deepEqual(
      again.entries.map((entry) => entry.index),
      [...Array.from({ length: Math.max(0, expected) }, (_, i) => i + 1), 50],
    );
    await done(again);
  }
});

test("a flipped byte in the newest segment ends it there; in an older one the spool is corrupt", async () => {
  const directory = await temporaryDirectory();
  const opened = await open(directory, openSpoolFile, 1024 * 1024);
  for (let index = 1; index <= 12; index += 1) {
    const payload = Buffer.alloc(60_000, index);
    opened.spool.appendBatch({ ...batch(index).record, payloadHash: payloadHash(payload), payloadBytes: payload.length }, payload);
    await opened.spool.finish();
  }
  await done(opened);
  const segments = (await readdir(directory)).filter((name) => name.endsWith(".seg")).sort();
  assert.ok(segments.length > 1);
  for (const [at, name] of segments.entries()) {
    const copy = await temporaryDirectory();
    for (const other of segments) await copyFile(join(directory, other), join(copy, other));
    const bytes = await readFile(join(copy, name));
    bytes[bytes.length - 30_000] = (bytes[bytes.length - 30_000] ?? 0) ^ 1;
    await writeFile(join(copy, name), bytes);
    if (at < segments.length - 1) await assert.rejects(open(copy), (error) => hasCode(error, "SDK_SPOOL_CORRUPT"));
    else {
      const cut = await open(copy);
      assert.equal(cut.entries.length, 11);
      assert.ok(cut.cutBytes >= 60_000);
      await done(cut);
    }
  }
});

test("any flipped byte of a record, of its length, check, facts, cursor or payload, ends the spool there", async () => {
  const directory = await temporaryDirectory();
  const opened = await open(directory);
  append(opened, 1);
  await opened.spool.finish();
  const from = opened.spool.bytes;
  append(opened, 2);
  await done(opened);
  const path = join(directory, "000000000001.seg");
  const whole = await readFile(path);
  for (let at = from; at < whole.length; at += 1) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    assert.equal(decodeRecord(bytes, from), undefined, `byte ${at - from}`);
  }
  assert.ok(decodeRecord(whole, from));
});

test("a call that is not complete on disk is dropped whole, across segments", async () => {
  const directory = await temporaryDirectory();
  const opened = await open(directory, openSpoolFile, 1024 * 1024);
  append(opened, 1);
  await opened.spool.finish();
  for (let index = 2; index <= 8; index += 1) {
    const payload = Buffer.alloc(90_000, index);
    opened.spool.appendBatch({ ...batch(index, true).record, payloadHash: payloadHash(payload), payloadBytes: payload.length }, payload);
    await opened.spool.finish();
  }
  assert.deepEqual(opened.told.through, [1], "nothing of an open call counts as durable");
  await done(opened);
  const again = await open(directory);
  assert.deepEqual(
    again.entries.map((entry) => entry.index),
    [1],
  );
  assert.equal(again.droppedBatches, 7);
  assert.equal(again.cursor?.cursor, "c1");
  assert.equal(again.machine.nextIndex, 9, "indexes are not used twice");
  await done(again);
  const third = await open(directory);
  assert.equal(third.droppedBatches, 0);
  await done(third);
});

test("X-6 R-6 places that were written behind an incomplete call outlive it, however often the spool is opened", async () => {
  const directory = await temporaryDirectory();
  const opened = await open(directory, openSpoolFile, 1024 * 1024);
  for (const index of [1, 2]) append(opened, index);
  append(opened, 3, true);
  let tip = 0;
  let prevHash: Buffer = Buffer.alloc(32);
  const links = [1, 2].map((index) => {
    const { count, payloadHash: hash, payloadBytes } = batch(index).record;
    const facts = { kind: "events" as const, codec: 0, schemaVersion: 1, mappingVersion: 0, epoch: 1, prevEpoch: tip === 0 ? 0 : 1 };
    const names = { producer, keyId: "0".repeat(16), firstSeq: tip + 1, prevSeq: tip, prevHash, offered: 100 };
    const header = encodeHeader({ ...facts, ...names, count, payloadHash: hash, payloadBytes });
    tip += count;
    prevHash = frameHash(header);
    return { index, signed: { header, signature: Buffer.alloc(64) } };
  });
  opened.spool.appendLinks(links);
  append(opened, 4, true);
  await opened.spool.finish();
  await done(opened);
  for (const dropped of [2, 0, 0]) {
    const again = await open(directory);
    assert.equal(again.droppedBatches, dropped);
    assert.deepEqual(
      again.entries.map(({ index, link }) => [index, link?.firstSeq]),
      [
        [1, 1],
        [2, 3],
      ],
    );
    const { header } = await again.spool.read(2);
    assert.deepEqual(header, links[1]?.signed.header);
    await done(again);
  }
});

test("ENOSPC makes the spool wait, with a code; when there is room everything is written, once", async () => {
  for (const where of ["write", "sync"] as const) {
    const directory = await temporaryDirectory();
    let failures = 0;
    const full: OpenSpoolFile = async (path, create) => {
      const file = await openSpoolFile(path, create);
      const fail = (): never => {
        failures += 1;
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      };
      return {
        ...file,
        write: async (parts, at) => {
          // Half of it reaches the disk, as a real one would do.
          if (where === "write" && at > 100 && failures < 1) await file.write([Buffer.concat([...parts]).subarray(0, 50)], at).then(fail);
          await file.write(parts, at);
        },
        sync: () => (where === "sync" && failures < 1 ? fail() : file.sync()),
      };
    };
    const opened = await open(directory, full);
    for (let index = 1; index <= 5; index += 1) append(opened, index);
    for (let i = 0; i < 400 && opened.told.through.at(-1) !== 5; i += 1) await sleep(systemClock, 10);
    assert.equal(opened.told.through.at(-1), 5);
    assert.ok(opened.told.stalled.length > 0 && opened.told.stalled.every((error) => error.code === "SDK_DISK_FULL"));
    await done(opened);
    const again = await open(directory);
    assert.deepEqual(
      again.entries.map((entry) => entry.index),
      [1, 2, 3, 4, 5],
    );
    assert.equal(again.cutBytes, 0);
    await done(again);
  }
});

test("a spool has one process: a second is refused, a dead one's lock is taken over, whatever its pid is now", async (t) => {
  const directory = await temporaryDirectory();
  const one = await openFor(t, settings(identity, 9, directory));
  await assert.rejects(openFor(t, settings(identity, 9, directory)), (error) => hasCode(error, "SDK_SPOOL_LOCKED"));
  const identityDir = join(await temporaryDirectory(), "identity");
  await saveIdentity(identityDir, identity);
  const other = spawn(process.execPath, [fileURLToPath(new URL("./spool_child.js", import.meta.url)), directory, "1", identityDir, "9"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaint = "";
  other.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const [code] = (await once(other, "close")) as [number];
  assert.notEqual(code, 0);
  assert.match(complaint, /SDK_SPOOL_LOCKED/);
  await one.close();
  const boot = (await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "unknown")).trim();
  // Dead: a pid that cannot be; our own pid with another start time; another boot.
  for (const stale of [
    `lock-${boot}-4194999-1`,
    `lock-${boot}-${process.pid}-1`,
    `lock-00000000-0000-0000-0000-000000000000-${process.pid}-1`,
  ])
    await writeFile(join(directory, stale), "");
  const release = await lockSpool(directory);
  assert.equal((await readdir(directory)).filter((name) => name.startsWith("lock-")).length, 1);
  await release();
});

test("R-5 a segment goes only after the state file tells where its chain ended", async (t) => {
  const directory = await temporaryDirectory();
  const gateway = new GatewayDouble(identity);
  const port = await gateway.listen();
  const told: number[] = [];
  // A segment's file is closed right before it is removed.
  const watching: OpenSpoolFile = async (path, create) => {
    const file = await openSpoolFile(path, create);
    return {
      ...file,
      close: async () => {
        const state = JSON.parse(await readFile(join(directory, "state.json"), "utf8")) as {
          machine: { chain: { base: { seq: number } } };
        };
        told.push(state.machine.chain.base.seq);
        await file.close();
      },
    };
  };
  const one = await openFor(t, settings(identity, port, directory, { spoolBytesMax: 1024 * 1024, openFile: watching }));
  t.after(() => gateway.close());
  for (let i = 1; i <= 12; i += 1) {
    await (await one.sendMany(Array.from({ length: 10 }, () => Buffer.alloc(10_000, 97)))).receipt;
    const end = 10 * i;
    assert.ok(told.every((seq) => seq > 0 && seq <= end));
  }
  await one.drain("stored");
  await one.close();
  assert.ok(told.length >= 3, "segments went");
  assert.ok((await readdir(directory)).filter((name) => name.endsWith(".seg")).length < 3);
  assert.equal(told.at(-1), 120);
});

test("another producer's spool is refused", async (t) => {
  const directory = await temporaryDirectory();
  await (await openFor(t, settings(identity, 9, directory))).close();
  const other = { ...identity, producer: "0190a0b0-c0d0-7000-8000-0000000000bb" };
  await assert.rejects(openFor(t, settings(other, 9, directory)), (error) => hasCode(error, "SDK_OPTIONS_INVALID"));
});

test("a state file that is not one is corrupt, not ignored", async (t) => {
  const directory = await temporaryDirectory();
  await (await openFor(t, settings(identity, 9, directory))).close();
  await appendFile(join(directory, "state.json"), "x");
  await assert.rejects(openFor(t, settings(identity, 9, directory)), (error) => hasCode(error, "SDK_SPOOL_CORRUPT"));
  await truncate(join(directory, "state.json"), 0);
  await assert.rejects(openFor(t, settings(identity, 9, directory)), (error) => hasCode(error, "SDK_SPOOL_CORRUPT"));
});

test("X-6 kill -9 at any moment: what was confirmed is in the spool, and each event arrives once, in order", async (t) => {
  const child = fileURLToPath(new URL("./spool_child.js", import.meta.url));
  const directory = await temporaryDirectory();
  const identityDir = join(await temporaryDirectory(), "identity");
  await saveIdentity(identityDir, identity);
  const gateway = new GatewayDouble(identity);
  // Receipts come, and some frames are swallowed with their connection; nothing is stored until the end, so that the spool keeps it all.
  gateway.store = false;
  gateway.onFrame = () => (gateway.frames % 50 === 0 ? "cut" : undefined);
  const port = await gateway.listen();
  t.after(() => gateway.close());
  const random = seededRandom("kill");
  const count = 9_000;
  let confirmed = 0;
  let finished = false;
  for (let round = 0; !finished; round += 1) {
    // The first rounds know no gateway: port 9 of loopback does not answer.
    const run = spawn(process.execPath, [child, directory, String(count), identityDir, String(round < 3 ? 9 : port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    let target = 10 + (random.uint32() % 120);
    run.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      // Killed by progress and not by time, so that the machine's speed does not matter.
      target -= chunk.toString().split("durable").length - 1;
      if (target <= 0 && round < 9) run.kill("SIGKILL");
    });
    await once(run, "close");
    const from = Number(/^from (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(from > confirmed, `the cursor ${from - 1} is behind what was confirmed, ${confirmed}`);
    for (const [, cursor] of output.matchAll(/^durable (\d+)$/gm)) confirmed = Math.max(confirmed, Number(cursor));
    finished = output.includes("done\n");
    assert.ok(finished || round < 9);
  }
  gateway.onFrame = undefined;
  gateway.store = true;
  const one = await openFor(t, settings(identity, port, directory));
  await one.drain("receipt");
  await one.close();
  const numbers = gateway.lines.map((line) => (JSON.parse(line) as { n: number }).n);
  assert.equal(
    numbers.findIndex((n, at) => n !== at + 1),
    -1,
    "in order, none missing, none twice",
  );
  assert.ok(numbers.length >= count && numbers.length >= confirmed);
  assert.equal(gateway.head.epoch, 1, "no state was lost");
  assert.deepEqual(gateway.violations, []);
});

test("a spool of any size holds a bounded number of files open, and reads no more than a bounded one whole", () => {
  const mib = 1024 * 1024;
  for (const spoolMib of [1, 64, 1024, 8192, 65_536, 1_048_576]) {
    const segment = segmentBytesOf(spoolMib * mib);
    assert.ok(segment >= mib / 4 && segment <= 256 * mib);
    assert.ok((spoolMib * mib) / segment <= 4096, `${String(spoolMib)} MiB`);
  }
});
