/**
 * Why: signals, rates and quarantine only help if the gate as a whole acts on them.
 * Enforces: ING-6 and ING-8 at the heart: what producers are told and granted, what is appended, who is closed out.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { outstanding } from "../src/buffer.ts";
import { modelConfig, type ModelProducer, ModelWorld } from "./gate_model.ts";

const mib = 1024 * 1024;
const frameBytes = 262_144 + 512 + 64;

/** Lets time pass in ticks. */
function pass(world: ModelWorld, ms: number): void {
  for (let i = 0; i < ms; i += 100) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs: 0 });
  }
}

function lastTold(producer: ModelProducer): string {
  const told = producer.heard.findLast(({ kind }) => kind === "throttle");
  return told?.kind === "throttle" ? `${told.state} ${told.reason}` : "nothing";
}

const wants = (world: ModelWorld, producer: ModelProducer, bytes: number): void =>
  world.say(producer, { kind: "demand", bytes, events: 4000, oldestUs: 0, frameBytes: 0 });

test("BP-11 BP-13 an engine that has stopped pauses producers with the reason, and its return opens by a ramp", async () => {
  const world = new ModelWorld(1);
  const producers = Array.from({ length: 20 }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  world.busPressure = { ...world.busPressure, backlogMs: 31_000, backlogEntries: 10 };
  pass(world, 2000);
  const before = world.gate.figures().reservedBytes;
  for (const producer of producers) wants(world, producer, 4 * mib);
  for (const producer of producers) assert.equal(lastTold(producer), "paused engine_lag");
  pass(world, 2000);
  assert.equal(world.gate.figures().reservedBytes, before, "nothing is granted while paused");
  world.busPressure = { ...world.busPressure, backlogMs: 0, backlogEntries: 0 };
  const granted: number[] = [];
  for (let second = 0; second < 8; second += 1) {
    pass(world, 1000);
    granted.push(world.gate.figures().reservedBytes - before);
  }
  assert.ok((granted[0] ?? 0) > 0 && (granted[0] ?? 0) <= 2 * 4 * frameBytes, `begins small: ${granted.join(" ")}`);
  assert.ok(
    granted.every((bytes, i) => bytes <= 4 * frameBytes * 2 ** (i + 1)),
    `doubles at most: ${granted.join(" ")}`,
  );
  assert.ok((granted.at(-1) ?? 0) > (granted[0] ?? 0), "and does grow");
});

test("BP-12 R-14 no more is in flight than the bus has leased, and nothing once the lease has run out", async () => {
  const world = new ModelWorld(2);
  world.busPressure = { ...world.busPressure, inFlightBytesMax: 3 * 1024 };
  const producers = Array.from({ length: 8 }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  for (const producer of producers) world.say(producer, producer.frame(1, 900));
  const appends = world.pending.filter(({ kind }) => kind === "append");
  const bytes = appends
    .flatMap((effect) => (effect.kind === "append" ? effect.batch.entries : []))
    .reduce((sum, { frame }) => sum + frame.cost.bytes, 0);
  assert.ok(appends.length > 0 && bytes <= 3 * 1024, `${bytes} bytes`);
  world.busPressure = { ...world.busPressure, leaseMs: 0 };
  pass(world, 1100);
  await world.answerAll();
  assert.equal(world.pending.length, 0, "what is queued waits for a lease");
  assert.ok(world.gate.figures().heldBytes > 0);
  world.busPressure = { ...world.busPressure, leaseMs: 3000 };
  pass(world, 1100);
  await world.answerAll();
  assert.equal(world.gate.figures().heldBytes, 0);
});

test("BP-6 step 4: a kind beyond its rate waits, is told so, and keeps no other kind waiting", async () => {
  const slow = { weight: 1, rateEventsPerSecondMax: 100, rateBytesPerSecondMax: 100_000 };
  const world = new ModelWorld(3, { kinds: { ...modelConfig.kinds, windows: slow } });
  const linux = world.producer();
  const windows = [world.producer("windows"), world.producer("windows"), world.producer("windows")];
  for (const producer of [linux, ...windows]) await world.join(producer);
  for (const producer of [...windows, linux]) wants(world, producer, 2 * mib);
  pass(world, 200);
  const held = windows.reduce((sum, { session }) => sum + outstanding(world.gate.session(session)?.account ?? never()).bytes, 0);
  assert.ok(held <= 2 * frameBytes + 3 * 4096, `the kind holds ${held} bytes, its burst and its floors at most`);
  assert.ok(windows.some((producer) => lastTold(producer) === "throttled kind_rate"));
  assert.equal(lastTold(linux), "nothing");
  assert.ok(outstanding(world.gate.session(linux.session)?.account ?? never()).bytes >= frameBytes);
});

/** Sends all that its credit covers, in frames of this many bytes. */
async function useUp(world: ModelWorld, producer: ModelProducer, lineBytes: number): Promise<void> {
  for (;;) {
    const free = outstanding(world.gate.session(producer.session)?.account ?? never());
    if (free.bytes < lineBytes + 1024 || free.events < 1) return;
    world.say(producer, producer.frame(1, lineBytes));
    await world.answerAll();
  }
}

for (const [what, config, reason] of [
  [
    "a kind's",
    { kinds: { ...modelConfig.kinds, linux: { weight: 1, rateEventsPerSecondMax: 1e6, rateBytesPerSecondMax: 100_000 } } },
    "kind_rate",
  ],
  ["the whole gate's", { totalRateBytesPerSecondMax: 100_000 }, "total_rate"],
  ["a producer's", { rateBytesPerSecondMax: 100_000 }, "rate"],
] as const) {
  test(`BP-6 step 4: ${what} bucket that is empty fills with time, and who was told to wait is told that it is over`, async () => {
    const world = new ModelWorld(9, config);
    const producer = world.producer();
    await world.join(producer);
    const joinedMs = world.nowMs;
    const spent = (): number => world.gate.session(producer.session)?.account.spentBytesTotal ?? never();
    for (let nth = 0; nth < 4; nth += 1) {
      wants(world, producer, 2 * mib);
      pass(world, 100);
      await useUp(world, producer, 100_000);
    }
    const burst = spent();
    assert.ok(burst > 3 * 100_000 && burst <= 2 * frameBytes + 4096, `${burst} bytes at once: the burst`);
    assert.equal(lastTold(producer), `throttled ${reason}`);
    for (let second = 0; second < 30; second += 1) {
      wants(world, producer, 2 * mib);
      pass(world, 1000);
      await useUp(world, producer, 100_000);
    }
    const seconds = (world.nowMs - joinedMs) / 1000;
    assert.ok(spent() - burst > 20 * 100_000, `${spent()} bytes: it goes on, at its rate`);
    assert.ok(spent() <= 2 * frameBytes + 4096 + seconds * 100_000, `${spent()} bytes in ${seconds} s: and at no more`);
    wants(world, producer, 0);
    pass(world, 10_000);
    wants(world, producer, 1000);
    assert.equal(lastTold(producer), "open ", "its wait is over, and it knows");
  });
}

test("BP-8 while the gate is pressed as a whole, nobody is told of his own rate instead", async () => {
  const world = new ModelWorld(10, { rateBytesPerSecondMax: 100_000 });
  const producer = world.producer();
  await world.join(producer);
  world.busPressure = { ...world.busPressure, backlogMs: 20_000 };
  pass(world, 1500);
  for (let nth = 0; nth < 8; nth += 1) {
    wants(world, producer, 2 * mib);
    pass(world, 200);
    await useUp(world, producer, 100_000);
  }
  assert.equal(lastTold(producer), "throttled engine_lag");
});

test("BP-8 who is paused is told when to ask again: as the bus says, and not before a second; who is not paused waits for nothing", async () => {
  const world = new ModelWorld(11);
  const producer = world.producer();
  await world.join(producer);
  const retry = (): number => {
    const told = producer.heard.findLast(({ kind }) => kind === "throttle");
    return told?.kind === "throttle" ? told.retryAfterMs : -1;
  };
  for (const [retryAfterMs, expectedMs] of [
    [7000, 7000],
    [10, 1000],
  ] as const) {
    world.busPressure = { ...world.busPressure, paused: "disk_floor", retryAfterMs };
    pass(world, 1500);
    wants(world, producer, 2 * mib);
    assert.deepEqual([lastTold(producer), retry()], ["paused disk_floor", expectedMs]);
    world.busPressure = { ...world.busPressure, paused: null };
    pass(world, 1500);
    assert.deepEqual([lastTold(producer), retry()], ["open ", 0]);
  }
});

test("BP-10 appends that get no answer pause the gate, and the next one that does opens it", async () => {
  const world = new ModelWorld(12);
  const producer = world.producer();
  await world.join(producer);
  world.say(producer, producer.frame(1));
  for (let failed = 0; failed < 3; failed += 1) {
    while (world.pending[0]?.kind !== "append") {
      await world.answer();
      pass(world, 100);
      assert.ok(world.nowMs < 60_000, "it is tried again");
    }
    const append = world.pending.shift();
    assert.ok(append?.kind === "append");
    world.step({ kind: "appendFailed", batch: append.batch.id, code: "BUS_UNAVAILABLE" });
    assert.equal(lastTold(producer), failed === 0 ? "nothing" : "paused bus_unavailable");
  }
  pass(world, 5000);
  await world.answerAll();
  pass(world, 100);
  assert.equal(lastTold(producer), "open ");
});

test("P-5 R-14 what is granted on demand never takes the floors of sessions that are yet to come", async () => {
  const world = new ModelWorld(13, { sessionsMax: 1000, bufferBytesMax: 8 * mib });
  const greedy = Array.from({ length: 20 }, () => world.producer());
  for (const producer of greedy) await world.join(producer);
  for (let nth = 0; nth < 20; nth += 1) {
    for (const producer of greedy) wants(world, producer, 8 * mib);
    pass(world, 200);
  }
  assert.ok(world.gate.figures().reservedBytes > 3 * mib, "they did get what there is");
  for (let late = 20; late < 1000; late += 1) {
    const producer = world.producer();
    await world.join(producer);
    assert.equal(producer.ended, undefined);
    assert.equal(producer.creditBytesTotal, 4096);
  }
});

test("BP-6 step 4: floors of idle sessions are no use of a rate", async () => {
  const slow = { weight: 1, rateEventsPerSecondMax: 1, rateBytesPerSecondMax: 100_000 };
  const world = new ModelWorld(8, { sessionsMax: 400, kinds: { ...modelConfig.kinds, linux: slow } });
  // Floors of 64 events each would use up a burst of two frames' events many times over.
  for (let i = 0; i < 200; i += 1) await world.join(world.producer());
  const late = world.producer();
  await world.join(late);
  wants(world, late, 300_000);
  pass(world, 200);
  assert.ok(outstanding(world.gate.session(late.session)?.account ?? never()).events > 64, "the first who asks is served");
});

test("BP-6 step 4: the whole gate's rate bounds what all hold together", async () => {
  const world = new ModelWorld(4, { totalRateBytesPerSecondMax: 100_000 });
  const producers = Array.from({ length: 5 }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  for (const producer of producers) wants(world, producer, 2 * mib);
  pass(world, 200);
  const held = producers.reduce((sum, { session }) => sum + outstanding(world.gate.session(session)?.account ?? never()).bytes, 0);
  assert.ok(held <= 2 * frameBytes + 5 * 4096, `${held} bytes`);
  assert.ok(producers.some((producer) => lastTold(producer) === "throttled total_rate"));
});

test("BP-18 ING-8 a producer that keeps breaking the rules is closed, refused for a while, alarmed and listed; then it may try again (FM-1)", async () => {
  const world = new ModelWorld(5);
  const flooder = world.producer();
  const honest = world.producer();
  await world.join(honest);
  for (let i = 0; i < 9; i += 1) {
    await world.join(flooder);
    world.say(flooder, flooder.frame(64, 1000));
    assert.ok(flooder.ended === "INGEST_CREDIT_EXCEEDED" || flooder.ended === "INGEST_QUARANTINED", flooder.ended);
  }
  world.nowMs += 0.45;
  await world.join(flooder);
  assert.equal(flooder.ended, "INGEST_QUARANTINED");
  assert.ok(world.notes.includes("producer_quarantined"));
  assert.deepEqual(
    world.gate.figures().quarantined.map(({ producer, code }) => [producer, code]),
    [[flooder.identity.producer, "INGEST_CREDIT_EXCEEDED"]],
  );
  assert.equal(honest.ended, undefined);
  pass(world, 61_000);
  await world.join(flooder);
  assert.equal(flooder.ended, undefined);
  assert.deepEqual(world.gate.figures().quarantined, []);
});

test("BP-14 a fleet that is sent away is told to come back one by one", async () => {
  const world = new ModelWorld(7);
  const producers = Array.from({ length: 50 }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  world.step({ kind: "drain" });
  const times = producers.map(({ ended, comeBackAfterMs }) => {
    assert.equal(ended, "INGEST_DRAINING");
    assert.ok(comeBackAfterMs >= 0 && comeBackAfterMs <= 5000);
    return comeBackAfterMs;
  });
  assert.ok(new Set(times).size > 40, "not all at one moment");
  assert.ok(Math.max(...times) - Math.min(...times) > 2500, "over the whole time");
});

test("BP-16 R-15 under load a kind that speaks for many gathers shorter, by its weight", async () => {
  const world = new ModelWorld(6, { kinds: { ...modelConfig.kinds, dpi: { ...modelConfig.kinds.dpi, weight: 4 } } });
  const linux = world.producer();
  const dpi = world.producer("dpi");
  const lingerOf = (producer: ModelProducer): number => {
    const told = producer.heard.findLast(({ kind }) => kind === "welcome" || kind === "credit");
    return told?.kind === "welcome" || told?.kind === "credit" ? told.lingerMs : -1;
  };
  await world.join(linux);
  for (let second = 0; second < 5; second += 1) {
    for (let i = 0; i < 3000; i += 1) {
      wants(world, linux, 64_000);
      world.say(linux, linux.frame(1, 8));
      if (i % 200 === 0) await world.answerAll();
    }
    pass(world, 1000);
    await world.answerAll();
  }
  await world.join(dpi);
  assert.ok(lingerOf(linux) > 20, `linger is ${lingerOf(linux)}`);
  assert.equal(lingerOf(dpi), Math.max(20, Math.round(world.gate.figures().lingerMs / 4)));
});

function never(): never {
  throw new Error("the session is gone");
}
