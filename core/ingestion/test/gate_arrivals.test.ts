/**
 * Why: whom a gate lets in, and what it tells those whom it does not, decides whether a fleet comes back in order or as a storm.
 * Enforces: BP-14 and BP-18 at the heart: who is turned away is counted, told when to come back, and costs nobody else his place.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { comeBackNever } from "../protocol/lib.ts";
import { type ModelProducer, ModelWorld } from "./gate_model.ts";

/** Joins so many producers. */
async function joined(world: ModelWorld, count: number): Promise<ModelProducer[]> {
  const producers = Array.from({ length: count }, () => world.producer());
  for (const producer of producers) await world.join(producer);
  return producers;
}

const refused = (world: ModelWorld, code: string): number => world.gate.transmissions.totals()[`refused_${code}`] ?? 0;

test("BP-14 a gate that is full turns the next one away, counts it, and takes it once a place is free", async () => {
  const world = new ModelWorld(1, { sessionsMax: 3 });
  const [first] = await joined(world, 3);
  const late = world.producer();
  await world.join(late);
  assert.equal(late.ended, "INGEST_SESSIONS_MAX");
  assert.equal(refused(world, "INGEST_SESSIONS_MAX"), 1);
  assert.equal(world.gate.figures().sessions, 3);
  world.step({ kind: "lost", session: first?.session ?? 0 });
  await world.join(late);
  assert.equal(late.ended, undefined);
});

test("BP-14 a producer that comes back takes its own place also where the gate is full", async () => {
  const world = new ModelWorld(2, { sessionsMax: 3 });
  const [first] = await joined(world, 3);
  assert.ok(first !== undefined);
  await world.join(first);
  assert.equal(world.gate.session(first.session)?.phase, "streaming");
  assert.equal(world.gate.figures().sessions, 3);
});

test("BP-14 a large fleet is given more time to come back than a small one: a millisecond for each session", () => {
  const sessions = 9000;
  const world = new ModelWorld(3, { sessionsMax: sessions, bufferBytesMax: 64 * 1024 * 1024 });
  const { identity } = world.producer();
  const told: number[] = [];
  for (let session = 1; session <= sessions; session += 1)
    world.step({ kind: "opened", session, identity: { ...identity, producer: world.random.uuid() }, nonce: Buffer.alloc(32) });
  const at = { nowMs: world.nowMs, nowUs: 0 };
  for (const effect of world.gate.step({ kind: "drain" }, at)) if (effect.kind === "end") told.push(effect.comeBackAfterMs);
  assert.equal(told.length, sessions);
  const first = told.slice(0, 1000);
  assert.ok(Math.max(...first) > 7000 && Math.max(...first) <= sessions, `${Math.max(...first)} ms`);
});

test("BP-18 who is quarantined is told to come back after it, and who has no right any more not to come back", async () => {
  const world = new ModelWorld(4);
  const [flooder, revoked] = await joined(world, 2);
  assert.ok(flooder !== undefined && revoked !== undefined);
  for (let i = 0; i < 10; i += 1)
    world.step({ kind: "turnedAway", code: "INGEST_PROTOCOL_VIOLATION", producer: flooder.identity.producer });
  assert.equal(flooder.ended, "INGEST_QUARANTINED", "its open session ends with it");
  const before = refused(world, "INGEST_QUARANTINED");
  await world.join(flooder);
  assert.equal(flooder.ended, "INGEST_QUARANTINED");
  assert.ok(flooder.comeBackAfterMs >= 60_000 && flooder.comeBackAfterMs <= 65_000, `${flooder.comeBackAfterMs} ms`);
  assert.equal(refused(world, "INGEST_QUARANTINED"), before + 1);
  world.entries.set(revoked.identity.producer, { ...revoked.entry, status: "revoked" });
  world.step({ kind: "directory", producers: "all" });
  assert.equal(revoked.ended, "INGEST_PRODUCER_REVOKED");
  assert.equal(revoked.comeBackAfterMs, comeBackNever);
});

test("R-13 a registry that falls silent a second time is told a second time", () => {
  const world = new ModelWorld(5);
  for (const registryAgeMs of [70_000, 70_100, 0, 70_000, 70_100, Number.POSITIVE_INFINITY]) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs });
  }
  assert.equal(world.notes.filter((name) => name === "registry_stale").length, 2);
});

test("a bus that could not be asked for heads is asked again by whoever comes next", async () => {
  const world = new ModelWorld(6);
  const unlucky = world.producer();
  const session = 900;
  world.producers.set(session, unlucky);
  world.step({ kind: "opened", session, identity: unlucky.identity, nonce: Buffer.alloc(32) });
  const empty = {
    epoch: 0,
    nextSeq: 1,
    pendingBytes: 0,
    pendingEvents: 0,
    oldestPendingUs: 0,
    agent: "",
    clockUs: 0,
    keyId: Buffer.alloc(8),
  };
  world.step({ kind: "message", session, message: { kind: "hello", protocolVersions: [1], schemaVersions: [1], ...empty } });
  const question = world.pending.shift();
  assert.ok(question?.kind === "readHeads");
  world.step({ kind: "headsFailed", asked: question.producers, code: "BUS_UNAVAILABLE" });
  assert.equal(unlucky.ended, "INGEST_BUS_UNAVAILABLE");
  const [next] = await joined(world, 1);
  assert.ok(next?.heard.some(({ kind }) => kind === "welcome"));
});
