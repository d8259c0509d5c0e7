/** The sample consumer on streams in memory: what a kill between its two steps does, who shares, and what its model says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type AttackPayload, type MessageLog, MessageQueueManager, openMemoryMessages, StreamName } from "ransomeye-pipeline";
import { aiGroup, decisionId, startAiConsumer } from "../src/consumer.ts";
import { sampleModel } from "../src/model.ts";

const leaseMs = 50;
const attack = (attack_type: string, details: AttackPayload["details"] = {}): AttackPayload => ({
  attack_type,
  source: { kind: "honeypot", name: "decoy" },
  details,
});

function instance(log: MessageLog, name: string): MessageQueueManager {
  return new MessageQueueManager({
    ...{ log, producerId: name, clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() },
    ...{ leaseMs, retryDelaysMs: [1, 1, 1] },
  });
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it never came");
}

async function decisionsOf(queue: MessageQueueManager): Promise<{ id: string; about: string; verdict: string }[]> {
  const found: { id: string; about: string; verdict: string }[] = [];
  for await (const { message_id: id, payload } of queue.replay(StreamName.aiDecisions))
    found.push({ id, about: payload.about, verdict: payload.verdict });
  return found;
}

test("BUS-6 a kill between decision and acknowledgement: the attack comes again, and its decision stays one", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const publisher = instance(log, "publisher");
  const { messageId: about } = await publisher.publish(StreamName.attacks, attack("ssh"));

  // What a process does that is killed after its first step: it holds the attack, its decision is durable, and no other word comes from it.
  const killed = await log.take(StreamName.attacks, aiGroup, "killed", { max: 1, leaseMs });
  assert.equal(killed.deliveries[0]?.message.message_id, about);
  const first = { about, ...(await sampleModel(attack("ssh"), AbortSignal.abort())), model: "of the one that was killed" };
  await publisher.publish(StreamName.aiDecisions, first, { messageId: decisionId(about) });

  const successor = instance(log, "successor");
  const told: { id: string; repeated: boolean }[] = [];
  startAiConsumer({ queue: successor, model: sampleModel, onDecision: (decision) => told.push(decision) });
  await until(() => told.length > 0);
  await successor.close();
  assert.deepEqual(
    told.map(({ id, repeated }) => [id, repeated]),
    [[decisionId(about), true]],
  );
  assert.deepEqual(
    (await decisionsOf(publisher)).map((decision) => [decision.id, decision.about]),
    [[decisionId(about), about]],
  );
  const [group] = await publisher.groups(StreamName.attacks);
  assert.deepEqual([group?.pending, group?.waiting], [0, [0, 0, 0, 0]], "and it is settled");
});

test("BUS-8 instances share the attacks, and each gets one decision", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const publisher = instance(log, "publisher");
  const decided = [0, 0];
  const queues = [instance(log, "one"), instance(log, "two")];
  for (const [index, queue] of queues.entries()) {
    startAiConsumer({ queue, model: sampleModel, prefetch: 1, onDecision: () => (decided[index] = (decided[index] ?? 0) + 1) });
  }
  const ids: string[] = [];
  // They come one after the other, or whoever is first would have taken all of them in one turn.
  for (let n = 0; ids.length < 200 || decided.includes(0); n++) {
    ids.push((await publisher.publish(StreamName.attacks, attack(`kind ${n}`))).messageId);
    if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(n < 100_000, "one of them gets nothing");
  }
  await until(() => (decided[0] ?? 0) + (decided[1] ?? 0) === ids.length);
  for (const queue of queues) await queue.close();
  assert.deepEqual((await decisionsOf(publisher)).map(({ about }) => about).toSorted(), ids.toSorted());
});

test("a full stream of decisions holds this consumer up and loses nothing", async () => {
  const log = openMemoryMessages({ clock: systemClock, entriesMax: 10, entriesUnreadMax: 10 });
  const publisher = instance(log, "publisher");
  await publisher.createGroup(StreamName.aiDecisions, "group:reader", "beginning");
  const queue = instance(log, "one");
  const told: string[] = [];
  startAiConsumer({ queue, model: sampleModel, onDecision: ({ id }) => told.push(id) });
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) ids.push((await publisher.publish(StreamName.attacks, attack(`kind ${n}`))).messageId);
  await until(() => told.length === 10);
  ids.push((await publisher.publish(StreamName.attacks, attack("one too many"))).messageId);
  await until(async () => (await publisher.groups(StreamName.attacks))[0]?.pending === 1);
  const read: string[] = [];
  for await (const received of publisher.consume(StreamName.aiDecisions, "group:reader")) {
    read.push(received.message.payload.about);
    await received.acknowledge();
    if (read.length === 11) break;
  }
  assert.deepEqual(read, ids);
  await until(() => told.length === 11);
  await queue.close();
  assert.equal((await log.take(StreamName.deadLetter, "group:test", "test", { max: 1, leaseMs })).deliveries.length, 0);
});

test("the model says more of what is worse, and why", async () => {
  const judged = async (payload: AttackPayload) => await sampleModel(payload, AbortSignal.abort());
  const touched = await judged(attack("ssh"));
  const severe = await judged(attack("ssh", { severity_id: 5, message: "vssadmin delete shadows" }));
  const rumour = await judged({ attack_type: "odd", source: { kind: "detection", name: "rule" } });
  assert.deepEqual([rumour.verdict, touched.verdict, severe.verdict], ["unknown", "suspicious", "malicious"]);
  assert.ok(rumour.confidence < touched.confidence && touched.confidence < severe.confidence);
  assert.deepEqual([rumour.reasons?.length, touched.reasons?.length, severe.reasons?.length], [0, 1, 3]);
});
