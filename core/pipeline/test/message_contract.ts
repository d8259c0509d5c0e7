/**
 * Why it exists: the message port's guarantees as tests, for every adapter.
 * Enforces: src/messages/port.ts.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { deliveriesMax } from "../src/messages/delivery_machine.ts";
import { deadLetterOf, retriesExceeded } from "../src/messages/dead_letter.ts";
import { type Message, type MessagePriority, StreamName } from "../src/messages/message.ts";
import type { DeadLetterPayload } from "../src/messages/payloads.ts";
import type { Delivery, MessageLog, Taken } from "../src/messages/port.ts";
import type { MessageLogOptions } from "../src/messages/settings.ts";
import { producerId } from "../src/testing/frames.ts";

export interface MessageSubject {
  readonly log: MessageLog;
  /** A second, independent way in. */
  readonly other: MessageLog;
  /** Lets this much time pass by the servers' clock. */
  readonly pass: (ms: number) => Promise<void>;
  /** Removes the oldest entries of a log as somebody with a client of his own would. */
  readonly removeByHand: (stream: StreamName, priority: MessagePriority, upToOff: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export type OpenMessages = (options?: Partial<MessageLogOptions>) => Promise<MessageSubject>;

const attacks = StreamName.attacks;
const leaseMs = 60_000;
/** A lease that a test lets run out. */
const shortMs = 60;
let made = 0;

/** A message nobody else has; `name` is what a test knows it by. */
export function attack(name: string, priority: MessagePriority = 2): Message {
  made += 1;
  return {
    message_id: producerId(700_000 + made),
    stream: attacks,
    payload: { attack_type: name, source: { kind: "honeypot", name: "decoy" } },
    priority,
    timestamp: "2026-01-01T00:00:00.000Z",
    producer_id: "test",
    retry_count: 0,
  };
}

export function nameOf({ message }: { readonly message: Message }): string {
  return (message.payload as { attack_type: string }).attack_type;
}

export function messageContract(name: string, open: OpenMessages): void {
  describe(`message contract: ${name}`, () => {
    sharing(open);
    retries(open);
    order(open);
    keeping(open);
  });
}

function shared(open: OpenMessages, options: Parameters<OpenMessages>[0] = {}): () => MessageSubject {
  let subject: MessageSubject | undefined;
  before(async () => {
    subject = await open(options);
  });
  after(() => subject?.close());
  return () => subject as MessageSubject;
}

const take = (log: MessageLog, group: string, max: number, member = "one", ms = leaseMs): Promise<Taken> =>
  log.take(attacks, group, member, { max, leaseMs: ms });
const only = async (log: MessageLog, group: string, member = "one", ms = leaseMs): Promise<Delivery> => {
  const { deliveries } = await take(log, group, 1, member, ms);
  assert.equal(deliveries.length, 1);
  return deliveries[0] as Delivery;
};

/** Takes until something comes: a lease or a back-off is about to end by the servers' clock. */
async function soon({ log, pass }: MessageSubject, group: string, member: string): Promise<Delivery> {
  for (let tries = 0; tries < 500; tries++) {
    const [delivery] = (await take(log, group, 1, member)).deliveries;
    if (delivery !== undefined) return delivery;
    await pass(10);
  }
  throw new Error("nothing became due");
}

function sharing(open: OpenMessages): void {
  describe("sharing", () => {
    const subject = shared(open);

    test("BUS-8 a message goes to one member of a group and to every group; what is settled does not come again", async () => {
      const { log, other } = subject();
      await log.publish([attack("a"), attack("b"), attack("c")]);
      const first = await take(log, "group:a", 2);
      const second = await take(other, "group:a", 5, "two");
      assert.deepEqual([...first.deliveries, ...second.deliveries].map(nameOf), ["a", "b", "c"]);
      for (const delivery of [...first.deliveries, ...second.deliveries])
        assert.equal(await log.settle(delivery, { kind: "done" }), "settled");
      assert.deepEqual((await take(log, "group:a", 5)).deliveries, []);
      assert.deepEqual((await take(log, "group:b", 5)).deliveries.map(nameOf), ["a", "b", "c"]);
    });

    test("EB-4 BUS-6 what a dead member had comes to another when its lease ends; the dead one's late word is fenced", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:lease", "end");
      await log.publish([attack("held")]);
      const lost = await only(log, "group:lease", "one", shortMs);
      assert.deepEqual((await take(log, "group:lease", 5, "two")).deliveries, []);
      const again = await soon(subject(), "group:lease", "two");
      assert.deepEqual([nameOf(again), again.deliveries, again.failures.length], ["held", 2, 1]);
      assert.ok(again.token > lost.token);
      assert.equal(await log.settle(lost, { kind: "done" }), "fenced");
      assert.equal(await log.settle(lost, { kind: "retry", reason: "late", delayMs: 0 }), "fenced");
      assert.deepEqual(await log.extend([lost], leaseMs), []);
      assert.equal(await log.settle(again, { kind: "done" }), "settled");
      assert.equal(await log.settle(again, { kind: "done" }), "fenced");
    });

    test("a lease that is prolonged goes on", async () => {
      const { log, pass } = subject();
      await log.createGroup(attacks, "group:extend", "end");
      await log.publish([attack("kept")]);
      const mine = await only(log, "group:extend", "one", 1000);
      for (let round = 0; round < 4; round++) {
        assert.deepEqual(
          (await log.extend([mine], 1000)).map(({ token }) => token),
          [mine.token],
        );
        await pass(400);
      }
      assert.deepEqual((await take(log, "group:extend", 1, "two")).deliveries, []);
      assert.equal(await log.settle(mine, { kind: "done" }), "settled");
    });

    test("what was not begun is released: at once somebody else's, and not counted", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:release", "end");
      await log.publish([attack("unbegun")]);
      const mine = await only(log, "group:release");
      assert.equal(await log.settle(mine, { kind: "release" }), "settled");
      const theirs = await only(log, "group:release", "two");
      assert.deepEqual([theirs.deliveries, theirs.failures], [1, []]);
    });

    test("R-27 a message that is published twice is stored once", async () => {
      const { log, other } = subject();
      const message = attack("once");
      assert.equal((await log.publish([message]))[0]?.kind, "published");
      assert.equal((await other.publish([message]))[0]?.kind, "duplicate");
    });
  });
}

