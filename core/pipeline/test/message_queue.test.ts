/**
 * Why it exists: the public face of the message streams, as its users meet it (BUS-4), on the streams in memory.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode, recordingTelemetry, type RecordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { openMemoryMessages } from "../src/messages/memory_messages.ts";
import { MessagePriority, StreamName } from "../src/messages/message.ts";
import type { AttackPayload } from "../src/messages/payloads.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { MessageQueueManager } from "../src/message_queue.ts";
import { poisonAmongMany } from "./poison.ts";

const attack = (attack_type: string): AttackPayload => ({ attack_type, source: { kind: "honeypot", name: "decoy" } });

interface Scene {
  readonly log: MessageLog;
  readonly telemetry: RecordingTelemetry;
  readonly queue: MessageQueueManager;
  readonly open: (producerId: string, on?: MessageLog) => MessageQueueManager;
}

function scene(options: { readonly entriesMax?: number; readonly leaseMs?: number } = {}): Scene {
  const log = openMemoryMessages({ clock: systemClock, entriesUnreadMax: options.entriesMax ?? 200_000 });
  const telemetry = recordingTelemetry();
  const open = (producerId: string, on: MessageLog = log): MessageQueueManager =>
    new MessageQueueManager({
      log: on,
      producerId,
      clock: systemClock,
      random: systemRandom,
      telemetry,
      leaseMs: options.leaseMs ?? 5000,
      retryDelaysMs: [1, 1, 1],
    });
  return { log, telemetry, queue: open("queue"), open };
}

interface Delays {
  /** The nth take answers when this is over. */
  readonly afterTake?: (nth: number) => Promise<void>;
  /** What is ended has ended when this is over. */
  readonly beforeEnd?: () => Promise<void>;
}

/** A log whose answers take their time. */
function answering(log: MessageLog, { afterTake = async () => undefined, beforeEnd = async () => undefined }: Delays): MessageLog {
  let takes = 0;
  return {
    streams: log.streams,
    takesInOrder: log.takesInOrder,
    publish: (messages) => log.publish(messages),
    createGroup: (stream, group, start) => log.createGroup(stream, group, start),
    extend: (deliveries, leaseMs) => log.extend(deliveries, leaseMs),
    settle: (delivery, settlement) => beforeEnd().then(() => log.settle(delivery, settlement)),
    bury: (delivery, letter) => log.bury(delivery, letter),
    groups: (stream) => log.groups(stream),
    rewind: (stream, group, publishedUs) => log.rewind(stream, group, publishedUs),
    read: (stream, priority, afterOff, max) => log.read(stream, priority, afterOff, max),
    trim: (stream) => log.trim(stream),
    close: () => log.close(),
    async take(stream, group, member, options) {
      const taken = await log.take(stream, group, member, options);
      takes += 1;
      await afterTake(takes);
      return taken;
    },
  };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it never came");
}

