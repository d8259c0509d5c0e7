/**
 * Why: the codes of FM-13 are worth their names only if each is given for its own reason, and if none changes what a producer is told.
 * Enforces: the table of `replay.ts` line by line; whose frame it was where sessions overlap; the gate's own repetitions; an opening of another
 *   session told from a forged one.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "ransomeye-kernel";
import { ed25519Sign, openEpochBytes } from "../protocol/lib.ts";
import { toAppend } from "../src/dispatcher.ts";
import { duplicateCode } from "../src/replay.ts";
import { modelIncarnation, type ModelProducer, modelKey, ModelWorld } from "./gate_model.ts";

/** Frames that the gate has counted as known, by code. */
function counted({ gate }: ModelWorld): Record<string, number> {
  const duplicates = Object.entries(gate.transmissions.totals()).filter(([name, n]) => name.startsWith("duplicate_") && n > 0);
  return Object.fromEntries(duplicates.map(([name, n]) => [name.slice("duplicate_INGEST_".length), n]));
}

/** The durable sequence that a producer was told last. */
const receipted = ({ heard }: ModelProducer): number | undefined => {
  const receipt = heard.findLast((message) => message.kind === "receipt");
  return receipt?.kind === "receipt" ? receipt.durableSeq : undefined;
};

test("FM-13 which duplicate it is follows from who accepted the frame, and for this life of the gate from the session's first", () => {
  const here = { gateway: "gate-1", incarnation: "b" };
  const place = { epoch: 3, firstSeq: 100 };
  const unanswered = { acceptedFrom: undefined, repeated: false };
  const from = (epoch: number, firstSeq: number): { acceptedFrom: typeof place; repeated: boolean } => ({
    acceptedFrom: { epoch, firstSeq },
    repeated: false,
  });
  assert.equal(duplicateCode(null, place, from(1, 1), here), "INGEST_DUPLICATE_TRIMMED");
  for (const own of [unanswered, from(1, 1), { ...unanswered, repeated: true }]) {
    assert.equal(duplicateCode({ gateway: "gate-2", incarnation: "b" }, place, own, here), "INGEST_DUPLICATE_GATE");
    assert.equal(duplicateCode({ gateway: "gate-1", incarnation: "a" }, place, own, here), "INGEST_DUPLICATE_RESTART");
    assert.equal(duplicateCode({ gateway: "gate-1", incarnation: null }, place, own, here), "INGEST_DUPLICATE_RESTART");
  }
  for (const own of [from(3, 100), from(3, 99), from(2, 900), { ...unanswered, repeated: true }])
    assert.equal(duplicateCode(here, place, own, here), "INGEST_DUPLICATE", JSON.stringify(own));
  for (const own of [unanswered, from(3, 101), from(4, 1), { ...from(3, 101), repeated: true }])
    assert.equal(duplicateCode(here, place, own, here), "INGEST_DUPLICATE_SESSION", JSON.stringify(own));
});

test("FM-13 a tail that is sent again after a reconnect is the earlier session's, though its receipts came after the new one had begun", async () => {
  const world = new ModelWorld(20);
  const producer = world.producer();
  await world.join(producer);
  const first = producer.frame(2);
  world.say(producer, first);
  await world.answerAll();
  // The second is in flight when the producer comes back: Welcome tells a head before it, so an honest producer sends it again.
  const second = producer.frame(2);
  world.say(producer, second);
  const flight = world.pending.shift();
  assert.ok(flight?.kind === "append");
  await world.join(producer);
  const welcome = producer.heard.find((message) => message.kind === "welcome");
  assert.ok(welcome?.kind === "welcome" && welcome.head.seq === 2);
  world.pending.push(flight);
  world.say(producer, second);
  await world.answerAll();
  assert.deepEqual(counted(world), { DUPLICATE_SESSION: 1 });
  const third = producer.frame(2);
  world.say(producer, third);
  await world.answerAll();
  for (const again of [first, second, third, third]) world.say(producer, again);
  await world.answerAll();
  assert.deepEqual(counted(world), { DUPLICATE: 2, DUPLICATE_SESSION: 3 });
  assert.equal(receipted(producer), 6, "each is answered by the same receipt");
  assert.equal(world.gate.transmissions.totals()["frames_duplicate"], 5);
  assert.equal(world.gate.figures().heldBytes, 0);
});

