/**
 * Why it exists: append if next, for every adapter: verdicts, order, races.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { zeroHash } from "../src/append_machine.ts";
import type { BusEntry, FrameAppend } from "../src/bus.ts";
import { accept, everything, kinds, shared } from "./contract_tools.ts";
import { Chain, makeFrame, producerId } from "../src/testing/frames.ts";
import { how, openChain, type OpenSubject } from "./subject.ts";

export function appendContract(open: OpenSubject): void {
  describe("append if next", () => {
    const subject = shared(open);

    test("R-2 a frame is accepted once; the same frame again, also an old one, is a duplicate", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(1));
      const part = await openChain(bus, chain);
      const frames = [chain.next(3), chain.next(1), chain.next(2)];
      assert.deepEqual(kinds(await bus.append(part, frames, how)), ["accepted", "accepted", "accepted"]);
      assert.deepEqual(kinds(await bus.append(part, frames, how)), ["duplicate", "duplicate", "duplicate"]);
      assert.deepEqual(kinds(await bus.append(part, frames.slice(0, 1), how)), ["duplicate"]);
      const head = (await bus.headsOf([chain.producer])).get(chain.producer);
      assert.equal(head?.seq, 6);
      assert.deepEqual(head?.hash, chain.end.hash);
    });

    test("FM-13 a duplicate says which gate accepted it and which life of that gate, also when the epoch is over", async () => {
      const { bus, other } = subject();
      const chain = new Chain(producerId(9));
      const part = await openChain(bus, chain);
      const lives = [
        { ...how, gateway: "gate-1", incarnation: producerId(901) },
        { ...how, gateway: "gate-1", incarnation: producerId(902) },
        { ...how, gateway: "gate-2", incarnation: producerId(903) },
      ];
      const frames = lives.map(() => chain.next(2));
      for (const [index, life] of lives.entries()) {
        assert.deepEqual(kinds(await (index === 1 ? other : bus).append(part, [frames[index] as FrameAppend], life)), ["accepted"]);
      }
      const accepters = async (by: (typeof lives)[number], again: readonly FrameAppend[]): Promise<unknown[]> =>
        (await bus.append(part, again, by)).map((outcome) => outcome.kind === "duplicate" && outcome.acceptedBy);
      const wanted = lives.map(({ gateway, incarnation }) => ({ gateway, incarnation }));
      for (const life of lives) assert.deepEqual(await accepters(life, frames), wanted);
      const fourth = chain.next(1);
      const [first, second] = await bus.append(part, [fourth, fourth], lives[2] as (typeof lives)[number]);
      assert.equal(first?.kind, "accepted");
      assert.deepEqual(second?.kind === "duplicate" && second.acceptedBy, wanted[2], "within one call, too");
      await openChain(bus, chain);
      assert.deepEqual(await accepters({ ...how, gateway: "gate-3" }, frames), wanted);
    });

    test("R-37 a frame ahead of the head is a gap and tells the head", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(2));
      const part = await openChain(bus, chain);
      await accept(bus, part, [chain.next(4)]);
      chain.next(1);
      const [outcome] = await bus.append(part, [chain.next(1)], how);
      assert.equal(outcome?.kind, "gap");
      assert.equal(outcome?.kind === "gap" && outcome.head.seq, 4);
    });

    test("R-2 other bytes, other boundaries or another past at a taken place are equivocation", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(3));
      const part = await openChain(bus, chain);
      const first = chain.end;
      await accept(bus, part, [chain.next(3), chain.next(3)]);
      const twin = makeFrame(chain.producer, { epoch: 1, firstSeq: 1, count: 3, prev: first, salt: "twin" });
      const within = makeFrame(chain.producer, { epoch: 1, firstSeq: 2, count: 3, prev: { epoch: 1, seq: 1, hash: zeroHash } });
      const longer = makeFrame(chain.producer, { epoch: 1, firstSeq: 4, count: 9, prev: { epoch: 1, seq: 3, hash: zeroHash } });
      const otherPast = makeFrame(chain.producer, { epoch: 1, firstSeq: 7, count: 1, prev: { epoch: 1, seq: 6, hash: twin.link.hash } });
      assert.deepEqual(kinds(await bus.append(part, [twin, within, longer, otherPast], how)), Array(4).fill("equivocation"));
      assert.deepEqual(kinds(await bus.append(part, [chain.next(1)], how)), ["accepted"]);
    });

    test("a frame after a refused one of the same producer is judged on the true head", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(4));
      const part = await openChain(bus, chain);
      const [a, b, c] = [chain.next(1), chain.next(1), chain.next(1)];
      assert.deepEqual(kinds(await bus.append(part, [a, c, b, c, a], how)), ["accepted", "gap", "accepted", "accepted", "duplicate"]);
    });

    test("frames of several producers in one call are judged each on its own chain", async () => {
      const { bus } = subject();
      const here: Chain[] = [];
      let part = -1;
      for (let number = 100; here.length < 3; number++) {
        const chain = new Chain(producerId(number));
        const opened = await openChain(bus, chain);
        if (part < 0) part = opened;
        if (opened === part) here.push(chain);
      }
      const [x, y, z] = here as [Chain, Chain, Chain];
      const skipped = z.next(1);
      const outcomes = await bus.append(part, [x.next(1), y.next(2), x.next(1), z.next(1), y.next(1)], how);
      assert.deepEqual(kinds(outcomes), ["accepted", "accepted", "accepted", "gap", "accepted"]);
      assert.deepEqual(kinds(await bus.append(part, [skipped], how)), ["accepted"]);
    });

    test("R-7 a frame that is next but came to another partition is misrouted and stores nothing", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(5));
      const part = await openChain(bus, chain);
      const frame = chain.next(2);
      const [outcome] = await bus.append((part + 1) % bus.partitions, [frame], how);
      assert.equal(outcome?.kind, "misrouted");
      assert.equal(outcome?.kind === "misrouted" && outcome.head.part, part);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["accepted"]);
      assert.deepEqual(kinds(await bus.append((part + 1) % bus.partitions, [frame], how)), ["duplicate"]);
    });

    test("gap frames are links of the chain like others", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(6));
      const part = await openChain(bus, chain);
      const frame = chain.next(500);
      const gap: FrameAppend = { ...frame, link: { ...frame.link, kind: "gap" } };
      const [position] = await accept(bus, part, [gap]);
      await accept(bus, part, [chain.next(1)]);
      const entries = await bus.read(part, null, everything);
      const found = entries.find((entry) => entry.position.off === position?.off);
      assert.equal(found?.link.kind, "gap");
      assert.equal(found?.link.count, 500);
    });

    test("R-1 concurrent appends to one partition: offsets are dense, each caller sees its own, readers see them in order", async () => {
      const { bus, other } = subject();
      const chains: Chain[] = [];
      let part = -1;
      for (let number = 200; chains.length < 8; number++) {
        const chain = new Chain(producerId(number));
        const opened = await openChain(bus, chain);
        if (part < 0) part = opened;
        if (opened === part) chains.push(chain);
      }
      const start = (await bus.tails())[part]?.off ?? 0;
      let seen = start;
      const watching = new AbortController();
      const watch = (async (): Promise<void> => {
        while (!watching.signal.aborted) {
          const entries: BusEntry[] = await bus.read(part, null, everything);
          entries.forEach((entry, index) => assert.equal(entry.position.off, index + 1));
          assert.ok(entries.length >= seen, "an entry that was visible is gone");
          seen = entries.length;
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const offsets = await Promise.all(
        chains.map(async (chain, index) => {
          const via = index % 2 === 0 ? bus : other;
          const own: number[] = [];
          for (let frame = 0; frame < 10; frame++)
            own.push(...(await accept(via, part, [chain.next(1), chain.next(2)])).map(({ off }) => off));
          return own;
        }),
      );
      watching.abort();
      await watch;
      for (const own of offsets)
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
        );
      assert.deepEqual(
        offsets.flat().toSorted((a, b) => a - b),
        Array.from({ length: 160 }, (_, index) => start + index + 1),
      );
      assert.equal((await bus.tails())[part]?.off, start + 160);
    });

    test("R-2 two gates that append the same frames at once: exactly one is accepted, the other a duplicate", async () => {
      const { bus, other } = subject();
      const chain = new Chain(producerId(7));
      const part = await openChain(bus, chain);
      for (let round = 0; round < 10; round++) {
        const frame = chain.next(1);
        const outcomes = await Promise.all([bus.append(part, [frame], how), other.append(part, [frame], how)]);
        assert.deepEqual(outcomes.map(kinds).flat().sort(), ["accepted", "duplicate"]);
      }
      const clone = new Chain(chain.producer);
      Object.assign(clone, { epoch: chain.epoch, seq: chain.seq, end: chain.end });
      const outcomes = await Promise.all([
        bus.append(part, [chain.next(1, { salt: "one" })], how),
        other.append(part, [clone.next(1, { salt: "two" })], how),
      ]);
      assert.deepEqual(outcomes.map(kinds).flat().sort(), ["accepted", "equivocation"]);
    });

    test("a malformed frame is a defect of the caller and stores nothing", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(8));
      const part = await openChain(bus, chain);
      const good = chain.next(1);
      const bad: FrameAppend = { ...good, link: { ...good.link, hash: Buffer.alloc(31) } };
      await assert.rejects(bus.append(part, [good, bad], how), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
      assert.deepEqual(kinds(await bus.append(part, [good], how)), ["accepted"]);
      await assert.rejects(bus.append(bus.partitions, [good], how), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
      await assert.rejects(bus.append(part, [good], { ...how, incarnation: "" }), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
    });
  });
}
