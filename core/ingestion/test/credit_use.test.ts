/**
 * Why: credit that nobody uses is room that nobody has; and whoever cannot use it for a while, by no fault of his own, is no hoarder.
 * Enforces: BP-20 against the ways to sit on credit, and BP-17 for those who only seem to.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type Account, grant, hold, openAccount, outstanding } from "../src/buffer.ts";
import { type CreditDue, nextDue, overdueMs } from "../src/credit_use.ts";
import { type ModelProducer, ModelWorld } from "./gate_model.ts";

const largest = 262_144 + 512 + 64;
const bounds = { sessionFloorBytes: 4096, frameCostBytesMax: largest };

/** Room for what one producer may hold, and not for another beside it. */
const scarce = { bufferBytesMax: 64 * 4096 + 2 * largest };

/** Lets seconds pass, in which the bus answers, all producers answer pings, and a producer does whatever it does until it has ended. */
async function pass(
  world: ModelWorld,
  producer: ModelProducer,
  seconds: number,
  each: (second: number) => void = () => undefined,
): Promise<void> {
  for (let second = 1; second <= seconds; second += 1) {
    world.nowMs += 1000;
    world.step({ kind: "tick", registryAgeMs: 0 });
    await world.answerAll();
    if (producer.ended !== undefined) return;
    for (const { session, ended } of world.producers.values()) if (ended === undefined) world.step({ kind: "ponged", session });
    each(second);
  }
}

/** A producer that waits for room. */
async function needy(world: ModelWorld): Promise<ModelProducer> {
  const producer = world.producer();
  await world.join(producer);
  wants(world, producer, 2 * largest);
  return producer;
}

const wants = (world: ModelWorld, producer: ModelProducer, bytes: number): void =>
  world.say(producer, { kind: "demand", bytes, events: 100, oldestUs: 0, frameBytes: 0 });

const unusedBytes = (world: ModelWorld, producer: ModelProducer): number => {
  const session = world.gate.session(producer.session);
  assert.ok(session !== undefined);
  return outstanding(session.account).bytes;
};

const unusedEvents = (world: ModelWorld, producer: ModelProducer): number => {
  const session = world.gate.session(producer.session);
  assert.ok(session !== undefined);
  return outstanding(session.account).events;
};

const lastTold = ({ heard }: ModelProducer): string => {
  const told = heard.findLast(({ kind }) => kind === "throttle");
  return told?.kind === "throttle" ? `${told.state} ${told.reason}` : "nothing";
};

/** A producer that holds credit for about two of the largest frames. */
async function holder(world: ModelWorld): Promise<ModelProducer> {
  const producer = world.producer();
  await world.join(producer);
  wants(world, producer, 2 * largest);
  await pass(world, producer, 1);
  assert.ok(unusedBytes(world, producer) >= 2 * largest);
  return producer;
}

test("BP-17 credit that lies idle through a pause is no offence: its clock runs from the end of the pause", async () => {
  const world = new ModelWorld(1, scarce);
  const patient = await holder(world);
  await needy(world);
  world.busPressure = { ...world.busPressure, backlogMs: 31_000 };
  await pass(world, patient, 300);
  assert.equal(lastTold(patient), "paused engine_lag");
  world.busPressure = { ...world.busPressure, backlogMs: 0 };
  await pass(world, patient, 100);
  assert.equal(lastTold(patient), "open ");
  assert.equal(patient.ended, undefined, "five minutes of pause, and less than its time since");
  const refusals = Object.keys(world.gate.transmissions.totals()).filter((name) => name.startsWith("refused_"));
  assert.deepEqual(refusals, [], "nothing is held against it");
  await pass(world, patient, 30);
  assert.equal(patient.ended, "INGEST_CREDIT_UNUSED", "who hoards what others wait for, when everybody may send, is ended as ever");
});

test("BP-20 neither small demands nor small frames buy a hoarder time: its session ends and its room comes back", async () => {
  for (const [seed, keepUp] of [
    [2, (world: ModelWorld, hoarder: ModelProducer) => wants(world, hoarder, 1)],
    [3, (world: ModelWorld, hoarder: ModelProducer) => world.say(hoarder, hoarder.frame(1))],
  ] as const) {
    const world = new ModelWorld(seed, scarce);
    const hoarder = await holder(world);
    const waiting = await needy(world);
    await pass(world, hoarder, 140, (second) => {
      if (second % 20 === 0) keepUp(world, hoarder);
    });
    assert.equal(hoarder.ended, "INGEST_CREDIT_UNUSED");
    await pass(world, waiting, 1);
    assert.ok(unusedBytes(world, waiting) >= 2 * largest, "its room is another's");
  }
});

