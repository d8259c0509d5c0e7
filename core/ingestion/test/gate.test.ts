/**
 * Why: what the gate promises must hold for every order of events, not for those that a socket happens to produce.
 * Enforces: the session machine is total; receipts only after the append; credit and room on random histories; one session per producer;
 *   everything that concerns several sessions at once.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { seededRandom } from "ransomeye-kernel";
import { outstanding, reservation } from "../src/buffer.ts";
import { toAppend } from "../src/dispatcher.ts";
import { openSession, step, transitions } from "../src/session.ts";
import type { Phase, SessionContext, SignalKind } from "../src/session_state.ts";
import { ed25519Sign, openEpochBytes } from "../protocol/lib.ts";
import { gatewaySettings } from "../config/validation.ts";
import { ModelProducer, modelConfig, modelIncarnation, ModelWorld } from "./gate_model.ts";

test("style 5: every phase answers every signal, and the same signals", () => {
  const phases: Phase[] = ["greeting", "resuming", "streaming", "sealing", "draining", "ended"];
  const kinds = Object.keys(transitions.ended).sort();
  for (const phase of phases) assert.deepEqual(Object.keys(transitions[phase]).sort(), kinds);
});

test("an ended session says nothing more, whatever happens", () => {
  const settings = gatewaySettings("model", modelConfig);
  const producer = new ModelProducer(seededRandom(1));
  const context = { nowMs: 0, nowUs: 0, settings } as SessionContext;
  const session = Object.freeze({ ...openSession(1, producer.identity, Buffer.alloc(32), undefined, context), phase: "ended" as const });
  for (const kind of Object.keys(transitions.ended) as SignalKind[]) {
    const { effects } = step(session, { kind, results: [] } as never, context);
    assert.deepEqual(effects, [], kind);
  }
});

test("P-1: no receipt leaves before the bus has answered accepted or duplicate", async () => {
  const world = new ModelWorld(1);
  const producer = world.producer();
  await world.join(producer);
  world.say(producer, producer.frame(2));
  world.say(producer, producer.frame(1));
  for (let i = 0; i < 20; i += 1) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs: 0 });
  }
  assert.ok(!producer.heard.some(({ kind }) => kind === "receipt"));
  await world.answerAll();
  const receipts = producer.heard.filter((message) => message.kind === "receipt");
  assert.equal(receipts.at(-1)?.durableSeq, 3);
});

test("one append in flight per partition; what queues behind it goes as one group (IF-7)", async () => {
  const world = new ModelWorld(2);
  const producer = world.producer();
  await world.join(producer);
  for (let i = 0; i < 5; i += 1) world.say(producer, producer.frame(1));
  assert.equal(world.pending.filter(({ kind }) => kind === "append").length, 1);
  await world.answer();
  const group = world.pending.find((effect) => effect.kind === "append");
  assert.ok(group?.kind === "append" && group.batch.entries.length === 4);
});

test("R-13 a revoked producer's waiting frames never reach the bus; what is in flight is answered", async () => {
  const world = new ModelWorld(3);
  const producer = world.producer();
  await world.join(producer);
  for (let i = 0; i < 3; i += 1) world.say(producer, producer.frame(1));
  world.entries.set(producer.identity.producer, { ...producer.entry, status: "revoked" });
  world.step({ kind: "directory", producers: [producer.identity.producer] });
  assert.equal(producer.ended, "INGEST_PRODUCER_REVOKED");
  await world.answerAll();
  assert.equal((await world.bus.headsOf([producer.identity.producer])).get(producer.identity.producer)?.seq, 1);
  assert.equal(world.gate.figures().heldBytes, 0);
  assert.equal(world.gate.figures().reservedBytes, 0);
});

test("R-37 a wrong expectation is reset once: late answers to frames sent before the reset move nothing", async () => {
  const world = new ModelWorld(8);
  const producer = world.producer();
  await world.join(producer);
  const [first, second, third] = [producer.frame(1), producer.frame(1), producer.frame(1)];
  for (const message of [first, second, third]) world.say(producer, message);
  const head = (await world.bus.headsOf([producer.identity.producer])).get(producer.identity.producer);
  assert.ok(head !== undefined && head.seq === 0);
  const refuse = (): void => {
    const effect = world.pending.shift();
    assert.ok(effect?.kind === "append");
    world.step({ kind: "appended", batch: effect.batch.id, outcomes: effect.batch.entries.map(() => ({ kind: "gap", head })) });
  };
  // The bus says gap (say, it was restored meanwhile); the producer goes back while two of its frames are still in flight.
  refuse();
  world.say(producer, first);
  refuse();
  assert.ok(!producer.heard.some((message) => message.kind === "receipt"), "nothing was stored, so nothing is receipted");
  world.say(producer, second);
  world.say(producer, third);
  await world.answerAll();
  assert.equal(producer.heard.filter((message) => message.kind === "reject").length, 3);
  const receipt = producer.heard.findLast((message) => message.kind === "receipt");
  assert.ok(receipt?.kind === "receipt" && receipt.durableSeq === 3);
});

test("R-37 a refused frame gives its room back (IF-3)", async () => {
  const world = new ModelWorld(9);
  const producer = world.producer();
  await world.join(producer);
  producer.frame(1);
  world.say(producer, producer.frame(1));
  assert.ok(producer.heard.some((message) => message.kind === "reject" && message.code === "INGEST_SEQUENCE_GAP"));
  assert.equal(world.gate.figures().heldBytes, 0);
});

test("R-6 an epoch is opened only when nothing is in flight", async () => {
  const world = new ModelWorld(4);
  const producer = world.producer();
  await world.join(producer);
  world.say(producer, producer.frame(1));
  const signature = ed25519Sign(openEpochBytes(producer.identity.producer, 1, producer.nonce), producer.key);
  world.say(producer, {
    kind: "openEpoch",
    expectedEpoch: 1,
    keyId: Buffer.from(producer.keyId, "hex"),
    signature,
    sessionNonce: producer.nonce,
  });
  assert.ok(!world.pending.some(({ kind }) => kind === "openEpoch"));
  await world.answer();
  assert.ok(world.pending.some(({ kind }) => kind === "openEpoch"));
  await world.answerAll();
  const opened = producer.heard.findLast((message) => message.kind === "epochOpened");
  assert.ok(opened?.kind === "epochOpened" && opened.epoch === 2 && opened.prevSeq === 1);
});

test("R-5 a head is asked for again while frames wait for their rows, and only then", async () => {
  const world = new ModelWorld(8);
  const producer = world.producer();
  await world.join(producer);
  const asked = (seconds: number): boolean => {
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      world.nowMs += 100;
      world.step({ kind: "tick", registryAgeMs: 0 });
      if (world.pending.some(({ kind }) => kind === "readHeads")) return true;
    }
    return false;
  };
  assert.ok(!asked(10), "an epoch without frames has nothing to store");
  world.say(producer, producer.frame(2));
  await world.answerAll();
  assert.ok(asked(1));
  const stored = async (storedSeq: number): Promise<void> => {
    const asks = world.pending.shift();
    assert.ok(asks?.kind === "readHeads");
    const head = (await world.bus.headsOf([producer.identity.producer])).get(producer.identity.producer);
    assert.ok(head !== undefined);
    world.step({
      kind: "headsRead",
      asked: asks.producers,
      heads: new Map([[producer.identity.producer, { ...head, storedEpoch: 1, storedSeq }]]),
    });
  };
  await stored(1);
  assert.ok(asked(1), "one of two events is a row");
  await stored(2);
  assert.ok(!asked(10), "all is stored");
  assert.deepEqual(
    producer.heard.flatMap((message) => (message.kind === "stored" ? [message.seq] : [])),
    [1, 2],
  );
});

test("deadlines: Hello, a silent peer, and credit that nobody uses (IF-11, TL-12)", async () => {
  const world = new ModelWorld(5, { bufferBytesMax: 64 * 4096 + 3 * (262_144 + 512 + 64) });
  const mute = world.producer();
  mute.session = 900;
  world.producers.set(900, mute);
  world.step({ kind: "opened", session: 900, identity: mute.identity, nonce: Buffer.alloc(32) });
  const silent = world.producer();
  await world.join(silent);
  const hoarder = world.producer();
  await world.join(hoarder);
  world.say(hoarder, { kind: "demand", bytes: 500_000, events: 10, oldestUs: 0, frameBytes: 0 });
  assert.ok(hoarder.creditBytesTotal > 400_000);
  const waiting = world.producer();
  await world.join(waiting);
  world.say(waiting, { kind: "demand", bytes: 500_000, events: 10, oldestUs: 0, frameBytes: 0 });
  for (let second = 0; second < 150; second += 1) {
    world.nowMs += 1000;
    for (const { session, ended } of [hoarder, waiting]) if (ended === undefined) world.step({ kind: "ponged", session });
    world.step({ kind: "tick", registryAgeMs: 0 });
  }
  assert.deepEqual([mute.ended, silent.ended, hoarder.ended], ["INGEST_HELLO_TIMEOUT", "INGEST_PEER_SILENT", "INGEST_CREDIT_UNUSED"]);
});

test("R-13 while the registry is stale sessions end paced, and it is said once", async () => {
  const world = new ModelWorld(6);
  const all: ModelProducer[] = [];
  for (let i = 0; i < 60; i += 1) {
    const producer = world.producer();
    await world.join(producer);
    all.push(producer);
  }
  world.nowMs += 100;
  world.step({ kind: "tick", registryAgeMs: 70_000 });
  const gone = (): number => all.filter(({ ended }) => ended === "INGEST_REGISTRY_STALE").length;
  assert.ok(gone() > 0 && gone() < 60);
  for (let i = 0; i < 100; i += 1) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs: 70_000 });
  }
  assert.equal(gone(), 60);
  assert.equal(world.notes.filter((name) => name === "registry_stale").length, 1);
});

test("BP-7 a rate survives the session: leaving and coming back refills nothing", async () => {
  const world = new ModelWorld(7, { rateBytesPerSecondMax: 65_536, rateEventsPerSecondMax: 1000 });
  const producer = world.producer();
  await world.join(producer);
  let spent = 0;
  for (;;) {
    world.say(producer, { kind: "demand", bytes: 60_000, events: 10, oldestUs: 0, frameBytes: 0 });
    if (producer.creditBytesTotal - spent < 50_000) break;
    const frame = producer.frame(10, 4000);
    spent += frame.header.length + frame.signature.length + frame.payload.length;
    world.say(producer, frame);
    await world.answerAll();
  }
  world.step({ kind: "lost", session: producer.session });
  await world.join(producer);
  assert.ok(producer.creditBytesTotal < 60_000);
  world.say(producer, { kind: "demand", bytes: 500_000, events: 10, oldestUs: 0, frameBytes: 0 });
  assert.ok(producer.creditBytesTotal < 60_000, "still over its rate");
  const told = producer.heard.find((message) => message.kind === "throttle");
  assert.ok(told?.kind === "throttle" && told.reason === "rate");
});

type Act = "frame" | "demand" | "answer" | "leave" | "join" | "early" | "replay" | "fail" | "pause" | "resume" | "tick";
const acts = fc.array(
  fc.record({
    who: fc.integer({ min: 0, max: 7 }),
    act: fc.constantFrom<Act>(
      "frame",
      "frame",
      "demand",
      "demand",
      "answer",
      "answer",
      "answer",
      "leave",
      "join",
      "early",
      "replay",
      "fail",
      "pause",
      "resume",
      "tick",
    ),
    size: fc.integer({ min: 1, max: 4000 }),
  }),
  { maxLength: 120 },
);

test("P-1 P-3 P-5 on random histories: honest producers never overflow, receipts never lie, room is bounded and comes back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), acts, async (seed, history) => {
      const world = new ModelWorld(seed, { bufferBytesMax: 2 * 1024 * 1024 });
      const producers = Array.from({ length: 8 }, () => world.producer());
      const spent = new Map<ModelProducer, number>();
      const receipted = new Map<string, number>();
      let last: { readonly producer: ModelProducer; readonly message: ReturnType<ModelProducer["frame"]> } | undefined;
      const join = async (producer: ModelProducer): Promise<void> => {
        spent.set(producer, 0);
        await world.join(producer);
        const welcome = producer.heard.find((message) => message.kind === "welcome");
        if (welcome?.kind !== "welcome" || welcome.head.epoch === 0) return;
        producer.epoch = welcome.head.epoch;
        producer.seq = welcome.head.seq;
        producer.prev =
          welcome.head.seq > 0
            ? { epoch: welcome.head.epoch, seq: welcome.head.seq, hash: welcome.head.hash }
            : { epoch: welcome.head.prevEpoch, seq: welcome.head.prevSeq, hash: welcome.head.prevHash };
      };
      const affordable = (producer: ModelProducer, bytes: number): boolean =>
        producer.creditBytesTotal - (spent.get(producer) ?? 0) >= bytes;
      for (const { who, act, size } of history) {
        const producer = producers[who];
        if (producer === undefined) continue;
        world.nowMs += size % 50;
        const live = producer.session > 0 && world.producers.get(producer.session) === producer;
        if (act === "join" && !live && world.pending.length === 0) await join(producer);
        else if (act === "answer") await world.answer();
        else if (act === "tick") world.step({ kind: "tick", registryAgeMs: 0 });
        else if (act === "pause") await world.bus.pause("test");
        else if (act === "resume") await world.bus.pause(null);
        else if (act === "fail") {
          const at = world.pending.findIndex(({ kind }) => kind === "append");
          const [effect] = at < 0 ? [] : world.pending.splice(at, 1);
          if (effect?.kind === "append") {
            // Half of the failures happen after the append did.
            if (size % 2 === 0)
              await world.bus.append(
                effect.batch.part,
                effect.batch.entries.map(({ frame }) => toAppend(frame)),
                { gateway: "model", incarnation: modelIncarnation, registryVersion: 1 },
              );
            world.step({ kind: "appendFailed", batch: effect.batch.id, code: "TEST" });
          }
        } else if (live && act === "leave") {
          world.producers.delete(producer.session);
          world.step({ kind: "lost", session: producer.session });
        } else if (live && act === "demand")
          world.say(producer, { kind: "demand", bytes: size * 200, events: 64, oldestUs: 0, frameBytes: 0 });
        else if (live && producer.epoch > 0 && (act === "frame" || act === "early")) {
          const bytes = size + 400;
          if (!affordable(producer, bytes)) continue;
          if (act === "early") {
            const keep = { seq: producer.seq, prev: producer.prev };
            producer.frame(1, 1);
            const early = producer.frame(1, 1);
            Object.assign(producer, keep);
            spent.set(producer, (spent.get(producer) ?? 0) + early.header.length + early.signature.length + early.payload.length);
            world.say(producer, early);
          } else {
            const message = producer.frame(1, size);
            spent.set(producer, (spent.get(producer) ?? 0) + message.header.length + message.signature.length + message.payload.length);
            last = { producer, message };
            world.say(producer, message);
          }
        } else if (live && act === "replay" && last?.producer === producer) {
          const bytes = last.message.header.length + last.message.signature.length + last.message.payload.length;
          if (!affordable(producer, bytes)) continue;
          spent.set(producer, (spent.get(producer) ?? 0) + bytes);
          world.say(producer, last.message);
        }
        const figures = world.gate.figures();
        assert.ok(figures.reservedBytes <= figures.bufferBytesMax);
        for (const one of producers) {
          const head = (await world.bus.headsOf([one.identity.producer])).get(one.identity.producer);
          for (const message of one.heard) {
            if (message.kind !== "receipt") continue;
            assert.ok(head !== undefined && head.epoch === message.epoch && head.seq >= message.durableSeq, "a receipt means durable");
            receipted.set(one.identity.producer, Math.max(receipted.get(one.identity.producer) ?? 0, message.durableSeq));
          }
          assert.notEqual(one.ended, "INGEST_CREDIT_EXCEEDED", "who keeps to his credit is never told off for it");
          assert.notEqual(one.ended, "INGEST_EQUIVOCATION", "honest producers are never accused");
          assert.notEqual(one.ended, "INGEST_EPOCH_FENCED");
        }
      }
      // Let everything settle: all room comes back, all that was accepted is there once and in order.
      await world.bus.pause(null);
      for (let i = 0; i < 60; i += 1) {
        world.nowMs += 200;
        world.step({ kind: "tick", registryAgeMs: 0 });
        await world.answerAll();
      }
      assert.equal(world.gate.figures().heldBytes, 0);
      for (const producer of producers) {
        const session = world.gate.session(producer.session);
        if (session === undefined) continue;
        assert.equal(session.inFlight, 0);
        assert.equal(reservation(session.account) >= outstanding(session.account).bytes, true);
      }
    }),
    { numRuns: 60 },
  );
});

test("R-24 a gate that is to send sessions elsewhere answers what they have in flight, and the others notice nothing", async () => {
  const model = new ModelWorld(5);
  const producers = [model.producer(), model.producer(), model.producer()];
  for (const producer of producers) await model.join(producer);
  const [first, second] = producers as [ModelProducer, ModelProducer];
  model.say(first, first.frame(1));
  model.step({ kind: "shed", sessions: 2 });
  assert.deepEqual(
    producers.map(({ ended }) => ended),
    [undefined, "INGEST_DRAINING", undefined],
    "one has a frame in flight",
  );
  await model.answerAll();
  assert.equal(first.ended, "INGEST_DRAINING");
  assert.ok(first.heard.some(({ kind }) => kind === "receipt"));
  await model.join(second);
  assert.equal(second.ended, undefined, "who comes back is welcome: the gate is not draining");
});