function retries(open: OpenMessages): void {
  describe("retries and dead letters", () => {
    const subject = shared(open);

    test("EB-5 BUS-7 a message that fails four times is handed out once more, to be buried, and its dead letter tells all", async () => {
      const { log } = subject();
      const message = attack("poison");
      await log.createGroup(attacks, "group:poison", "end");
      await log.publish([message, attack("fine")]);
      for (let attempt = 1; attempt <= deliveriesMax; attempt++) {
        const delivery = await soon(subject(), "group:poison", `member ${attempt}`);
        if (nameOf(delivery) === "fine") {
          await log.settle(delivery, { kind: "done" });
          attempt -= 1;
          continue;
        }
        assert.deepEqual([nameOf(delivery), delivery.deliveries, delivery.exhausted], ["poison", attempt, false]);
        assert.equal(delivery.message.retry_count, attempt - 1);
        assert.equal(await log.settle(delivery, { kind: "retry", reason: `failure ${attempt} 💥`, delayMs: 5 }), "settled");
      }
      const last = await soon(subject(), "group:poison", "undertaker");
      assert.deepEqual([last.exhausted, last.deliveries], [true, deliveriesMax]);
      const letter = deadLetterOf(last, retriesExceeded, { member: "undertaker", nowUs: 1_700_000_000_000_000 });
      assert.equal(await log.bury(last, letter), "settled");
      assert.equal(await log.bury(last, letter), "fenced");
      const [stored] = await log.read(StreamName.deadLetter, 2, 0, 10);
      const payload = stored?.message.payload as DeadLetterPayload;
      assert.deepEqual([payload.original_stream, payload.reason, payload.group], [attacks, "Max retries exceeded", "group:poison"]);
      assert.equal(payload.original_message.message_id, message.message_id);
      assert.deepEqual(payload.original_message.payload, message.payload);
      assert.deepEqual(
        payload.failures.map(({ reason, member }) => [reason, member]),
        [1, 2, 3, 4].map((attempt) => [`failure ${attempt} 💥`, `member ${attempt}`]),
      );
      // Where the back-offs ended before anything new was asked for, the other one is still there.
      const left = (await take(log, "group:poison", 5)).deliveries;
      assert.deepEqual(
        left.map(nameOf).filter((name) => name !== "fine"),
        [],
      );
    });

    test("EB-5 BUS-7 a message whose consumers die without a word is counted all the same", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:killer", "end");
      await log.publish([attack("killer")]);
      for (let attempt = 1; attempt <= deliveriesMax; attempt++) {
        const found = attempt === 1 ? await only(log, "group:killer", "victim 1", shortMs) : undefined;
        const delivery = found ?? (await again(subject(), "group:killer", `victim ${attempt}`));
        assert.deepEqual([delivery.deliveries, delivery.exhausted], [attempt, false]);
      }
      const last = await soon(subject(), "group:killer", "undertaker");
      assert.equal(last.exhausted, true);
      assert.deepEqual(
        last.failures.map(({ member, reason }) => [member, reason]),
        [1, 2, 3, 4].map((attempt) => [`victim ${attempt}`, "no answer within the lease"]),
      );
    });

    test("a back-off is kept: what is not due yet is nobody's", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:wait", "end");
      await log.publish([attack("later")]);
      const delivery = await only(log, "group:wait");
      await log.settle(delivery, { kind: "retry", reason: "not now", delayMs: 3_600_000 });
      const { deliveries, nextDueMs } = await take(log, "group:wait", 5);
      assert.deepEqual(deliveries, []);
      assert.ok(nextDueMs !== null && nextDueMs > 3_000_000 && nextDueMs <= 3_600_000);
    });
  });
}

