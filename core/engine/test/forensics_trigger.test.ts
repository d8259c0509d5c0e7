/** The forensics trigger on streams in memory: its rule, its ids, and what a death or a full stream does to it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import {
  type AttackPayload,
  type ForensicsPayload,
  type MessageLog,
  type MessageOf,
  MessagePriority,
  MessageQueueManager,
  openMemoryMessages,
  redrivenMessage,
  StreamName,
} from "ransomeye-pipeline";
import { forensicsGroup, forensicsRequest, forensicsRequestId, startForensicsTrigger } from "../src/forensics_trigger.ts";

const payload: AttackPayload = {
  attack_type: "ocsf.1007.1",
  source: { kind: "honeypot", name: "decoy" },
  host: "vault",
  event_ids: ["p:1:7"],
  details: { message: "of the attacker's making" },
};

function queueOn(log: MessageLog, leaseMs = 5000): MessageQueueManager {
  return new MessageQueueManager({
    ...{ log, producerId: "test", clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() },
    ...{ leaseMs, retryDelaysMs: [1, 1, 1] },
  });
}

/** A trigger and how to end it as its process does. */
function trigger(log: MessageLog): { end: () => Promise<void>; outcomes: () => unknown[] } {
  const queue = queueOn(log);
  const stopping = new AbortController();
  const telemetry = recordingTelemetry();
  startForensicsTrigger({ queue, telemetry, priorityMin: MessagePriority.high, stopping: stopping.signal });
  return {
    end: async () => {
      stopping.abort(new Error("stopping"));
      await queue.close();
    },
    outcomes: () => telemetry.events.filter(({ name }) => name === "forensics_requested").map(({ fields }) => fields["outcome"]),
  };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it never came");
}

async function requests(queue: MessageQueueManager): Promise<MessageOf<"stream:forensics">[]> {
  const found: MessageOf<"stream:forensics">[] = [];
  for await (const message of queue.replay(StreamName.forensics)) found.push(message);
  return found;
}

const isSettled = async (queue: MessageQueueManager): Promise<boolean> => {
  const group = (await queue.groups(StreamName.attacks)).find((one) => one.group === forensicsGroup);
  return group?.pending === 0 && group.waiting.every((waiting) => waiting === 0);
};

test("BUS-11 attacks of the priority and above become requests that name them; their details stay out", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const queue = queueOn(log);
  const attacks: [string, MessagePriority][] = [];
  for (const priority of [1, 2, 3, 4] as const)
    attacks.push([(await queue.publish(StreamName.attacks, payload, { priority })).messageId, priority]);
  const running = trigger(log);
  await until(() => isSettled(queue));
  await running.end();
  const found = await requests(queue);
  assert.deepEqual(
    found.map(({ message_id, priority, payload: { about } }) => [message_id, about, priority]),
    attacks
      .filter(([, priority]) => priority >= 3)
      .map(([id, priority]) => [forensicsRequestId(id), id, priority])
      .toReversed(),
  );
  const { reason, host, event_ids, since, until: end }: Partial<ForensicsPayload> = found[0]?.payload ?? {};
  assert.deepEqual([reason, host, event_ids], ["critical attack ocsf.1007.1, seen by honeypot decoy", "vault", ["p:1:7"]]);
  assert.equal(Date.parse(end ?? "") - Date.parse(since ?? ""), 20 * 60_000);
  assert.ok(!JSON.stringify(found).includes("attacker's making"));
});

test("an attack whose time cannot be read is worth a request all the same", () => {
  const attack = {
    payload,
    priority: MessagePriority.critical,
    timestamp: "yesterday",
    message_id: "a",
    stream: StreamName.attacks,
    producer_id: "p",
    retry_count: 0,
  } as const;
  assert.deepEqual(Object.keys(forensicsRequest(attack, 3) ?? {}), ["reason", "about", "host", "event_ids"]);
});

test("BUS-6 a kill between request and acknowledgement, and an attack out of the dead letters, double no request", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const queue = queueOn(log);
  const { messageId } = await queue.publishAttackEvent(payload);
  const { deliveries } = await log.take(StreamName.attacks, forensicsGroup, "killed", { max: 1, leaseMs: 1 });
  const [delivery] = deliveries;
  assert.ok(delivery !== undefined);
  const first = forensicsRequest(delivery.message as MessageOf<"stream:attacks">, 3);
  assert.ok(first !== undefined);
  await queue.publish(StreamName.forensics, first, { messageId: forensicsRequestId(messageId) });

  const running = trigger(log);
  await until(() => running.outcomes().length === 1);
  const letter = {
    ...{
      message_id: "0d6f7c1e-6a8e-5c1b-9b3f-3f0c6f3c2a11",
      stream: StreamName.deadLetter,
      priority: MessagePriority.critical,
      timestamp: "",
      producer_id: "",
      retry_count: 0,
    },
    payload: {
      original_stream: StreamName.attacks,
      original_message: delivery.message,
      group: forensicsGroup,
      failed_at: "",
      reason: "",
      failures: [],
    },
  } as const;
  await log.publish([redrivenMessage(letter, systemClock.nowUs())]);
  await until(() => running.outcomes().length === 2);
  await running.end();
  assert.deepEqual(running.outcomes(), ["duplicate", "duplicate"]);
  assert.deepEqual(
    (await requests(queue)).map(({ payload: { about } }) => about),
    [messageId],
  );
});

test("a stream of requests that is full holds the trigger and nobody else; its end gives back what waits, uncounted", async () => {
  const log = openMemoryMessages({ clock: systemClock, entriesMax: 5, entriesUnreadMax: 5 });
  const queue = queueOn(log);
  await queue.createGroup(StreamName.forensics, "group:collector", "beginning");
  const running = trigger(log);
  const other: string[] = [];
  queue.startConsumer({ stream: StreamName.attacks, group: "group:other", handle: async ({ message_id }) => void other.push(message_id) });
  const ids: string[] = [];
  const publish = async (): Promise<void> =>
    void ids.push((await queue.publishWhenRoom(StreamName.attacks, payload, { priority: 4 })).messageId);
  for (let n = 0; n < 5; n++) await publish();
  await until(() => running.outcomes().length === 5);
  await publish();
  await until(() => other.length === 6);
  await until(async () => (await queue.groups(StreamName.attacks)).some(({ group, pending }) => group === forensicsGroup && pending === 1));
  await running.end();
  const again = await log.take(StreamName.attacks, forensicsGroup, "next", { max: 10, leaseMs: 1 });
  assert.deepEqual(
    again.deliveries.map(({ message, deliveries, failures }) => [message.message_id, deliveries, failures.length]),
    [[ids[5], 1, 0]],
    "as if nobody had taken it",
  );
  await queue.close();
});
