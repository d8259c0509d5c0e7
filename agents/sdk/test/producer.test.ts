/**
 * Why: the shell must keep over real TLS, HTTP/2 and files what the heart promises. Enforces: promises 1 to 3, R-6, R-14, R-15, ING-7.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gatewaySpiffeId } from "ransomeye-ingestion/protocol";
import { type Clock, hasCode, sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { openProducer, type Producer, type ProducerOptions, saveIdentity } from "../src/lib.ts";
import { issue } from "./certificates.ts";
import { type DoubleOptions, GatewayDouble, producer as producerId, settings, testIdentity, trustDomain } from "./gateway_double.ts";

const identity = testIdentity();

async function setUp(
  t: TestContext,
  options: ProducerOptions = {},
  double: DoubleOptions = {},
): Promise<{
  gateway: GatewayDouble;
  producer: Producer;
  open: () => Promise<Producer>;
  events: () => readonly { name: string; fields: Record<string, unknown> }[];
  port: number;
  spoolDir: string;
}> {
  const gateway = new GatewayDouble(identity, double);
  const port = await gateway.listen();
  const spoolDir = await temporaryDirectory();
  const all = settings(identity, port, spoolDir, options);
  const opened: Producer[] = [];
  const open = async (): Promise<Producer> => {
    const one = await openProducer(all);
    opened.push(one);
    return one;
  };
  const producer = await open();
  t.after(async () => {
    for (const one of opened) await one.close();
    gateway.close();
  });
  return { gateway, producer, open, events: () => all.telemetry.events, port, spoolDir };
}

const lines = (from: number, count: number): Buffer[] => Array.from({ length: count }, (_, i) => Buffer.from(`{"n":${from + i}}`));
const texts = (count: number): string[] => lines(1, count).map(String);
const until = async (what: () => boolean): Promise<void> => {
  for (let i = 0; i < 2000 && !what(); i += 1) await sleep(systemClock, 5);
  assert.ok(what());
};

test("P-1: lines are spooled, sent, receipted; each event has its id", async (t) => {
  const { gateway, producer } = await setUp(t);
  const first = await producer.sendMany(lines(1, 3), { cursor: "three" });
  assert.equal(producer.cursor(), "three");
  assert.deepEqual(await first.receipt, { ranges: [{ epoch: 1, firstSeq: 1, lastSeq: 3 }], invalid: [], invalidMore: 0, known: true });
  assert.deepEqual(await producer.send('{"n":4}', { urgent: true }), { id: `${producerId}:1:4`, known: true });
  const second = await producer.sendMany(lines(5, 2));
  assert.deepEqual([second.firstSeq, second.lastSeq], [5, 6]);
  await producer.drain("stored");
  assert.deepEqual(gateway.lines, texts(6));
  assert.deepEqual(gateway.violations, []);
  assert.equal(producer.stats().frames, 0);
});

test("an invalid event is reported to the call that sent it, by its line", async (t) => {
  const { gateway, producer } = await setUp(t, { lingerMs: 30 });
  gateway.invalid = (header) => [{ seq: header.firstSeq + 3, code: 7, reason: "class_uid: unknown" }];
  const [a, b] = await Promise.all([producer.sendMany(lines(1, 2)), producer.sendMany(lines(3, 3))]);
  assert.deepEqual((await a.receipt).invalid, []);
  assert.deepEqual((await b.receipt).invalid, [{ line: 1, id: `${producerId}:1:4`, code: 7, reason: "class_uid: unknown" }]);
});

test("a call larger than a frame becomes several, answered as one", async (t) => {
  const { gateway, producer } = await setUp(t, { frameEventsMax: 10 });
  const spooled = await producer.sendMany(lines(1, 35), { cursor: "35" });
  const { ranges } = await spooled.receipt;
  assert.deepEqual(ranges, [{ epoch: 1, firstSeq: 1, lastSeq: 35 }]);
  assert.equal(gateway.frames, 4);
  assert.deepEqual(gateway.lines, texts(35));
});

test("promises 1 and 3: connections cut at any frame lose, double and reorder nothing", async (t) => {
  const { gateway, producer } = await setUp(t);
  gateway.onFrame = (header) =>
    gateway.frames % 4 === 0 ? "cut" : header.firstSeq % 7 === 0 && gateway.frames % 3 === 0 ? "hold" : undefined;
  const receipts = [];
  for (let i = 0; i < 30; i += 1) receipts.push((await producer.sendMany(lines(i * 10 + 1, 10))).receipt);
  await Promise.all(receipts);
  assert.deepEqual(gateway.lines, texts(300));
  assert.deepEqual(gateway.violations, []);
});

test("a producer that starts without a gateway spools, and sends when there is one; a closed one's spool is sent by the next", async (t) => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  const spoolDir = await temporaryDirectory();
  const first = await openProducer(settings(identity, port, spoolDir));
  const spooled = await first.sendMany(lines(1, 5), { cursor: "5" });
  assert.equal(spooled.firstSeq, 0, "no epoch yet, so no number");
  await first.close();
  await assert.rejects(spooled.receipt, (error) => hasCode(error, "SDK_CLOSED"));
  const gateway = new GatewayDouble(identity);
  await gateway.listen(port);
  const second = await openProducer(settings(identity, port, spoolDir));
  t.after(async () => {
    await second.close();
    gateway.close();
  });
  assert.equal(second.cursor(), "5");
  await second.sendMany(lines(6, 5));
  await second.drain("stored");
  assert.deepEqual(gateway.lines, texts(10));
});

test("a clean restart goes on where it was, in the same epoch", async (t) => {
  const { gateway, producer, open } = await setUp(t);
  await (await producer.sendMany(lines(1, 4))).receipt;
  await producer.close();
  const again = await open();
  await (await again.sendMany(lines(5, 4))).receipt;
  assert.equal(gateway.head.epoch, 1);
  assert.deepEqual(gateway.lines, texts(8));
  assert.equal(gateway.hellos.at(-1)?.nextSeq, 5);
});

test("R-14 an SDK with little credit asks for more and never oversteps it", async (t) => {
  const { gateway, producer } = await setUp(t, { frameEventsMax: 10 });
  gateway.credit = { bytes: 700, events: 15 };
  gateway.cut();
  let demands = 0;
  gateway.onMessage = (message) => {
    if (message.kind === "demand") {
      demands += 1;
      gateway.credit = { bytes: gateway.credit.bytes + 900, events: gateway.credit.events + 25 };
      gateway.say({ kind: "credit", bytesTotal: gateway.credit.bytes, eventsTotal: gateway.credit.events, lingerMs: 2 });
    }
    return false;
  };
  const { receipt } = await producer.sendMany(lines(1, 100));
  await receipt;
  assert.ok(demands > 2);
  assert.deepEqual(gateway.lines, texts(100));
  assert.deepEqual(gateway.violations, []);
});

test("P-5: a full spool makes callers wait, in order, and loses nothing", async (t) => {
  const { gateway, producer } = await setUp(t, { spoolFramesMax: 16, frameEventsMax: 5 });
  const held: (() => void)[] = [];
  gateway.onFrame = () => (held.length === 0 ? "hold" : undefined);
  let entered = 0;
  const calls = Array.from({ length: 40 }, (_, i) => producer.sendMany(lines(i * 5 + 1, 5)).then(() => (entered += 1)));
  await until(() => entered === 16);
  assert.equal(producer.stats().waitingCalls, 24);
  held.push(() => undefined);
  gateway.cut();
  await Promise.all(calls);
  await producer.drain("receipt");
  assert.deepEqual(gateway.lines, texts(200));
});

test("P-4: a receipt that does not verify is not honoured, nor one by another key than the pinned one", async (t) => {
  const { gateway, producer, events } = await setUp(t);
  await (await producer.sendMany(lines(1, 1))).receipt;
  gateway.forgeReceipts = true;
  const { receipt } = await producer.sendMany(lines(2, 1));
  await until(() => events().some(({ fields }) => fields["code"] === "SDK_RECEIPT_INVALID"));
  gateway.forgeReceipts = false;
  const pinned = gateway.receiptKey;
  gateway.receiptKey = generateKeyPairSync("ed25519").privateKey;
  gateway.cut();
  await until(() => events().some(({ fields }) => fields["code"] === "SDK_RECEIPT_KEY_CHANGED"));
  gateway.receiptKey = pinned;
  await receipt;
  assert.deepEqual(gateway.lines, texts(2));
});

test("P-4: a server of another trust domain, of another role or another authority gets not even a Hello", async (t) => {
  const cases: DoubleOptions[] = [
    { uris: [gatewaySpiffeId("other.local", "gw-1")] },
    { uris: [`spiffe://${trustDomain}/producer/linux/${producerId}`] },
    { uris: [gatewaySpiffeId(trustDomain, "gw-1"), gatewaySpiffeId(trustDomain, "gw-2")] },
    { uris: [] },
    { issuer: issue("test authority", []) },
  ];
  for (const double of cases) {
    const { gateway, events } = await setUp(t, {}, double);
    const code = double.issuer === undefined ? "SDK_SERVER_IDENTITY" : "SDK_CONNECT_FAILED";
    await until(() => events().some(({ fields }) => fields["code"] === code));
    assert.equal(gateway.hellos.length, 0);
  }
});

test("a peer that is half open or never welcomes is given up", async (t) => {
  const { gateway, events } = await setUp(t, { connectMs: 50 });
  gateway.onMessage = () => true;
  gateway.cut();
  await until(() => events().some(({ fields }) => fields["code"] === "SDK_CONNECT_TIMEOUT"));
});

test("R-6 a fenced producer stops: callers learn it, and it does not come back", async (t) => {
  const { gateway, producer } = await setUp(t);
  await (await producer.sendMany(lines(1, 1))).receipt;
  gateway.onFrame = (header) => {
    gateway.say({
      kind: "reject",
      epoch: header.epoch,
      firstSeq: header.firstSeq,
      lastSeq: header.firstSeq,
      code: "INGEST_EPOCH_FENCED",
      message: "a newer epoch",
      next: "stop",
    });
    return "hold";
  };
  const { receipt } = await producer.sendMany(lines(2, 1));
  await assert.rejects(receipt, (error) => hasCode(error, "SDK_FENCED"));
  await assert.rejects(producer.sendMany(lines(3, 1)), (error) => hasCode(error, "SDK_FENCED"));
  await assert.rejects(producer.drain("receipt"), (error) => hasCode(error, "SDK_FENCED"));
  assert.equal(producer.stats().phase, "stopped");
});

test("lines that no frame can carry are refused before anything is spooled", async (t) => {
  const { producer } = await setUp(t);
  for (const line of ["", "a\nb", "x".repeat(131_073)])
    await assert.rejects(producer.send(line), (error) => hasCode(error, "SDK_LINE_INVALID"));
  await assert.rejects(producer.sendMany([]), (error) => hasCode(error, "SDK_LINE_INVALID"));
  await assert.rejects(producer.sendMany(lines(1, 1), { cursor: "x".repeat(5000) }), (error) => hasCode(error, "SDK_OPTIONS_INVALID"));
  await producer.close();
  await assert.rejects(producer.sendMany(lines(1, 1)), (error) => hasCode(error, "SDK_CLOSED"));
});

test("drain is given up when its signal aborts", async (t) => {
  const { gateway, producer } = await setUp(t);
  gateway.onFrame = () => "hold";
  await producer.sendMany(lines(1, 1));
  await assert.rejects(producer.drain("receipt", AbortSignal.timeout(20)), { name: "TimeoutError" });
});

test("the example in the header of lib.ts runs", async (t) => {
  const source = await readFile(fileURLToPath(new URL("../../src/lib.ts", import.meta.url)), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(source)?.[1]?.replaceAll(/^ \* ?/gm, "") ?? "";
  assert.match(example, /openProducer/);
  // As a user's own module, with its own imports. Beside this file, where they resolve.
  const module = new URL(`./example_${process.pid}.mjs`, import.meta.url);
  const imports = example.match(/^import .*$/gm)?.join("\n") ?? "";
  const body = example.replaceAll(/^import .*$/gm, "");
  const given = "{ identityDir, host, port, spoolDir, lines, line }";
  await writeFile(module, `${imports}\nexport const run = async (${given}) => {${body}};\n`);
  t.after(() => rm(module));
  const identityDir = join(await temporaryDirectory(), "identity");
  await saveIdentity(identityDir, identity);
  const gateway = new GatewayDouble(identity);
  const port = await gateway.listen();
  t.after(() => gateway.close());
  const spoolDir = await temporaryDirectory();
  const { run } = (await import(module.href)) as { run: (names: object) => Promise<void> };
  await run({ identityDir, host: "127.0.0.1", port, spoolDir, lines: lines(1, 3), line: Buffer.from('{"n":4}') });
  assert.deepEqual(gateway.lines, texts(4));
});

test("why there is no session is told until there is one, and why a producer has stopped for ever", async (t) => {
  const { gateway, producer, port } = await setUp(t);
  await producer.sendMany(lines(1, 1));
  await producer.drain("receipt");
  assert.equal(producer.stats().away, undefined);
  gateway.close();
  await until(() => /^SDK_\w+: \S/.test(producer.stats().away ?? ""));
  assert.equal(producer.stopped, undefined);
  await gateway.listen(port);
  await until(() => producer.stats().away === undefined);
});

test("BP-16 R-15 a detection skips the gateway's linger, and takes along what waits for it", { timeout: 30_000 }, async (t) => {
  const { gateway, producer: first, port, spoolDir } = await setUp(t, {}, { lingerMs: 60_000 });
  await first.close();
  let lingering = 0;
  let passedMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + passedMs,
    // The linger never ends, so whatever is sent did not wait for it. Nothing else lasts nearly so long.
    setTimer(ms, fire) {
      if (ms < 50_000) return systemClock.setTimer(ms, fire);
      lingering += 1;
      return { cancel: () => undefined };
    },
  };
  const producer = await openProducer({ ...settings(identity, port, spoolDir), clock });
  t.after(() => producer.close());
  // Its receipt comes behind the Welcome that tells the linger.
  await producer.send('{"n":1}', { urgent: true });
  const plain = producer.send('{"n":2}');
  assert.deepEqual([gateway.frames, lingering], [1, 1]);
  // An urgent frame may follow another one after a tenth of the linger.
  passedMs = 6000;
  await producer.send('{"n":3}', { urgent: true });
  assert.equal((await plain).id, `${producerId}:1:2`);
  assert.deepEqual([gateway.lines, gateway.frames], [texts(3), 2]);
});
