/**
 * Why it exists: the real-time feed on the streams in memory: who sees what, what slowness costs and whom, and what happens when the log does not answer.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hasCode, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { MessageFeed } from "../src/feed/message_feed.ts";
import type { FeedItem } from "../src/feed/follower.ts";
import { seekLanes } from "../src/feed/lanes.ts";
import { openMemoryMessages } from "../src/messages/memory_messages.ts";
import { type MessagePriority, priorities, StreamName } from "../src/messages/message.ts";
import type { AttackPayload } from "../src/messages/payloads.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { MessageQueueManager } from "../src/message_queue.ts";
import { ManualClock } from "./subject.ts";

const attack = (attack_type: string): AttackPayload => ({ attack_type, source: { kind: "honeypot", name: "decoy" } });

function scene(log: MessageLog = openMemoryMessages({ clock: systemClock })): {
  log: MessageLog;
  queue: MessageQueueManager;
  feed: MessageFeed;
} {
  const telemetry = recordingTelemetry();
  const queue = new MessageQueueManager({ log, producerId: "test", clock: systemClock, random: systemRandom, telemetry });
  return { log, queue, feed: new MessageFeed({ log, clock: systemClock, telemetry }) };
}

function nameOf(item: FeedItem | undefined): string {
  assert.equal(item?.kind, "message");
  return (item.message.payload as AttackPayload).attack_type;
}

async function publish(queue: MessageQueueManager, names: readonly string[], priority?: MessagePriority): Promise<void> {
  for (const name of names) await queue.publish(StreamName.attacks, attack(name), priority === undefined ? {} : { priority });
}

const numbered = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, index) => String(from + index));

describe("MessageFeed", () => {
  test("BUS-11 a follower sees what is published after it came, on the streams that it named, and no group is left behind", async () => {
    const { log, queue, feed } = scene();
    await publish(queue, ["before"]);
    const follower = await feed.follow({ streams: [StreamName.attacks] });
    await queue.publish(StreamName.alerts, { title: "another stream", severity: "low" });
    await publish(queue, numbered(0, 300));
    const seen: string[] = [];
    for await (const item of follower) if (seen.push(nameOf(item)) === 300) break;
    assert.deepEqual(seen, numbered(0, 300));
    assert.equal(await follower.next(), undefined, "leaving the loop closes it");
    for (const stream of log.streams) assert.deepEqual(await log.groups(stream), [], stream);
    await feed.close();
  });

  test("EB-15 BUS-11 one who does not look is told how many went by; another one sees all of them, and no publisher waits", async () => {
    const { queue, feed } = scene();
    const [slow, fast] = [await feed.follow({ messagesMax: 10 }), await feed.follow()];
    // Both have caught up: from here on what they do not take is what waits for them.
    await publish(queue, ["first"]);
    assert.deepEqual([nameOf(await slow.next()), nameOf(await fast.next())], ["first", "first"]);
    await publish(queue, numbered(0, 5000));
    const seen: string[] = [];
    while (seen.length < 5000) seen.push(nameOf(await fast.next()));
    assert.deepEqual(seen, numbered(0, 5000));
    assert.deepEqual(await slow.next(), { kind: "missed", stream: StreamName.attacks, messages: 4990 });
    const rest: string[] = [];
    while (rest.length < 10) rest.push(nameOf(await slow.next()));
    assert.deepEqual(rest, numbered(4990, 5000));
    await publish(queue, ["last"]);
    assert.equal(nameOf(await slow.next()), "last", "and it goes on");
    await feed.close();
  });

  test("P-5 what waits is bounded in bytes as well", async () => {
    const { queue, feed } = scene();
    const [slow, fast] = [await feed.follow({ bytesMax: 50_000 }), await feed.follow()];
    await publish(queue, ["first"]);
    await slow.next();
    await fast.next();
    for (let n = 0; n < 100; n++) await queue.publish(StreamName.attacks, { ...attack(`${n}`), details: { text: "x".repeat(9000) } });
    for (let n = 0; n < 100; n++) assert.equal(nameOf(await fast.next()), `${n}`);
    const item = await slow.next();
    assert.deepEqual(item, { kind: "missed", stream: StreamName.attacks, messages: 95 });
    await feed.close();
  });

  test("a follower that begins in the past reads all of it in the order of publication, and goes on with what comes", async () => {
    const { queue, feed } = scene();
    const names = numbered(0, 1000);
    for (const [index, name] of names.entries()) {
      await publish(queue, [name], priorities[index % 4]);
      // Times are the order across priorities.
      for (const now = systemClock.nowUs(); systemClock.nowUs() === now; ) await Promise.resolve();
    }
    const other = await feed.follow();
    const follower = await feed.follow({ start: { sinceUs: 0 }, messagesMax: 1 });
    const seen: string[] = [];
    while (seen.length < 500) seen.push(nameOf(await follower.next()));
    await publish(queue, ["live"], 1);
    while (seen.length < 1001) seen.push(nameOf(await follower.next()));
    assert.deepEqual(seen, [...names, "live"], "however little may wait for it, it misses nothing while it catches up");
    assert.equal(nameOf(await other.next()), "live");
    await feed.close();
  });

  test("a follower goes on where another one stood", async () => {
    const { queue, feed } = scene();
    await publish(queue, numbered(0, 20), 2);
    await publish(queue, numbered(20, 40), 3);
    const first = await feed.follow({ streams: [StreamName.attacks], start: { sinceUs: 0 } });
    const seen: string[] = [];
    while (seen.length < 15) seen.push(nameOf(await first.next()));
    const { places } = first;
    first.close();
    const second = await feed.follow({ streams: [StreamName.attacks], start: { places } });
    while (seen.length < 40) seen.push(nameOf(await second.next()));
    assert.deepEqual(
      seen.map(Number).toSorted((a, b) => a - b),
      numbered(0, 40).map(Number),
    );
    await feed.close();
  });

  test("what is gone before it was read is counted as missed", async () => {
    const log = openMemoryMessages({ clock: systemClock });
    const { queue, feed } = scene(log);
    await publish(queue, numbered(0, 50), 2);
    const first = await feed.follow({ streams: [StreamName.attacks], start: { sinceUs: 0 } });
    for (let n = 0; n < 10; n++) await first.next();
    const { places } = first;
    first.close();
    log.removeByHand(StreamName.attacks, 2, 30);
    const second = await feed.follow({ streams: [StreamName.attacks], start: { places } });
    assert.deepEqual(await second.next(), { kind: "missed", stream: StreamName.attacks, messages: 20 });
    assert.equal(nameOf(await second.next()), "30");
    second.close();
    // The same where nothing is left at all, but others know how far the stream had come.
    const watching = await feed.follow({ streams: [StreamName.attacks] });
    log.removeByHand(StreamName.attacks, 2, 50);
    const third = await feed.follow({ streams: [StreamName.attacks], start: { places } });
    assert.deepEqual(await third.next(), { kind: "missed", stream: StreamName.attacks, messages: 40 });
    watching.close();
    await feed.close();
  });

  test("the log is away for a while: followers are told, and miss nothing", async () => {
    const memory = openMemoryMessages({ clock: systemClock });
    let isAway = false;
    const log = new Proxy(memory, {
      get: (target, name: keyof MessageLog) => {
        if (name === "read" && isAway) return () => Promise.reject(new Error("nobody answers"));
        const value: unknown = target[name];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { queue, feed } = scene(log);
    const live = await feed.follow();
    await publish(queue, ["one"]);
    const past = await feed.follow({ start: { sinceUs: 0 } });
    assert.equal(nameOf(await live.next()), "one");
    isAway = true;
    await publish(queue, ["two"]);
    assert.deepEqual(await live.next(), { kind: "away", reason: "nobody answers" });
    assert.deepEqual(await past.next(), { kind: "away", reason: "nobody answers" });
    isAway = false;
    const rest = [await live.next(), await live.next()];
    assert.deepEqual(new Set(rest.map((item) => item?.kind)), new Set(["back", "message"]));
    const kinds = new Map<string, number>();
    while ((kinds.get("message") ?? 0) < 2 || !kinds.has("back")) {
      const item = await past.next();
      kinds.set(item?.kind ?? "", (kinds.get(item?.kind ?? "") ?? 0) + 1);
    }
    assert.deepEqual(Object.fromEntries(kinds), { back: 1, message: 2 });
    await feed.close();
  });

  test("closing ends whoever waits, and whoever waits to begin", async () => {
    const { feed } = scene();
    const follower = await feed.follow();
    const waiting = follower.next();
    await feed.close();
    assert.equal(await waiting, undefined);
    await assert.rejects(feed.follow(), (error) => hasCode(error, "BUS_CLOSED"));
    const { feed: other } = scene();
    await assert.rejects(other.follow({ streams: [] }), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
    await assert.rejects(other.follow({ messagesMax: 0 }), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
    const away = new Proxy(openMemoryMessages({ clock: systemClock }), {
      get: (target, name: keyof MessageLog) => (name === "read" ? () => Promise.reject(new Error("nobody answers")) : target[name]),
    });
    const { feed: third } = scene(away);
    const beginning = assert.rejects(third.follow(), (error) => hasCode(error, "BUS_CLOSED"));
    await third.close();
    await beginning;
  });

  test("a time is found by halving, wherever it lies in a stream", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 60 }), fc.nat(40), fc.nat(200), async (pauses, removed, wanted) => {
        const clock = new ManualClock();
        const log = openMemoryMessages({ clock });
        const base = clock.nowUs();
        const queue = new MessageQueueManager({ log, producerId: "test", clock, random: systemRandom, telemetry: recordingTelemetry() });
        for (const pause of pauses) {
          clock.moveMs(pause);
          await publish(queue, ["x"], 2);
        }
        log.removeByHand(StreamName.attacks, 2, Math.min(removed, pauses.length));
        const left = await log.read(StreamName.attacks, 2, 0, 100);
        for (const sinceUs of [base + wanted * 1000, Number.POSITIVE_INFINITY]) {
          const expected = (left.find(({ publishedUs }) => publishedUs >= sinceUs)?.off ?? (left.at(-1)?.off ?? 0) + 1) - 1;
          const lane = (await seekLanes(log, StreamName.attacks, sinceUs)).find(({ priority }) => priority === 2);
          assert.equal(lane?.off, left.length === 0 ? 0 : expected);
        }
      }),
    );
  });
});
