/**
 * Why: what the heart decides about losses must hold over real files, a real session and a restart. Enforces, decision 0011.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { openProducer, type Producer, type ProducerOptions } from "../src/lib.ts";
import { GatewayDouble, settings, testIdentity } from "./gateway_double.ts";

const identity = testIdentity();
const call = (n: number): Buffer[] => Array.from({ length: 10 }, (_, i) => Buffer.from(`{"n":${n * 10 + i},"pad":"${"x".repeat(4000)}"}`));
const numberOf = (line: string): number => (JSON.parse(line) as { n: number }).n;

/** A port where nobody answers yet. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

async function opener(
  t: TestContext,
  options: ProducerOptions,
): Promise<{ port: number; spoolDir: string; all: ReturnType<typeof settings>; open: () => Promise<Producer> }> {
  const port = await freePort();
  const spoolDir = await temporaryDirectory();
  const all = settings(identity, port, spoolDir, { whenFull: "declare", ...options });
  const opened: Producer[] = [];
  t.after(async () => {
    for (const one of opened) await one.close();
  });
  const open = async (): Promise<Producer> => {
    const one = await openProducer(all);
    opened.push(one);
    return one;
  };
  return { port, spoolDir, all, open };
}

async function gatewayOn(t: TestContext, port: number): Promise<GatewayDouble> {
  const gateway = new GatewayDouble(identity);
  await gateway.listen(port);
  t.after(() => gateway.close());
  return gateway;
}

test("X-2 what finds no room is lost, declared, and the cursor moves over it; the rest arrives in order", async (t) => {
  const { port, all, open } = await opener(t, { spoolBytesMax: 1024 * 1024 });
  const first = await open();
  let handed = 0;
  let lost = 0;
  const hand = async (producer: Producer): Promise<boolean> => {
    const spooled = await producer.sendMany(call(handed), { cursor: String(handed) });
    handed += 1;
    if (spooled.lost === undefined) return false;
    lost += 10;
    assert.deepEqual(await spooled.receipt, { ranges: [], invalid: [], invalidMore: 0, known: true, lost: 10 });
    assert.equal(producer.cursor(), String(handed - 1), "a loss that was told is not told again after a restart");
    return true;
  };
  while (!(await hand(first)));
  for (let i = 0; i < 30; i += 1) assert.ok(await hand(first), "room begins further down while losses are declared");
  assert.ok(first.stats().spoolBytes <= 1024 * 1024);
  assert.deepEqual(await first.send(Buffer.from(`{"n":${handed * 10}}`)), { id: "", known: true, lost: true });
  lost += 1;
  handed += 1;
  await first.close();
  assert.equal(all.telemetry.events.filter(({ name }) => name === "sdk_loss_declared").length, 1, "one line for one declaration");

  const second = await open();
  assert.equal(second.cursor(), String(handed - 2));
  assert.ok(await hand(second), "still full");
  const gateway = await gatewayOn(t, port);
  await second.drain("stored");
  assert.equal(await hand(second), false);
  await second.drain("stored");
  const numbers = gateway.lines.map(numberOf);
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
  assert.equal(new Set(numbers).size, numbers.length);
  assert.deepEqual(gateway.gaps, [{ reason: "spool_full", count: lost }]);
  assert.equal(gateway.head.seq, numbers.length + lost, "every event has a sequence");
  assert.deepEqual(gateway.violations, []);
});

test("X-2 what waited for too long is given up; its calls hear of it and the spool gets its room back", async (t) => {
  const { port, all, open } = await opener(t, { spoolAgeMsMax: 1 });
  const producer = await open();
  const told = [];
  for (let i = 0; i < 20; i += 1) told.push((await producer.sendMany(call(i), { cursor: String(i) })).receipt);
  for (const receipt of told) assert.equal((await receipt).lost, 10);
  assert.equal(producer.stats().frames, 1, "one declaration is left");
  const gateway = await gatewayOn(t, port);
  await producer.drain("receipt");
  assert.deepEqual(gateway.gaps, [{ reason: "spool_age", count: 200 }]);
  assert.deepEqual(gateway.lines, []);
  assert.ok(all.telemetry.events.some(({ name, fields }) => name === "sdk_events_lost" && fields["reason"] === "spool_age"));
});

test("P-1 without the option a full spool makes callers wait, and age costs nothing", async (t) => {
  const { open } = await opener(t, { spoolBytesMax: 1024 * 1024, whenFull: "wait" });
  const producer = await open();
  const calls = Array.from({ length: 60 }, (_, i) => producer.sendMany(call(i)));
  const settled = Promise.allSettled(calls);
  await calls[0];
  assert.ok(producer.stats().waitingCalls > 0);
  await producer.close();
  const answers = await settled;
  assert.ok(answers.every((one) => one.status === "rejected" || one.value.lost === undefined));
  await assert.rejects(openProducer(settings(identity, 9, await temporaryDirectory(), { spoolAgeMsMax: 5 })), (error) =>
    hasCode(error, "SDK_OPTIONS_INVALID"),
  );
});

test("X-2 a count of losses in which a bit fell over is named, not believed", async (t) => {
  const { spoolDir, open } = await opener(t, { spoolBytesMax: 1024 * 1024 });
  const producer = await open();
  for (let i = 0; (await producer.sendMany(call(i))).lost === undefined; i += 1);
  await producer.close();
  const path = join(spoolDir, "state.json");
  const text = await readFile(path, "utf8");
  assert.match(text, /"count": 10,/);
  await writeFile(path, text.replace('"count": 10,', '"count": 11,'));
  await assert.rejects(open(), (error) => hasCode(error, "SDK_SPOOL_CORRUPT") && /state\.json/.test(String(error)));
});