test("BP-20 a slow line that carries one full frame after the other keeps its session, however much it was granted", async () => {
  const world = new ModelWorld(4, scarce);
  const slow = await holder(world);
  const hungry = await needy(world);
  await pass(world, slow, 2000, (second) => {
    while (unusedBytes(world, hungry) > 61_000) world.say(hungry, hungry.frame(1, 60_000));
    wants(world, hungry, 2 * largest);
    if (second % 100 !== 0) return;
    world.say(slow, slow.frame(3, 60_000));
    wants(world, slow, 2 * largest);
  });
  assert.equal(slow.ended, undefined);
  assert.ok(!slow.heard.some((message) => message.kind === "throttle" && message.state === "paused"), "no pause helped it");
  assert.ok(unusedBytes(world, slow) > bounds.sessionFloorBytes, "it has not used all that it was granted");
});

test("BP-20 who waits for events that a rate withholds is no hoarder, however much room he holds", async () => {
  const world = new ModelWorld(6, { totalRateEventsPerSecondMax: 1 });
  const [honest, hoarder] = [world.producer(), world.producer()];
  await world.join(honest);
  wants(world, honest, 2 * largest);
  await pass(world, honest, 1);
  await world.join(hoarder);
  world.say(hoarder, { kind: "demand", bytes: 2 * largest, events: 2 * 4096, oldestUs: 0, frameBytes: 0 });
  await pass(world, honest, 1);
  // All events that it has, in a frame that leaves most of its room; the hoarder holds all others that there are.
  world.say(honest, honest.frame(unusedEvents(world, honest)));
  await pass(world, honest, 200, (second) => {
    if (second % 10 === 1) world.say(honest, { kind: "demand", bytes: largest, events: 4096, oldestUs: 0, frameBytes: 0 });
  });
  assert.equal(hoarder.ended, "INGEST_CREDIT_UNUSED");
  assert.equal(honest.ended, undefined);
});

test("BP-20 BP-23 in an overload that lasts, nobody is ended who sends what his credit covers, and everybody gets on", async () => {
  for (const tells of [true, false]) {
    const world = new ModelWorld(8, { bufferBytesMax: 64 * 4096 + 4 * largest });
    const producers = Array.from({ length: 24 }, () => world.producer());
    for (const producer of producers) await world.join(producer);
    const lineBytes = (i: number): number => 30_000 + 1_300 * i;
    const beside = 800;
    const speak = (): void =>
      producers.forEach((producer, i) => {
        const cost = lineBytes(i) + beside;
        while (unusedBytes(world, producer) >= cost) world.say(producer, producer.frame(1, lineBytes(i)));
        const frameBytes = tells ? cost : 0;
        world.say(producer, { kind: "demand", bytes: 20 * cost - unusedBytes(world, producer), events: 20, oldestUs: 0, frameBytes });
      });
    const [first] = producers;
    assert.ok(first !== undefined);
    await pass(world, first, 200, speak);
    assert.deepEqual(new Set(producers.map(({ ended }) => ended)), new Set([undefined]));
    const sent = producers.map(({ seq }, i) => seq * lineBytes(i));
    assert.ok(Math.min(...sent) > Math.max(...sent) / 5, `bytes that each has sent: ${sent.join(" ")}`);
  }
});

test("BP-24 whoever tells what his next frame costs gets whole ones, also where what it may hold is the bound", async () => {
  const world = new ModelWorld(9, { bufferBytesMax: scarce.bufferBytesMax + largest });
  const teller = world.producer();
  await world.join(teller);
  world.say(teller, { kind: "demand", bytes: 4 * largest, events: 100, oldestUs: 0, frameBytes: 70_000 });
  await pass(world, teller, 1);
  assert.equal(unusedBytes(world, teller), 7 * 70_000, "what a session may hold has room for seven");
});

