/**
 * Why: promises 1 to 3 begin in the producer. Enforces: exactly once and in order, through cuts, crashes, late commits and duplicates.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Demand, type Head, zeroHash } from "ransomeye-ingestion/protocol";
import { timerMsMax } from "ransomeye-kernel";
import { freshMachineState, ProducerMachine, type Signal } from "../src/lib.ts";
import { producer, World } from "./model.ts";
import { keyId } from "./model_keys.ts";
import { costOf } from "../src/send_queue.ts";
import { SendWindow } from "../src/send_window.ts";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

function assertKept(world: World, seed: number): void {
  const replay = `seed ${seed}`;
  assert.equal(world.stopped, undefined, replay);
  assert.deepEqual(world.server.events, upTo(world.eventsMax), `${replay}: every event once, in order`);
  assert.equal(world.server.equivocations, 0, `${replay}: a sequence has one content`);
  assert.equal(world.doubleSettles, 0, `${replay}: a call is answered once`);
  assert.equal(world.earlySettles, 0, `${replay}: a call is answered when its events are durable`);
  assert.equal(world.machine.stats.unsettledFrames, 0, replay);
}

test("promises 1 and 3: exactly once and in order, through cuts, crashes, duplicates and late commits", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const world = new World(seed, 60);
    for (let i = 0; i < 400; i += 1) world.chance(true);
    world.settle();
    assertKept(world, seed);
    assert.equal(world.server.epochsOpened, 1, `seed ${seed}: no epoch is opened but the first`);
  }
});

test("R-5 when the server loses what it had receipted, the spool sends it again", () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const world = new World(`lost ${seed}`, 40);
    for (let i = 0; i < 150; i += 1) world.chance(false);
    const { server } = world;
    // Back to what is in rows: the bus has lost the rest.
    world.cut();
    world.late = [];
    const kept = server.accepted.filter(
      ({ header }) => header.epoch < server.stored.epoch || (header.epoch === server.stored.epoch && header.firstSeq <= server.stored.seq),
    );
    const last = kept.at(-1)?.header;
    if (server.head.epoch > 0)
      server.head = { ...server.head, seq: last === undefined ? 0 : last.firstSeq + last.count - 1, hash: last?.hash ?? zeroHash };
    server.accepted = kept;
    world.settle();
    assert.deepEqual(server.events, upTo(40), `seed ${seed}`);
    assert.equal(server.equivocations, 0);
    assert.equal(server.epochsOpened, 1);
  }
});

test("R-5 X-2 what neither side holds any more is declared a gap, and what follows is signed in a new epoch", () => {
  const world = new World("beyond", 20);
  world.settle();
  const { server } = world;
  const third = server.accepted[2]?.header;
  assert.ok(third);
  const lost = server.head.seq - (third.firstSeq + third.count - 1);
  server.accepted = server.accepted.slice(0, 3);
  server.head = { ...server.head, seq: third.firstSeq + third.count - 1, hash: third.hash };
  world.cut();
  world.connect();
  Object.assign(world, { eventsMax: 30 });
  world.settle();
  const after = server.accepted.slice(3);
  assert.equal(after[0]?.header.kind, "gap");
  assert.equal(after[0]?.header.count, lost);
  assert.deepEqual(after[0]?.header.prevHash, third.hash);
  assert.deepEqual(JSON.parse(after[0]?.payload.toString() ?? ""), {
    reason: "server_lost",
    detail: { epoch: 1, first_seq: third.firstSeq + third.count, last_seq: third.firstSeq + third.count + lost - 1 },
  });
  assert.deepEqual(server.events.slice(-10), upTo(30).slice(20));
  assert.equal(server.head.epoch, 2);
  assert.equal(server.equivocations, 0);
});

test("R-6 with its own state lost a producer opens an epoch and signs only new events", () => {
  const world = new World("own state", 20);
  world.settle();
  world.spool.records = [];
  world.spool.pending = [];
  world.spool.state = undefined;
  world.spool.cursor = { index: 0, cursor: "20" };
  Object.assign(world, { eventsMax: 40 });
  world.crash();
  world.settle();
  assert.deepEqual(world.server.events, upTo(40));
  assert.equal(world.server.head.epoch, 2);
  assert.equal(world.server.equivocations, 0);
});

test("R-6 a head that this chain never signed seals the epoch: what lies within the seal is answered as diverged, the rest is signed anew", () => {
  const world = new World("diverged", 30);
  for (let i = 0; i < 12; i += 1) world.hand();
  for (const step of ["connect", "serve", "deliver", "serve", "deliver", "sync", "sync", "sync"] as const) world[step]();
  const { server } = world;
  // Somebody else with our key was faster: other content at our first sequences.
  server.head = { ...server.head, seq: 7, hash: Buffer.alloc(32, 9) };
  world.cut();
  world.settle();
  const [first] = server.accepted;
  assert.equal(first?.header.epoch, 2);
  assert.deepEqual([first?.header.prevEpoch, first?.header.prevSeq, first?.header.prevHash], [1, 7, Buffer.alloc(32, 9)]);
  assert.ok(world.divergedEvents > 0 && world.divergedEvents <= 7);
  assert.deepEqual(server.events, upTo(30).slice(world.divergedEvents), "only events after the seal are signed anew");
  assert.equal(server.equivocations, 0);
});

test("R-6 a spool restored from an older copy never signs a sequence with other content", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const world = new World(`restored ${seed}`, 40);
    for (let i = 0; i < 120; i += 1) world.chance(false);
    const copy = { records: [...world.spool.records], state: world.spool.state, cursor: world.spool.cursor };
    for (let i = 0; i < 120; i += 1) world.chance(false);
    Object.assign(world.spool, copy, { pending: [] });
    world.crash();
    world.settle();
    assert.equal(world.server.equivocations, 0, `seed ${seed}`);
    assert.equal(new Set(world.server.events).size, 40, `seed ${seed}: none is missing`);
  }
});

test("P-1: a receipt for a sequence or a hash that is not ours settles nothing", () => {
  const world = new World("false receipt", 20);
  for (let i = 0; i < 8; i += 1) world.hand();
  for (const step of ["connect", "serve", "deliver", "serve", "deliver", "sync", "sync", "sync"] as const) world[step]();
  const count = world.machine.stats.unsettledFrames;
  const genuine = world.server.receipt() as Extract<ReturnType<typeof world.server.receipt>, { kind: "receipt" }>;
  for (const change of [{ durableSeq: 1, chainHash: Buffer.alloc(32, 1) }, { durableSeq: 500 }, { epoch: 2, durableSeq: 1 }]) {
    const effects = world.machine.step({ kind: "message", message: { ...genuine, ...change } }, { ms: 1, us: 1 });
    assert.deepEqual(
      effects.filter(({ kind }) => kind === "disconnect").map((effect) => "code" in effect && effect.code),
      ["SDK_RECEIPT_INVALID"],
    );
    assert.ok(!effects.some(({ kind }) => kind === "settle"));
  }
  assert.equal(world.machine.stats.unsettledFrames, count);
});

test("R-6 a newer epoch of another holder fences a producer for good: it stops and opens none", () => {
  const world = new World("fenced", 20);
  world.settle();
  world.server.openEpoch(1);
  world.cut();
  world.settle();
  assert.match(world.stopped ?? "", /^SDK_FENCED/);
  assert.equal(world.server.epochsOpened, 2);
});

test("R-6 a producer that asks for epoch after epoch is stopped", () => {
  const head = (epoch: number): Head => ({ epoch, seq: 9, hash: Buffer.alloc(32, 9), prevEpoch: 0, prevSeq: 0, prevHash: zeroHash });
  const machine = new ProducerMachine(producer, keyId, 1, { ...freshMachineState, reopenedUs: [1, 2, 3, 4, 5] });
  const now = { ms: 1, us: 1000 };
  machine.step({ kind: "start" }, now);
  machine.step({ kind: "connected" }, now);
  const welcome = { ...new World(1, 1).server.welcome({ bytes: 0, events: 0 }), head: head(7) } as Extract<
    Signal,
    { kind: "message" }
  >["message"];
  assert.ok(
    machine.step({ kind: "message", message: welcome }, now).some((effect) => effect.kind === "stop" && effect.code === "SDK_EPOCH_LIMIT"),
  );
});

test("R-37 a gap is answered by going back to the expected sequence, once for all frames in flight", () => {
  const world = new World("gap", 30);
  for (let i = 0; i < 12; i += 1) world.hand();
  for (const step of ["connect", "serve", "deliver", "serve", "deliver", "sync", "sync", "sync"] as const) world[step]();
  for (let i = 0; i < 30; i += 1) {
    world.credit();
    world.deliver();
  }
  for (let i = 0; i < 40; i += 1) world.transmit();
  const inFlight = world.toServer.length;
  assert.ok(inFlight > 4);
  // One frame in the middle never reaches the server's judgement.
  world.toServer.splice(2, 1);
  for (let i = 0; i < inFlight - 1; i += 1) world.serve();
  const rejects = world.toClient.filter((message) => message.kind === "reject").length;
  assert.equal(rejects, inFlight - 3);
  // Resending begins between the first Reject and the others.
  while (world.toClient.length > 0) {
    world.deliver();
    world.transmit();
  }
  for (let i = 0; i < 100; i += 1) world.transmit();
  assert.ok(world.toServer.length <= inFlight, "sent again once, not once for each reject");
  world.settle();
  assertKept(world, 0);
});

test("R-37 a server that expects what it has receipted before is not believed in the middle of a session", () => {
  const world = new World("back", 90);
  for (let i = 0; i < 8; i += 1) world.hand();
  for (let i = 0; i < 60; i += 1) {
    world.sync();
    world.connect();
    world.transmit();
    world.serve();
    world.deliver();
    world.credit();
  }
  const { head } = world.server;
  assert.equal(world.machine.stats.unsettledFrames, 0);
  for (let i = 0; i < 20 && world.toServer.length === 0; i += 1) {
    world.hand();
    world.sync();
    world.credit();
    world.deliver();
    world.transmit();
  }
  const [first] = world.server.accepted;
  assert.ok(first);
  const expected = { ...head, seq: first.header.count, hash: first.header.hash };
  const message = {
    kind: "reject",
    epoch: 1,
    firstSeq: head.seq + 1,
    lastSeq: head.seq + 1,
    code: "INGEST_SEQUENCE_GAP",
    message: "",
    next: "resend",
    expected,
  } as const;
  const effects = world.machine.step({ kind: "message", message }, { ms: 1, us: 1 });
  assert.deepEqual(
    effects.map((effect) => ("code" in effect ? effect.code : effect.kind)),
    ["SDK_HISTORY_DIVERGED"],
  );
});

test("BP-24 R-14 nothing is sent beyond the credit; what waits is told once and again when credit came, with what the next frame costs", () => {
  const world = new World("credit", 30);
  const { server } = world;
  for (let i = 0; i < 10; i += 1) world.hand();
  world.connect();
  const demands: Demand[] = [];
  const step = (signal: Signal): void => {
    for (const effect of world.machine.step(signal, { ms: 1, us: 1 })) {
      if (effect.kind === "demand") demands.push(effect);
      if (effect.kind === "send") assert.fail("sent without credit");
      if (effect.kind === "sign")
        for (const link of effect.links)
          world.spool.pending.push({ type: "link", index: link.index, signed: { header: link.header, signature: Buffer.alloc(64) } });
    }
  };
  step({ kind: "message", message: server.welcome({ bytes: 0, events: 0 }) });
  step({ kind: "message", message: server.openEpoch(0) });
  for (let i = 0; i < 3; i += 1) for (const signal of world.spool.sync()) step(signal);
  step({ kind: "tick" });
  assert.equal(demands.length, 1);
  step({ kind: "message", message: { kind: "credit", bytesTotal: 10, eventsTotal: 1, lingerMs: 5 } });
  assert.equal(demands.length, 2);
  assert.equal((demands[0]?.bytes ?? 0) - (demands[1]?.bytes ?? 0), 10);
  const [told] = demands;
  assert.ok(told !== undefined && told.frameBytes < told.bytes);
  // What it says that its next frame costs is what it sends it for, and not a byte less.
  const { frameBytes: bytes, events } = told;
  step({ kind: "message", message: { kind: "credit", bytesTotal: bytes - 1, eventsTotal: events, lingerMs: 5 } });
  const sent = world.machine
    .step({ kind: "message", message: { kind: "credit", bytesTotal: bytes, eventsTotal: events, lingerMs: 5 } }, { ms: 1, us: 1 })
    .filter(({ kind }) => kind === "send");
  assert.equal(sent.length, 1);
});

test("however long a gateway pauses, the shell can set the timer, and the pause is over when it strikes", () => {
  const window = new SendWindow();
  for (const retryAfterMs of [0, 100, 0xffff_ffff]) {
    window.throttled({ state: "paused", reason: "disk", retryAfterMs }, 5);
    const afterMs = window.pauseMs(5);
    assert.ok(afterMs < timerMsMax, String(afterMs));
    assert.equal(window.paused(5), afterMs > 0);
    assert.equal(window.paused(5 + afterMs), false);
  }
});

test("PAUSED is respected until its time is over; Goodbye's time is honoured", () => {
  const world = new World("paused", 5);
  world.settle();
  Object.assign(world, { eventsMax: 10 });
  world.signal({ kind: "message", message: { kind: "throttle", state: "paused", reason: "disk", retryAfterMs: 100 } });
  world.credit();
  world.deliver();
  world.hand();
  world.sync();
  const before = world.toServer.length;
  world.transmit();
  assert.equal(world.toServer.length, before);
  for (let i = 0; i < 120; i += 1) world.signal({ kind: "tick" });
  world.transmit();
  assert.equal(world.toServer.length, before + 1);
  const effects = world.machine.step(
    { kind: "message", message: { kind: "goodbye", code: "INGEST_DRAINING", message: "", comeBackAfterMs: 5000 } },
    { ms: 1, us: 1 },
  );
  assert.equal(effects[0]?.kind, "disconnect");
  const next = world.machine.step({ kind: "disconnected", code: "SDK_DISCONNECTED", detail: "" }, { ms: 1, us: 1 });
  assert.ok(next.some((effect) => effect.kind === "connect" && effect.afterMs === 5000 && effect.attempt >= 1));
});

test("a frame that an operator must look at stops the producer; it does not connect again", () => {
  const world = new World("stop", 5);
  world.settle();
  world.signal({
    kind: "message",
    message: { kind: "reject", epoch: 1, firstSeq: 1, lastSeq: 1, code: "INGEST_SEQUENCE_CONFLICT", message: "", next: "stop" },
  });
  assert.match(world.stopped ?? "", /^SDK_REFUSED/);
  assert.deepEqual(world.machine.step({ kind: "disconnected", code: "SDK_DISCONNECTED", detail: "" }, { ms: 1, us: 1 }), []);
});

test("the machine is total: any signal in any phase is answered, never thrown", () => {
  const hash = fc.constantFrom(zeroHash, Buffer.alloc(32, 1));
  const small = fc.integer({ min: 0, max: 4 });
  const head = fc.record({ epoch: small, seq: small, hash, prevEpoch: small, prevSeq: small, prevHash: hash });
  const base = new World(1, 1).server;
  const message = fc.oneof(
    head.map((h) => ({ ...base.welcome({ bytes: 5000, events: 50 }), head: h })),
    fc.record({ kind: fc.constant("epochOpened" as const), epoch: small, prevEpoch: small, prevSeq: small, prevHash: hash }),
    fc
      .record({ epoch: small, durableSeq: small, chainHash: hash, storedEpoch: small, storedSeq: small })
      .map((r) => ({ ...base.receipt(), ...r })),
    fc.record({ kind: fc.constant("stored" as const), epoch: small, seq: small }),
    fc.record({ kind: fc.constant("credit" as const), bytesTotal: fc.nat(9999), eventsTotal: fc.nat(99), lingerMs: small }),
    fc.record({
      kind: fc.constant("throttle" as const),
      state: fc.constantFrom("open" as const, "paused" as const),
      reason: fc.constant(""),
      retryAfterMs: small,
    }),
    fc.record({
      kind: fc.constant("reject" as const),
      epoch: small,
      firstSeq: small,
      lastSeq: small,
      code: fc.constant("X"),
      message: fc.constant(""),
      next: fc.constantFrom("resend", "wait", "reconnect", "?"),
      expected: fc.option(head, { nil: undefined }),
    }),
    fc.record({ kind: fc.constant("goodbye" as const), code: fc.constant("X"), message: fc.constant(""), comeBackAfterMs: small }),
    fc.constant({ kind: "unknown" as const }),
  );
  const batch = {
    kind: "events" as const,
    count: 1,
    payloadBytes: 9,
    payloadHash: Buffer.alloc(32, 3),
    schemaVersion: 1,
    mappingVersion: 0,
  };
  const signal: fc.Arbitrary<Signal> = fc.oneof(
    fc.constantFrom<Signal>(
      { kind: "start" },
      { kind: "connected" },
      { kind: "connected" },
      { kind: "sent" },
      { kind: "tick" },
      { kind: "disconnected", code: "SDK_DISCONNECTED", detail: "" },
    ),
    fc.constant<Signal>({ kind: "batch", batch, pendingEvents: 0 }),
    fc.integer({ min: 0, max: 9 }).map((through): Signal => ({ kind: "durable", through })),
    fc.integer({ min: 0, max: 999 }).map((bytes): Signal => ({ kind: "squeeze", bytes })),
    message.map((m): Signal => ({ kind: "message", message: m })),
  );
  fc.assert(
    fc.property(fc.array(signal, { maxLength: 60 }), (signals) => {
      const machine = new ProducerMachine(producer, keyId, 1);
      for (const one of signals) {
        // A shell signs what it is told to, at once.
        for (const effect of machine.step(one, { ms: 1, us: 1 }))
          if (effect.kind === "sign") machine.step({ kind: "signed", links: effect.links }, { ms: 1, us: 1 });
        const { pendingBytes, pendingEvents, frames, unsettledFrames } = machine.stats;
        assert.ok(pendingBytes >= 0 && pendingEvents >= 0 && unsettledFrames >= 0 && unsettledFrames <= frames);
      }
    }),
    { numRuns: 500 },
  );
});

test("R-14 a frame costs its events, and a gap one, however many it declares lost: credit is granted by the frame", () => {
  const cost = (kind: "events" | "gap"): number => costOf({ kind, payloadBytes: 40, count: 1_000_000 }).events;
  assert.deepEqual([cost("events"), cost("gap")], [1_000_000, 1]);
});
