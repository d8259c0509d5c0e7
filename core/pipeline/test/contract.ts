/**
 * Why it exists: the port's guarantees as tests, for every adapter (style rule 11). `busContract("memory", openMemory)`.
 * Enforces: bus.ts. What only one adapter does stands in that adapter's own test file.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { AppendOutcome, Bus, BusEntry, FrameAppend, Lease, Position, ReadOptions } from "../src/bus.ts";
import { zeroHash } from "../src/append_machine.ts";
import { Chain, makeFrame, producerId } from "./frames.ts";
import { groupContract } from "./contract_groups.ts";
import { how, keyId, openChain, type OpenSubject, type Subject } from "./subject.ts";

export const everything: ReadOptions = { framesMax: 10_000, bytesMax: 1 << 30 };

export function kinds(outcomes: readonly AppendOutcome[]): string[] {
  return outcomes.map(({ kind }) => kind);
}

/** Appends frames that must all be accepted; gives their positions. */
export async function accept(bus: Bus, part: number, frames: readonly FrameAppend[]): Promise<Position[]> {
  const outcomes = await bus.append(part, frames, how);
  return outcomes.map((outcome) => {
    if (outcome.kind !== "accepted") throw new Error(`not accepted: ${outcome.kind}`);
    return outcome.position;
  });
}

/** Runs the contract against one adapter. `open` gives an empty bus each time. */
export function busContract(name: string, open: OpenSubject): void {
  describe(`bus contract: ${name}`, () => {
    appendContract(open);
    epochContract(open);
    readContract(open);
    registryContract(open);
    groupContract(open);
  });
}

/** One fresh subject per describe block; tests inside use producers of their own. */
export function shared(open: OpenSubject, options?: { readonly epochOpeningsPerDayMax?: number }): () => Subject {
  let subject: Subject | undefined;
  before(async () => {
    subject = await open(options);
  });
  after(() => subject?.close());
  return () => {
    if (subject === undefined) throw new Error("the bus is not open yet");
    return subject;
  };
}

function appendContract(open: OpenSubject): void {
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
      let done = false;
      const watch = (async (): Promise<void> => {
        while (!done) {
          const entries: BusEntry[] = await bus.read(part, null, everything);
          entries.forEach((entry, index) => assert.equal(entry.position.off, index + 1));
          assert.ok(entries.length >= seen, "an entry that was visible is gone");
          seen = entries.length;
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const offsets = await Promise.all(chains.map(async (chain, index) => {
        const via = index % 2 === 0 ? bus : other;
        const own: number[] = [];
        for (let frame = 0; frame < 10; frame++) own.push(...(await accept(via, part, [chain.next(1), chain.next(2)])).map(({ off }) => off));
        return own;
      }));
      done = true;
      await watch;
      for (const own of offsets) assert.deepEqual(own, own.toSorted((a, b) => a - b));
      assert.deepEqual(offsets.flat().toSorted((a, b) => a - b), Array.from({ length: 160 }, (_, index) => start + index + 1));
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
      const outcomes = await Promise.all([bus.append(part, [chain.next(1, { salt: "one" })], how), other.append(part, [clone.next(1, { salt: "two" })], how)]);
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
    });
  });
}