test("FM-13 FM-11 what the gate itself sends again after a lost answer counts as this session's", async () => {
  const world = new ModelWorld(21);
  const producer = world.producer();
  await world.join(producer);
  const first = producer.frame(1);
  world.say(producer, first);
  const [append] = world.pending;
  assert.ok(append?.kind === "append");
  world.pending.length = 0;
  const frames = append.batch.entries.map(({ frame }) => toAppend(frame));
  await world.bus.append(append.batch.part, frames, { gateway: "model", incarnation: modelIncarnation, registryVersion: 1 });
  world.step({ kind: "appendFailed", batch: append.batch.id, code: "BUS_OUTCOME_UNKNOWN" });
  world.nowMs += 60_000;
  world.step({ kind: "tick", registryAgeMs: 0 });
  await world.answerAll();
  assert.equal(receipted(producer), 1);
  world.say(producer, first);
  await world.answerAll();
  assert.deepEqual(counted(world), { DUPLICATE: 2 });
});

test("FM-13 an opening that was signed for another session is a replay; whatever else does not hold is a wrong signature", async () => {
  const random = seededRandom("openings");
  const world = new ModelWorld(22);
  const opening = (producer: ModelProducer, nonce: Buffer, named: Buffer, key = producer.key): Parameters<ModelWorld["say"]>[1] => ({
    kind: "openEpoch",
    expectedEpoch: 1,
    keyId: Buffer.from(producer.keyId, "hex"),
    signature: ed25519Sign(openEpochBytes(producer.identity.producer, 1, nonce), key),
    sessionNonce: named,
  });
  const elsewhere = random.bytes(32);
  const answers: readonly (readonly [string, (producer: ModelProducer) => Parameters<ModelWorld["say"]>[1]])[] = [
    ["INGEST_SESSION_REPLAYED", (producer) => opening(producer, elsewhere, elsewhere)],
    ["INGEST_EPOCH_SIGNATURE", (producer) => opening(producer, elsewhere, producer.nonce)],
    ["INGEST_EPOCH_SIGNATURE", (producer) => opening(producer, elsewhere, Buffer.alloc(0))],
    ["INGEST_EPOCH_SIGNATURE", (producer) => opening(producer, elsewhere, random.bytes(32))],
    ["INGEST_EPOCH_SIGNATURE", (producer) => opening(producer, Buffer.alloc(0), Buffer.alloc(0))],
    ["INGEST_EPOCH_SIGNATURE", (producer) => opening(producer, elsewhere, elsewhere, modelKey(random))],
  ];
  for (const [code, make] of answers) {
    const producer = world.producer();
    await world.join(producer);
    world.say(producer, make(producer));
    assert.equal(producer.ended, code);
    assert.ok(!world.pending.some(({ kind }) => kind === "openEpoch"), "no epoch is asked for");
  }
  // What opens is the signature over this session's nonce; what is named beside it is not believed.
  const producer = world.producer();
  await world.join(producer);
  world.say(producer, opening(producer, producer.nonce, elsewhere));
  await world.answerAll();
  const opened = producer.heard.findLast((message) => message.kind === "epochOpened");
  assert.ok(opened?.kind === "epochOpened" && opened.epoch === 2);
});

test("FM-13 a recording that is played again is told from a clone that is fenced", async () => {
  const world = new ModelWorld(23);
  const producer = world.producer();
  await world.join(producer);
  const sign = (nonce: Buffer): Buffer => ed25519Sign(openEpochBytes(producer.identity.producer, 1, nonce), producer.key);
  const recorded = {
    kind: "openEpoch" as const,
    ...{ expectedEpoch: 1, keyId: Buffer.from(producer.keyId, "hex"), signature: sign(producer.nonce), sessionNonce: producer.nonce },
  };
  world.say(producer, recorded);
  await world.answerAll();
  const opened = producer.heard.findLast((message) => message.kind === "epochOpened");
  assert.ok(opened?.kind === "epochOpened");
  Object.assign(producer, { epoch: opened.epoch, seq: 0, prev: { epoch: opened.prevEpoch, seq: opened.prevSeq, hash: opened.prevHash } });
  world.say(producer, producer.frame(1));
  await world.answerAll();
  producer.epoch = 1;
  await world.join(producer);
  world.say(producer, recorded);
  assert.equal(producer.ended, "INGEST_SESSION_REPLAYED");
  await world.join(producer);
  world.say(producer, { ...recorded, signature: sign(producer.nonce), sessionNonce: producer.nonce });
  assert.equal(producer.ended, "INGEST_EPOCH_FENCED");
});
