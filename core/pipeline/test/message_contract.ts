/**
 * Why it exists: the message port's guarantees as tests, for every adapter.
 * Enforces: src/messages/port.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deliveriesMax } from "../src/messages/delivery_machine.ts";
import { deadLetterOf, retriesExceeded } from "../src/messages/dead_letter.ts";
import { StreamName } from "../src/messages/message.ts";
import type { DeadLetterPayload } from "../src/messages/payloads.ts";
import type { Delivery, Settlement } from "../src/messages/port.ts";
import { keeping } from "./message_keeping_contract.ts";
import {
  attack,
  attacks,
  leaseMs,
  type MessageSubject,
  nameOf,
  only,
  type OpenMessages,
  shared,
  shortMs,
  soon,
  take,
} from "./message_subject.ts";

export function messageContract(name: string, open: OpenMessages): void {
  describe(`message contract: ${name}`, () => {
    sharing(open);
    retries(open);
    order(open);
    keeping(open);
  });
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

    test("R-27 a text arrives as it went, also what databases and UTF-8 refuse", async () => {
      const { log } = subject();
      const names = ["a NUL \u0000", "half \ud800", "\udfff", "whole \ud83d\ude00", "\\ud800 ' $1 \r\n"];
      await log.publish(names.map((name) => attack(name)));
      assert.deepEqual((await take(log, "group:text", 64)).deliveries.map(nameOf).slice(-names.length), names);
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

    test("EB-4 a delivery that is ended twice at once ends once, the first time it is out and later", async () => {
      const { log } = subject();
      const twice = async (delivery: Delivery, how: Settlement): Promise<void> => {
        const said = await Promise.all([log.settle(delivery, how), log.settle(delivery, { kind: "done" })]);
        assert.deepEqual(said.toSorted(), ["fenced", "settled"]);
      };
      await log.rewind(attacks, "group:twice", Number.MAX_SAFE_INTEGER);
      await log.publish([attack("twice")]);
      await twice(await only(log, "group:twice"), { kind: "done" });
      await log.publish([attack("thrice")]);
      const first = await only(log, "group:twice");
      assert.equal(await log.settle(first, { kind: "retry", reason: "again", delayMs: 0 }), "settled");
      await twice(await soon(subject(), "group:twice", "one"), { kind: "done" });
      assert.deepEqual((await take(log, "group:twice", 5)).deliveries, []);
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

    test("of what was taken at once each ends by itself: settled, prolonged, given back or left to its lease", async () => {
      const { log, pass } = subject();
      await log.createGroup(attacks, "group:parts", "end");
      await log.publish(["a", "b", "c", "d", "e", "f"].map((name) => attack(name)));
      const { deliveries } = await take(log, "group:parts", 6, "one", 300);
      const of = (name: string): Delivery => deliveries.find((one) => nameOf(one) === name) as Delivery;
      assert.equal(await log.settle(of("a"), { kind: "done" }), "settled");
      assert.deepEqual(await log.extend([of("a"), of("b"), of("f")], leaseMs), [of("b"), of("f")]);
      assert.equal(await log.settle(of("c"), { kind: "release" }), "settled");
      assert.equal(await log.settle(of("d"), { kind: "retry", reason: "not yet", delayMs: 3_600_000 }), "settled");
      const [released] = (await take(log, "group:parts", 6, "two")).deliveries;
      assert.deepEqual([released && nameOf(released), released?.deliveries, released?.failures], ["c", 1, []]);
      const status = async (): Promise<number | undefined> =>
        (await log.groups(attacks)).find(({ group }) => group === "group:parts")?.pending;
      assert.equal(await status(), 5);
      await pass(400);
      const expired = (await take(log, "group:parts", 6, "two")).deliveries;
      assert.deepEqual(
        expired.map((one) => [nameOf(one), one.deliveries, one.failures.map(({ reason, member }) => [reason, member])]),
        [["e", 2, [["no answer within the lease", "one"]]]],
      );
      assert.equal(await log.settle(of("e"), { kind: "done" }), "fenced");
      assert.deepEqual(await log.extend([of("b"), of("c"), of("e"), of("f")], leaseMs), [of("b"), of("f")]);
      for (const name of ["b", "f"]) assert.equal(await log.settle(of(name), { kind: "done" }), "settled");
      assert.equal(await status(), 3);
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
      // The other one comes whenever nothing is due again.
      const poison = async (member: string): Promise<Delivery> => {
        const delivery = await soon(subject(), "group:poison", member);
        if (nameOf(delivery) === "poison") return delivery;
        await log.settle(delivery, { kind: "done" });
        return soon(subject(), "group:poison", member);
      };
      for (let attempt = 1; attempt <= deliveriesMax; attempt++) {
        const delivery = await poison(`member ${attempt}`);
        assert.deepEqual([nameOf(delivery), delivery.deliveries, delivery.exhausted], ["poison", attempt, false]);
        assert.equal(delivery.message.retry_count, attempt - 1);
        assert.equal(await log.settle(delivery, { kind: "retry", reason: `failure ${attempt} 💥`, delayMs: 5 }), "settled");
      }
      const last = await poison("undertaker");
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