function epochContract(open: OpenSubject): void {
  describe("epochs", () => {
    const subject = shared(open, { epochOpeningsPerDayMax: 4 });
    const ask = (bus: Bus, producer: string, expectedEpoch: number) => bus.openEpoch({ producer, expectedEpoch, keyId, registryVersion: how.registryVersion });

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
      const outcomes = await Promise.all([ask(bus, producer, 0), ask(other, producer, 0)].map((asked) => asked.catch(() => ({ kind: "undone" }) as const)));
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

function readContract(open: OpenSubject): void {
  describe("reading", () => {
    const subject = shared(open);
    let part = -1;
    const frames: FrameAppend[] = [];
    const positions: Position[] = [];
    before(async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(40));
      part = await openChain(bus, chain);
      for (let number = 0; number < 20; number++) {
        const frame = chain.next(1 + (number % 3), { payloadBytes: number % 5 === 0 ? 70_000 : 100 });
        frames.push(frame);
        positions.push(...(await accept(bus, part, [frame])));
      }
    });

    test("R-10 entries come back byte for byte, in order, with their links, verdicts and gate", async () => {
      const { bus } = subject();
      const entries = await bus.read(part, null, everything);
      assert.equal(entries.length, frames.length);
      for (const [index, entry] of entries.entries()) {
        const frame = frames[index] as FrameAppend;
        assert.deepEqual({ ...entry.link }, { ...frame.link });
        assert.deepEqual([entry.header, entry.signature, entry.payload, entry.verdicts], [frame.header, frame.signature, frame.payload, frame.verdicts]);
        assert.deepEqual([entry.producerKind, entry.gateway, entry.receivedUs], [frame.producerKind, how.gateway, entry.position.receivedUs]);
        assert.deepEqual(entry.position, positions[index]);
      }
    });

    test("reads are bounded by frames and by bytes, and always get on", async () => {
      const { bus } = subject();
      assert.equal((await bus.read(part, null, { framesMax: 3, bytesMax: 1 << 30 })).length, 3);
      assert.equal((await bus.read(part, null, { framesMax: 100, bytesMax: 1 })).length, 1);
      const few = await bus.read(part, positions[0] as Position, { framesMax: 100, bytesMax: 2000 });
      assert.ok(few.length > 1 && few.length < 5);
      let after: Position | null = null;
      let count = 0;
      for (;;) {
        const entries: BusEntry[] = await bus.read(part, after, { framesMax: 7, bytesMax: 80_000 });
        if (entries.length === 0) break;
        after = entries.at(-1)?.position ?? null;
        count += entries.length;
      }
      assert.equal(count, frames.length);
    });

    test("R-2 a position is checked by generation, place, time and hash", async () => {
      const { bus } = subject();
      const position = positions[5] as Position;
      assert.equal(await bus.checkPosition(position), "same");
      assert.equal(await bus.checkPosition({ ...position, hash: zeroHash }), "diverged");
      assert.equal(await bus.checkPosition({ ...position, receivedUs: position.receivedUs + 1 }), "diverged");
      assert.equal(await bus.checkPosition({ ...position, generation: "00000000-0000-4000-8000-00000000dead" }), "diverged");
      assert.equal(await bus.checkPosition({ ...position, off: 9999 }), "diverged");
      await assert.rejects(bus.read(part, { ...position, generation: "00000000-0000-4000-8000-00000000dead" }, everything), (error) => hasCode(error, "BUS_HISTORY_DIVERGED"));
      await assert.rejects(bus.read(part, { ...position, off: 9999 }, everything), (error) => hasCode(error, "BUS_HISTORY_DIVERGED"));
    });

    test("R-16 received time never falls in a partition, and replay from a time starts at its first entry", async () => {
      const { bus } = subject();
      const entries = await bus.read(part, null, everything);
      entries.slice(1).forEach((entry, index) => assert.ok(entry.receivedUs >= (entries[index]?.receivedUs ?? 0)));
      for (const target of [entries[0], entries[7], entries[19]] as BusEntry[]) {
        const from = await bus.seek(part, target.receivedUs);
        const [next] = await bus.read(part, from, everything);
        assert.equal(next?.position.off, entries.find((entry) => entry.receivedUs >= target.receivedUs)?.position.off);
      }
      const end = await bus.seek(part, (entries[19]?.receivedUs ?? 0) + 1);
      assert.deepEqual(end, positions[19]);
      assert.equal(await bus.seek(part, 0), null);
    });

    test("R-9 tails tell the end of every partition", async () => {
      const { bus } = subject();
      const tails = await bus.tails();
      assert.deepEqual(tails.map((tail) => tail.part), Array.from({ length: bus.partitions }, (_, index) => index));
      assert.deepEqual(tails[part], { part, off: 20, receivedUs: positions[19]?.receivedUs });
    });

    test("R-11 trim moves the low mark and never past a group; below it a reader is told", async () => {
      const { bus, control } = subject();
      const leases = await bus.acquire("group:slow", "member", { leaseMs: 10_000, partsMax: 1000 });
      const lease = leases.find((candidate) => candidate.part === part) as Lease;
      assert.equal(lease.position, null);
      await bus.commit(lease, positions[9] as Position);
      assert.equal(await control.trim(part, 15), 10);
      assert.equal(await control.trim(part, 3), 10);
      assert.equal(await bus.checkPosition(positions[4] as Position), "trimmed");
      assert.equal(await bus.checkPosition(positions[9] as Position), "same");
      assert.equal((await bus.read(part, null, everything))[0]?.position.off, 11);
      assert.equal((await bus.read(part, positions[9] as Position, everything))[0]?.position.off, 11);
      const late = await bus.acquire("group:late", "member", { leaseMs: 10_000, partsMax: 1000 });
      assert.deepEqual(late.find((candidate) => candidate.part === part)?.position, positions[9]);
      assert.deepEqual(kinds(await bus.append(part, [frames[0] as FrameAppend], how)), ["duplicate"]);
    });
  });
}

function registryContract(open: OpenSubject): void {
  describe("registry and pressure", () => {
    const subject = shared(open);

    test("R-13 a revoked producer cannot append or open, a stale gate nobody's frames; versions only grow", async () => {
      const { bus, control } = subject();
      const chain = new Chain(producerId(50));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      assert.equal(await control.setRegistry({ versionMin: 7, revoked: [chain.producer] }), true);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["revoked"]);
      assert.equal((await bus.openEpoch({ producer: chain.producer, expectedEpoch: 1, keyId, registryVersion: 7 })).kind, "revoked");
      assert.equal(await control.setRegistry({ versionMin: 6, revoked: [] }), false);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["revoked"]);
      assert.equal(await control.setRegistry({ versionMin: 8, revoked: [] }), true);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["stale_registry"]);
      assert.equal((await bus.openEpoch({ producer: chain.producer, expectedEpoch: 1, keyId, registryVersion: 7 })).kind, "stale_registry");
      assert.deepEqual(kinds(await bus.append(part, [frame], { ...how, registryVersion: 8 })), ["accepted"]);
      assert.deepEqual((await bus.tails())[part]?.off, 1);
    });

    test("R-16 a paused bus says so and refuses no frame", async () => {
      const { bus, control } = subject();
      const chain = new Chain(producerId(51));
      const request = { producer: chain.producer, expectedEpoch: 0, keyId, registryVersion: 8 };
      const opening = await bus.openEpoch(request);
      assert.ok(opening.kind === "opened");
      chain.opened(opening.epoch, opening.prev);
      const frame = chain.next(1);
      await control.pause("disk_floor");
      const [outcome] = await bus.append(opening.part, [frame], { ...how, registryVersion: 8 });
      assert.ok(outcome?.kind === "paused" && outcome.reason === "disk_floor" && outcome.retryAfterMs > 0);
      assert.equal((await bus.pressure()).paused, "disk_floor");
      await control.pause(null);
      assert.equal((await bus.pressure()).paused, null);
      assert.deepEqual(kinds(await bus.append(opening.part, [frame], { ...how, registryVersion: 8 })), ["accepted"]);
    });

    test("R-19 counters of a gate can be put again and again", async () => {
      const { bus } = subject();
      const put = { gateway: "gate-1", incarnation: producerId(60), startedUs: 1, counters: { frames_accepted: 3, "refused.INGEST_X": 1 }, ended: false };
      await bus.putCounters(put);
      await bus.putCounters({ ...put, counters: { frames_accepted: 5 }, ended: true });
    });

  });

  describe("closing", () => {
    const subject = shared(open);

    test("a closed bus takes nothing", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(52));
      const part = await openChain(bus, chain);
      await bus.close();
      await assert.rejects(bus.append(part, [chain.next(1)], how), (error) => hasCode(error, "BUS_CLOSED"));
    });
  });
}