test("BP-23 whoever has held room for a minute and lacks the rest of a frame has his turn before those who waited earlier", async () => {
  const world = new ModelWorld(10, { bufferBytesMax: scarce.bufferBytesMax + largest });
  const [late, bulk, ...others] = Array.from({ length: 5 }, () => world.producer());
  assert.ok(late !== undefined && bulk !== undefined);
  for (const producer of [late, bulk, ...others]) await world.join(producer);
  wants(world, late, 150_000);
  await pass(world, late, 1);
  world.say(bulk, { kind: "demand", bytes: 360_000, events: 100, oldestUs: 0, frameBytes: 10_000 });
  await pass(world, bulk, 1);
  for (const other of others) wants(world, other, 2 * largest);
  const held = unusedBytes(world, late);
  wants(world, late, largest - held);
  await pass(world, late, 70);
  assert.equal(unusedBytes(world, late), held, "there is no room for what it lacks");
  // Room comes back: enough for it and one of the others, not for two of them.
  while (unusedBytes(world, bulk) > 61_000) world.say(bulk, bulk.frame(1, 60_000));
  await pass(world, late, 1);
  assert.equal(unusedBytes(world, late), largest);
});

test("BP-25 in an overload the gate's small appends go one at a time", async () => {
  const world = new ModelWorld(11, scarce);
  const producers = Array.from({ length: 12 }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  const most: number[] = [];
  const [first] = producers;
  assert.ok(first !== undefined);
  await pass(world, first, 20, (second) => {
    for (const producer of producers) {
      while (unusedBytes(world, producer) > 31_000) world.say(producer, producer.frame(1, 30_000));
      wants(world, producer, 2 * largest);
    }
    if (second > 2) most.push(world.pending.filter(({ kind }) => kind === "append").length);
  });
  assert.equal(Math.max(...most), 1);
});

test("BP-17 credit for which nobody waits may lie idle for as long as it likes, and is to be used once somebody does", async () => {
  const world = new ModelWorld(7, scarce);
  const silent = await holder(world);
  await pass(world, silent, 3000);
  assert.equal(silent.ended, undefined);
  await needy(world);
  await pass(world, silent, 110);
  assert.equal(silent.ended, undefined, "its time began with the other's waiting");
  await pass(world, silent, 30);
  assert.equal(silent.ended, "INGEST_CREDIT_UNUSED");
});

test("BP-17 who has used what he was granted and has nothing more to send keeps his floor for ever", async () => {
  const world = new ModelWorld(5);
  const quiet = await holder(world);
  while (unusedBytes(world, quiet) > 4096) world.say(quiet, quiet.frame(1, Math.min(65_000, unusedBytes(world, quiet) - 1024)));
  await pass(world, quiet, 10_000);
  assert.equal(quiet.ended, undefined);
});

test("BP-20 whatever is granted and spent: what is due is never more than was granted beyond the floor, and only spending, or events that the gate owes, put it off", () => {
  const action = fc.record({
    grantBytes: fc.constantFrom(0, 0, 1, 5000, largest, 4 * largest),
    spendBytes: fc.constantFrom(0, 0, 100, 5000, largest / 2, largest),
    ms: fc.integer({ min: 0, max: 60_000 }),
    lacksEvents: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      let account: Account = grant(openAccount(bounds.sessionFloorBytes), { bytes: bounds.sessionFloorBytes, events: 64 });
      let due: CreditDue = { spentBytesTotal: 0, sinceMs: 0 };
      let nowMs = 0;
      for (const { grantBytes, spendBytes, ms, lacksEvents } of actions) {
        nowMs += ms;
        account = grant(account, { bytes: grantBytes, events: 0 });
        const before = due;
        due = nextDue(due, account, bounds, { nowMs, lacksEvents });
        assert.ok(due.spentBytesTotal <= Math.max(0, account.grantedBytesTotal - bounds.sessionFloorBytes));
        if (account.spentBytesTotal < before.spentBytesTotal) {
          assert.equal(due.spentBytesTotal, before.spentBytesTotal, "a grant puts nothing off");
          assert.equal(due.sinceMs, lacksEvents ? nowMs : before.sinceMs);
        }
        const late = overdueMs(due, account, Number.NEGATIVE_INFINITY, nowMs);
        const idle = outstanding(account).bytes <= bounds.sessionFloorBytes;
        assert.ok(late >= 0 && (!idle || late === 0), "the floor alone is nothing to be used");
        assert.equal(overdueMs(due, account, nowMs, nowMs), 0, "not while paused");
        account = hold(account, { bytes: spendBytes, events: 0 }) ?? account;
      }
    }),
  );
});