async function again({ log, pass }: MessageSubject, group: string, member: string): Promise<Delivery> {
  for (let tries = 0; tries < 500; tries++) {
    const [delivery] = (await take(log, group, 1, member, shortMs)).deliveries;
    if (delivery !== undefined) return delivery;
    await pass(10);
  }
  throw new Error("nothing became due");
}

function order(open: OpenMessages): void {
  describe("priorities", () => {
    const subject = shared(open);

    test("EB-6 R-11 a critical message overtakes waiting lower ones, and each priority keeps its order", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:urgent", "end");
      await log.publish([
        attack("low 1", 1),
        attack("normal 1", 2),
        attack("low 2", 1),
        attack("normal 2", 2),
        attack("critical", 4),
        attack("high", 3),
      ]);
      const { deliveries } = await take(log, "group:urgent", 64);
      const names = deliveries.map(nameOf);
      // The first turn of a cycle is the lowest priority's.
      assert.deepEqual(names, ["low 1", "critical", "high", "normal 1", "normal 2", "low 2"]);
    });

    test("EB-6 R-11 nobody starves: in 64 deliveries every priority that waits has its turns", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:cycle", "end");
      for (const priority of [1, 2, 3, 4] as const)
        await log.publish(Array.from({ length: 80 }, (_, index) => attack(`${priority} ${index}`, priority)));
      const turns = new Map<number, number>();
      const seen: string[] = [];
      for (let round = 0; round < 64; round++) {
        const delivery = await only(log, "group:cycle");
        turns.set(delivery.priority, (turns.get(delivery.priority) ?? 0) + 1);
        seen.push(nameOf(delivery));
        await log.settle(delivery, { kind: "done" });
      }
      assert.deepEqual(
        [1, 2, 3, 4].map((priority) => turns.get(priority)),
        [1, 4, 8, 51],
      );
      for (const priority of [1, 2, 3, 4]) {
        const own = seen.filter((name) => name.startsWith(`${priority} `));
        assert.deepEqual(
          own,
          own.map((_, index) => `${priority} ${index}`),
        );
      }
    });
  });
}

