/**
 * Why it exists: what was appended is read back, checked and trimmed, for every adapter.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { zeroHash } from "../src/append_machine.ts";
import type { BusEntry, FrameAppend, Lease, Position } from "../src/bus.ts";
import { accept, everything, kinds, shared } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { how, openChain, type OpenSubject } from "./subject.ts";

export function readContract(open: OpenSubject): void {
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

    test("EB-2 R-10 entries come back byte for byte, in order, with their links, verdicts and gate (IF-8)", async () => {
      const { bus } = subject();
      const entries = await bus.read(part, null, everything);
      assert.equal(entries.length, frames.length);
      for (const [index, entry] of entries.entries()) {
        const frame = frames[index] as FrameAppend;
        assert.deepEqual({ ...entry.link }, { ...frame.link });
        assert.deepEqual(
          [entry.header, entry.signature, entry.payload, entry.verdicts],
          [frame.header, frame.signature, frame.payload, frame.verdicts],
        );
        assert.deepEqual(
          [entry.producerKind, entry.gateway, entry.incarnation, entry.receivedUs],
          [frame.producerKind, how.gateway, how.incarnation, entry.position.receivedUs],
        );
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
      await assert.rejects(bus.read(part, { ...position, generation: "00000000-0000-4000-8000-00000000dead" }, everything), (error) =>
        hasCode(error, "BUS_HISTORY_DIVERGED"),
      );
      await assert.rejects(bus.read(part, { ...position, off: 9999 }, everything), (error) => hasCode(error, "BUS_HISTORY_DIVERGED"));
    });

    test("R-16 received time never falls in a partition, and replay from a time starts at its first entry (IF-8)", async () => {
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
      assert.deepEqual(
        tails.map((tail) => tail.part),
        Array.from({ length: bus.partitions }, (_, index) => index),
      );
      assert.deepEqual(tails[part], { part, off: 20, receivedUs: positions[19]?.receivedUs });
    });

    test("R-11 trim moves the low mark and never past a group; below it a reader is told, or finds what has yet to go", async () => {
      const { bus, control } = subject();
      const leases = await bus.acquire("group:slow", "member", { leaseMs: 10_000, partsMax: 1000, held: [] });
      const lease = leases.find((candidate) => candidate.part === part) as Lease;
      assert.equal(lease.position, null);
      await bus.commit(lease, positions[9] as Position);
      assert.equal(await control.trim(part, 15), 10);
      assert.equal(await control.trim(part, 3), 10);
      assert.equal(await bus.checkPosition(positions[4] as Position), "trimmed");
      assert.equal(await bus.checkPosition(positions[9] as Position), "same");
      assert.equal((await bus.read(part, null, everything))[0]?.position.off, 11);
      assert.equal((await bus.read(part, positions[9] as Position, everything))[0]?.position.off, 11);
      // In a database entries go by the day, and are read until then.
      const below = await bus.read(part, positions[4] as Position, everything).then(
        ([first]) => first?.position.off === 6,
        (error: unknown) => hasCode(error, "BUS_TRIMMED"),
      );
      assert.equal(below, true);
      const late = await bus.acquire("group:late", "member", { leaseMs: 10_000, partsMax: 1000, held: [] });
      assert.deepEqual(late.find((candidate) => candidate.part === part)?.position, positions[9]);
      assert.deepEqual(kinds(await bus.append(part, [frames[0] as FrameAppend], how)), ["duplicate"]);
    });
  });
}
