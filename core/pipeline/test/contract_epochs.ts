/**
 * Why it exists: epochs are opened and sealed, for every adapter.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { zeroHash } from "../src/append_machine.ts";
import type { Bus } from "../src/bus.ts";
import { accept, kinds, shared } from "./contract_tools.ts";
import { Chain, makeFrame, producerId } from "../src/testing/frames.ts";
import { how, keyId, openChain, type OpenSubject } from "./subject.ts";

export function epochContract(open: OpenSubject): void {
  describe("epochs", () => {
    const subject = shared(open, { epochOpeningsPerDayMax: 4 });
    const ask = (bus: Bus, producer: string, expectedEpoch: number) =>
      bus.openEpoch({ producer, expectedEpoch, keyId, registryVersion: how.registryVersion });

    test("R-6 opening seals the old epoch: its end is told, and nothing more of it is accepted", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(20));
      const part = await openChain(bus, chain);
      const first = chain.next(2);
      await accept(bus, part, [first]);
      const late = chain.next(1);
      const end = { epoch: 1, seq: 2, hash: first.link.hash };
      const opening = await ask(bus, chain.producer, 1);
      assert.deepEqual(opening.kind === "opened" && [opening.epoch, opening.prev], [2, end]);
      assert.deepEqual(kinds(await bus.append(part, [late, first], how)), ["fenced", "duplicate"]);
      const head = (await bus.headsOf([chain.producer])).get(chain.producer);
      assert.deepEqual([head?.epoch, head?.seq, head?.prevEpoch, head?.prevSeq], [2, 0, 1, 2]);
      assert.deepEqual(head?.prevHash, first.link.hash);
      const wrong = makeFrame(chain.producer, { epoch: 2, firstSeq: 1, count: 1, prev: { epoch: 1, seq: 3, hash: late.link.hash } });
      const right = makeFrame(chain.producer, { epoch: 2, firstSeq: 1, count: 1, prev: end });
      assert.deepEqual(kinds(await bus.append(part, [wrong, right], how)), ["equivocation", "accepted"]);
    });

    test("R-6 an epoch that was never opened is a gap; a producer without any has an empty head", async () => {
      const { bus } = subject();
      const stranger = makeFrame(producerId(21), { epoch: 1, firstSeq: 1, count: 1, prev: { epoch: 0, seq: 0, hash: zeroHash } });
      const [outcome] = await bus.append(0, [stranger], how);
      assert.equal(outcome?.kind, "gap");
      assert.deepEqual(outcome?.kind === "gap" && [outcome.head.epoch, outcome.head.seq, outcome.head.part], [0, 0, -1]);
      assert.equal((await bus.headsOf([producerId(21)])).size, 0);
    });

    test("R-6 an epoch sealed empty leaves no trace in the chain", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(22));
      const part = await openChain(bus, chain);
      const frame = chain.next(5);
      await accept(bus, part, [frame]);
      await openChain(bus, chain);
      await openChain(bus, chain);
      assert.equal(chain.epoch, 3);
      assert.deepEqual(chain.end, { epoch: 1, seq: 5, hash: frame.link.hash });
      await accept(bus, part, [chain.next(1)]);
    });

    test("R-6 two sessions that open at once: one opens, the other learns the new head", async () => {
      const { bus, other } = subject();
      const producer = producerId(23);
      const outcomes = await Promise.all(
        [ask(bus, producer, 0), ask(other, producer, 0)].map((asked) => asked.catch(() => ({ kind: "undone" }) as const)),
      );
      assert.equal(outcomes.filter(({ kind }) => kind === "opened").length, 1);
      const again = await ask(other, producer, 0);
      assert.deepEqual(again.kind === "conflict" && [again.head.epoch, again.head.seq], [1, 0]);
    });

    test("R-6 openings are limited per day, and a limited producer keeps its epoch", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(24));
      const part = await openChain(bus, chain);
      for (let opening = 0; opening < 3; opening++) await openChain(bus, chain);
      const limited = await ask(bus, chain.producer, 4);
      assert.ok(limited.kind === "limited" && limited.retryAfterMs > 0 && limited.retryAfterMs <= 24 * 3_600_000);
      assert.equal((await ask(bus, chain.producer, 3)).kind, "conflict");
      await accept(bus, part, [chain.next(1)]);
    });

    test("R-6 an append that races with an opening is either before the seal or fenced", async () => {
      const { bus, other } = subject();
      for (let number = 30; number < 36; number++) {
        const chain = new Chain(producerId(number));
        const part = await openChain(bus, chain);
        await accept(bus, part, [chain.next(1)]);
        const [[outcome], opening] = await Promise.all([bus.append(part, [chain.next(1)], how), ask(other, chain.producer, 1)]);
        assert.equal(opening.kind, "opened");
        const sealed = opening.kind === "opened" ? opening.prev.seq : -1;
        assert.deepEqual([outcome?.kind, sealed], outcome?.kind === "accepted" ? ["accepted", 2] : ["fenced", 1]);
      }
    });

    test("stored progress is shown in heads and in outcomes", async () => {
      const { bus, noteStored } = subject();
      const chain = new Chain(producerId(25));
      const part = await openChain(bus, chain);
      await accept(bus, part, [chain.next(3)]);
      await noteStored(chain.producer, 1, 2);
      const head = (await bus.headsOf([chain.producer])).get(chain.producer);
      assert.deepEqual([head?.storedEpoch, head?.storedSeq], [1, 2]);
      const [outcome] = await bus.append(part, [chain.next(1)], how);
      assert.deepEqual(outcome?.kind === "accepted" && [outcome.head.storedEpoch, outcome.head.storedSeq], [1, 2]);
    });
  });
}
