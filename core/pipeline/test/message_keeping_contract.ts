/**
 * Why it exists: what a stream keeps, for whom, and what it tells of the rest, as tests for every adapter.
 * Enforces: src/messages/port.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message, MessagePriority } from "../src/messages/message.ts";
import type { Delivery, Taken } from "../src/messages/port.ts";
import {
  attack,
  attacks,
  bytesOf,
  type MessageSubject,
  nameOf,
  only,
  type OpenMessages,
  shared,
  shortMs,
  take,
} from "./message_subject.ts";

export function keeping(open: OpenMessages): void {
  describe("keeping", () => {
    const subject = shared(open, { entriesMax: 20, entriesUnreadMax: 20 });
    const [rewinding, vanishing] = [shared(open), shared(open)];
    const roomy = shared(open, { entriesMax: 10, entriesUnreadMax: 40 });
    const each = bytesOf(attack("00"));
    const light = shared(open, { bytesMax: 10 * each, bytesUnreadMax: 40 * each });
    const heavy = shared(open, { bytesMax: 20 * each, bytesUnreadMax: 20 * each });

    test("EB-7 R-26 a group that is away stalls no publisher up to the bound of what is unread, and misses nothing", () =>
      fillAndEmpty(roomy()));

    test("EB-7 BUS-5 R-26 bytes bound a stream as entries do: what waits is kept up to one bound, what is settled up to another", () =>
      fillAndEmpty(light()));

    test("EB-7 BUS-5 a large message takes the room of many, and the least urgent make room for it first", async () => {
      const { log } = heavy();
      const names = (priority: MessagePriority): Promise<string[]> => log.read(attacks, priority, 0, 100).then((all) => all.map(nameOf));
      const large = attack("a".repeat(8 * each), 4);
      await log.publish(["1", "2", "3", "4", "5"].map((name) => attack(`4${name}`, 4)));
      await log.publish(["1", "2", "3", "4", "5", "6", "7", "8"].map((name) => attack(`1${name}`, 1)));
      await log.publish(["1", "2"].map((name) => attack(`2${name}`, 2)));
      assert.equal((await log.publish([large]))[0]?.kind, "published", "what has room for one byte takes a whole message");
      assert.equal((await log.publish([attack("23", 2), attack("24", 2)])).map(({ kind }) => kind).join(), "published,published");
      // It is as large as nine: five of the least urgent have gone for the next one, which brings the stream to its bound; one is beyond it now.
      assert.equal(await log.trim(attacks), 1);
      assert.deepEqual(await names(1), ["17", "18"]);
      assert.deepEqual(await names(2), ["21", "22", "23", "24"]);
      assert.equal((await names(4)).length, 6);
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

/** Publishes messages of one size to a stream that takes 40 which a group has yet to read, and keeps 10 that it has. */
async function fillAndEmpty({ log }: MessageSubject): Promise<void> {
  await log.createGroup(attacks, "group:away", "beginning");
  const sent = Array.from({ length: 40 }, (_, index) => attack(`${10 + index}`));
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
}