function keeping(open: OpenMessages): void {
  describe("keeping", () => {
    const subject = shared(open, { entriesMax: 20, entriesUnreadMax: 20 });
    const [rewinding, vanishing] = [shared(open), shared(open)];
    const roomy = shared(open, { entriesMax: 10, entriesUnreadMax: 40 });

    test("EB-7 R-26 a group that is away stalls no publisher up to the bound of what is unread, and misses nothing", async () => {
      const { log } = roomy();
      await log.createGroup(attacks, "group:away", "beginning");
      const sent = Array.from({ length: 40 }, (_, index) => attack(`${index}`));
      for (const message of sent) assert.equal((await log.publish([message]))[0]?.kind, "published");
      assert.equal((await log.publish([attack("too much")]))[0]?.kind, "full");
      assert.equal(await log.trim(attacks), 0);
      const { deliveries } = await take(log, "group:away", 64);
      assert.deepEqual(
        deliveries.map(nameOf),
        sent.map((message) => nameOf({ message })),
      );
      for (const delivery of deliveries) await log.settle(delivery, { kind: "done" });
      assert.equal(await log.trim(attacks), 30);
      assert.equal((await log.read(attacks, 2, 0, 100)).length, 10);
    });

    test("EB-7 BUS-5 a stream at its bound drops what everybody has settled, and is full before it drops anything else (R-26)", async () => {
      const { log } = subject();
      await log.createGroup(attacks, "group:slow", "beginning");
      const sent = Array.from({ length: 20 }, (_, index) => attack(`${index}`));
      assert.ok((await log.publish(sent)).every(({ kind }) => kind === "published"));
      assert.equal((await log.publish([attack("too much")]))[0]?.kind, "full");
      const { deliveries } = await take(log, "group:slow", 5);
      assert.equal((await log.publish([attack("still")]))[0]?.kind, "full", "what is out is not settled");
      await log.settle(deliveries[0] as Delivery, { kind: "done" });
      assert.equal((await log.publish([attack("in its place")]))[0]?.kind, "published");
      const kept = await log.read(attacks, 2, 0, 100);
      assert.deepEqual([nameOf(kept[0] as (typeof kept)[0]), kept[0]?.off, kept.length], ["1", 2, 20]);
      assert.equal((await log.publish([sent[19] as Message]))[0]?.kind, "duplicate");
    });

    test("a rewind hands out again what was published from a time on, and voids what is out", async () => {
      const { log, pass } = rewinding();
      await log.publish([attack("before")]);
      await pass(20);
      await log.publish([attack("after", 3), attack("after too", 1)]);
      const stored = await log.read(attacks, 3, 0, 1);
      const { deliveries } = await take(log, "group:rewind", 10);
      assert.equal(deliveries.length, 3);
      await log.settle(deliveries[0] as Delivery, { kind: "done" });
      await log.rewind(attacks, "group:rewind", stored[0]?.publishedUs ?? 0);
      assert.equal(await log.settle(deliveries[1] as Delivery, { kind: "done" }), "fenced");
      const again = await take(log, "group:rewind", 10);
      assert.deepEqual(again.deliveries.map(nameOf).toSorted(), ["after", "after too"]);
    });

    test("EB-7 entries that somebody removed by hand are told as missing, and counted, once", async () => {
      const { log, removeByHand } = vanishing();
      await log.publish([attack("0"), attack("1"), attack("2"), attack("3")]);
      const first = await only(log, "group:hole", "one", shortMs);
      assert.equal(nameOf(first), "0");
      await removeByHand(attacks, 2, 3);
      const found: Taken[] = [];
      const gone = (): number[] =>
        found.flatMap(({ missing }) =>
          missing.flatMap(({ fromOff, toOff }) => Array.from({ length: toOff - fromOff + 1 }, (_, index) => fromOff + index)),
        );
      for (let tries = 0; tries < 200 && gone().length < 3; tries++) {
        found.push(await take(log, "group:hole", 10, "two"));
        await vanishing().pass(10);
      }
      assert.deepEqual(
        gone().toSorted((a, b) => a - b),
        [1, 2, 3],
      );
      assert.deepEqual(
        found.flatMap(({ deliveries }) => deliveries.map(nameOf)),
        ["3"],
      );
      const status = (await log.groups(attacks)).find(({ group }) => group === "group:hole");
      assert.deepEqual([status?.missing, status?.waiting, status?.pending], [3, [0, 0, 0, 0], 1]);
    });
  });

  describe("dead groups", () => {
    const subject = shared(open, { entriesMax: 4, entriesUnreadMax: 4, groupDeadMs: 300 });

    test("BUS-10 a group that is dead past its limit is not waited for; its place is kept, and what it missed is told", async () => {
      const { log, pass } = subject();
      await log.createGroup(attacks, "group:dead", "beginning");
      await log.publish(["0", "1", "2", "3"].map((name) => attack(name)));
      await pass(400);
      await take(log, "group:alive", 10).then(({ deliveries }) => Promise.all(deliveries.map((one) => log.settle(one, { kind: "done" }))));
      assert.equal((await log.publish([attack("4")]))[0]?.kind, "published");
      const dead = (await log.groups(attacks)).find(({ group }) => group === "group:dead");
      assert.equal(dead?.quarantined, true);
      const back = await take(log, "group:dead", 10);
      assert.ok(back.missing.length > 0);
      const gone = back.missing.reduce((sum, { fromOff, toOff }) => sum + toOff - fromOff + 1, 0);
      assert.equal(gone + back.deliveries.length, 5, "each of them missing or handed out");
      assert.equal((await log.groups(attacks)).find(({ group }) => group === "group:dead")?.quarantined, false);
    });
  });
}