describe("MessageQueueManager", () => {
  test("BUS-3 BUS-4 what is published is consumed with all that a message is", async () => {
    const { queue } = scene();
    const published = await queue.publishAttackEvent(attack("port scan"));
    for await (const received of queue.consume(StreamName.attacks, "group:reader")) {
      const { message } = received;
      assert.deepEqual(
        [message.message_id, message.stream, message.priority, message.producer_id, message.retry_count],
        [published.messageId, "stream:attacks", MessagePriority.critical, "queue", 0],
      );
      assert.equal(new Date(message.timestamp).toISOString(), message.timestamp);
      assert.deepEqual(message.payload, attack("port scan"));
      assert.equal(await queue.acknowledge(received), "settled");
      break;
    }
    assert.deepEqual((await queue.groups(StreamName.attacks))[0]?.pending, 0);
  });

  test("a payload that is not what its stream says is refused, with the place of the fault", async () => {
    const { queue, log } = scene();
    const wrong = { attack_type: "", source: { kind: "rumour", name: "x" } } as unknown as AttackPayload;
    await assert.rejects(queue.publishAttackEvent(wrong), (error) => {
      assert.ok(hasCode(error, "BUS_BAD_ARGUMENT"));
      assert.match(String(error), /payload\.attack_type.*payload\.source\.kind/s);
      return true;
    });
    await assert.rejects(queue.publishAttackEvent({ ...attack("big"), details: { x: "y".repeat(300_000) } }), /262144 bytes/);
    assert.deepEqual(await log.read(StreamName.attacks, 4, 0, 10), []);
  });

  test("BUS-7 a poison message among 100,000: all others are handled, the poison is in the dead letters with its four attempts, and is handled after the fix", () =>
    poisonAmongMany(scene().log));

  test("an error that says that it is permanent is not tried again", async () => {
    const { queue, log } = scene();
    await queue.publishAttackEvent(attack("hopeless"));
    let handled = 0;
    const consumer = queue.startConsumer({
      stream: StreamName.attacks,
      group: "group:once",
      handle: async () => {
        handled += 1;
        throw Object.assign(new Error("never"), { permanent: true });
      },
    });
    await until(async () => (await log.read(StreamName.deadLetter, 4, 0, 1)).length === 1);
    await queue.stopConsumer(consumer);
    assert.equal(handled, 1);
  });

  test("BUS-8 members of a group share evenly, and one that joins later gets its part", async () => {
    const { queue, open } = scene();
    for (let index = 0; index < 3000; index++) await queue.publishAttackEvent(attack(`${index}`));
    const counts = [0, 0, 0];
    const queues = counts.map((_, index) => open(`processor ${index}`));
    const consumers = queues.map((own, index) =>
      own.startConsumer({
        stream: StreamName.attacks,
        group: "group:ai_processor",
        concurrency: 4,
        handle: async () => {
          counts[index] = (counts[index] as number) + 1;
          await new Promise((resolve) => setTimeout(resolve, 1));
        },
      }),
    );
    await until(() => counts.reduce((sum, count) => sum + count, 0) === 3000);
    assert.equal(consumers.length, 3);
    for (const consumer of consumers) assert.ok(consumer.member.startsWith("processor"));
    await Promise.all(queues.map((own) => own.close()));
    for (const count of counts) assert.ok(Math.abs(count - 1000) <= 100, `shares of ${counts.join(", ")}`);
  });

  test("a consumer that is stopped finishes what it has begun and gives back the rest", async () => {
    const { queue, log } = scene();
    for (let index = 0; index < 50; index++) await queue.publishAttackEvent(attack(`${index}`));
    const [begun, handled]: [string[], string[]] = [[], []];
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const consumer = queue.startConsumer({
      stream: StreamName.attacks,
      group: "group:stop",
      concurrency: 2,
      prefetch: 16,
      handle: async ({ payload }) => {
        begun.push(payload.attack_type);
        await gate;
        handled.push(payload.attack_type);
      },
    });
    await until(() => begun.length === 2);
    const stopped = queue.stopConsumer(consumer);
    go();
    await stopped;
    assert.deepEqual(handled, begun);
    const [group] = await queue.groups(StreamName.attacks);
    const taken = await log.take(StreamName.attacks, "group:stop", "next", { max: 64, leaseMs: 1000 });
    assert.equal(taken.deliveries.length, 48);
    assert.ok(taken.deliveries.every(({ deliveries }) => deliveries === 1));
    assert.equal((group?.pending ?? 0) + (group?.waiting[3] ?? 0), 48);
  });

  test("what is on its way to a consumer that is stopped goes back as well", async () => {
    const { log, open } = scene();
    let [isAsked, answer] = [false, (): void => undefined];
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const afterTake = async (): Promise<void> => {
      isAsked = true;
      await answered;
    };
    const slow = answering(log, { afterTake });
    const publisher = open("publisher");
    for (let index = 0; index < 10; index++) await publisher.publishAttackEvent(attack(`${index}`));
    const queue = open("queue", slow);
    const consumer = queue.startConsumer({
      stream: StreamName.attacks,
      group: "group:late",
      prefetch: 16,
      handle: () => assert.fail("it was stopped"),
    });
    await until(() => isAsked);
    const stopped = queue.stopConsumer(consumer);
    answer();
    await stopped;
    const { deliveries } = await log.take(StreamName.attacks, "group:late", "next", { max: 64, leaseMs: 1000 });
    assert.deepEqual([deliveries.length, new Set(deliveries.map((delivery) => delivery.deliveries))], [10, new Set([1])]);
  });

  test("EB-6 what is fetched while something else is on its way is handed out after it", async () => {
    const { log, open, queue: publisher } = scene();
    let [underWay, most] = [0, 0];
    const afterTake = async (nth: number): Promise<void> => {
      underWay += 1;
      most = Math.max(most, underWay);
      if (nth % 2 === 1) await new Promise((resolve) => setTimeout(resolve, 10));
      underWay -= 1;
    };
    const uneven = answering(log, { afterTake });
    for (let index = 0; index < 100; index++) await publisher.publishAttackEvent(attack(`${index}`));
    const seen: string[] = [];
    const queue = open("queue", uneven);
    const handle = async ({ payload }: { readonly payload: AttackPayload }): Promise<void> => void seen.push(payload.attack_type);
    const consumer = queue.startConsumer({ stream: StreamName.attacks, group: "group:in order", prefetch: 8, handle });
    await until(() => seen.length === 100);
    await queue.stopConsumer(consumer);
    assert.deepEqual(
      seen,
      Array.from({ length: 100 }, (_, index) => `${index}`),
    );
    assert.equal(most, 2);
  });

  test("EB-6 a member whose ends the servers do not answer holds twice what it may, and goes on when they do", async () => {
    const { log, open, queue: publisher } = scene();
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    for (let index = 0; index < 40; index++) await publisher.publishAttackEvent(attack(`${index}`));
    let seen = 0;
    const queue = open("queue", answering(log, { beforeEnd: () => answered }));
    const handle = async (): Promise<void> => void (seen += 1);
    const consumer = queue.startConsumer({ stream: StreamName.attacks, group: "group:silent", prefetch: 4, handle });
    await until(() => seen === 8);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [status] = await log.groups(StreamName.attacks);
    assert.deepEqual([seen, status?.pending, status?.waiting[3]], [8, 8, 32]);
    answer();
    await until(() => seen === 40);
    await queue.stopConsumer(consumer);
  });

  test("a handler that takes longer than its lease keeps its message; one whose lease is gone is told", async () => {
    const { queue, log } = scene({ leaseMs: 60 });
    await queue.publishAttackEvent(attack("slow"));
    const endings: string[] = [];
    for await (const received of queue.consume(StreamName.attacks, "group:slow", { prefetch: 1 })) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(received.signal.aborted, false);
      await log.rewind(StreamName.attacks, "group:slow", Number.MAX_SAFE_INTEGER);
      await until(() => received.signal.aborted);
      endings.push(await received.acknowledge());
      break;
    }
    assert.deepEqual(endings, ["fenced"]);
  });

  test("EB-8 BUS-11 a consumer that stands still slows no other group", async () => {
    const { queue } = scene();
    let go: () => void = () => undefined;
    const stuck = new Promise<void>((resolve) => (go = resolve));
    queue.startConsumer({ stream: StreamName.attacks, group: "group:dashboard", handle: () => stuck });
    let seen = 0;
    const other = queue.startConsumer({
      stream: StreamName.attacks,
      group: "group:forensics",
      concurrency: 4,
      handle: async () => void (seen += 1),
    });
    for (let index = 0; index < 500; index++) assert.equal((await queue.publishAttackEvent(attack(`${index}`))).kind, "published");
    await until(() => seen === 500);
    await queue.stopConsumer(other);
    go();
    await queue.close();
  });

  test("BUS-9 a replay tells what was published in a time, and moves nobody", async () => {
    const { queue, log } = scene();
    await queue.publishAttackEvent(attack("before"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await queue.publishAttackEvent(attack("within"));
    const [, within] = await log.read(StreamName.attacks, 4, 0, 2);
    const found: string[] = [];
    for await (const { payload } of queue.replay(StreamName.attacks, { sinceUs: within?.publishedUs ?? 0 }))
      found.push(payload.attack_type);
    assert.deepEqual(found, ["within"]);
    assert.deepEqual(await queue.groups(StreamName.attacks), []);
  });
});
