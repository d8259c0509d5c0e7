/**
 * The contract on the bus in memory, and what only that one does: a bound on what it holds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemoryBus } from "../src/memory/bus.ts";
import { busContract } from "./contract.ts";
import { accept, kinds } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { how, ManualClock, openChain, type Subject } from "./subject.ts";

async function openMemory(options: { readonly epochOpeningsPerDayMax?: number } = {}): Promise<Subject> {
  const clock = new ManualClock();
  const bus = openMemoryBus({ clock, ...options });
  return {
    bus,
    control: bus,
    other: bus,
    expireLeases: async () => clock.moveMs(3_600_000),
    noteStored: async (producer, epoch, seq) => bus.noteStored(producer, epoch, seq),
    close: () => bus.close(),
  };
}

busContract("memory", openMemory);

test("the memory bus pauses at its bound and goes on after a trim; what was trimmed is a duplicate for ever", async () => {
  const bus = openMemoryBus({ clock: new ManualClock(), capacityBytesMax: 2000 });
  const chain = new Chain(producerId(1));
  const part = await openChain(bus, chain);
  const frames = [
    chain.next(1, { payloadBytes: 700 }),
    chain.next(1, { payloadBytes: 700 }),
    chain.next(1, { payloadBytes: 700 }),
  ] as const;
  await accept(bus, part, frames.slice(0, 1));
  await accept(bus, part, frames.slice(1, 2));
  const [full] = await bus.append(part, [frames[2]], how);
  assert.ok(full?.kind === "paused" && full.reason === "full");
  assert.equal(await bus.trim(part, 1), 1);
  assert.deepEqual(kinds(await bus.append(part, [frames[2]], how)), ["accepted"]);
  await bus.trim(part, 3);
  const [gone] = await bus.append(part, [frames[0]], how);
  assert.ok(gone?.kind === "duplicate" && gone.acceptedBy === null, "nobody can say any more who accepted it");
});

test("R-16 received time does not run backwards when the clock does", async () => {
  const clock = new ManualClock();
  const bus = openMemoryBus({ clock });
  const chain = new Chain(producerId(2));
  const part = await openChain(bus, chain);
  const [first] = await accept(bus, part, [chain.next(1)]);
  clock.moveMs(-60_000);
  const [second] = await accept(bus, part, [chain.next(1)]);
  assert.equal(second?.receivedUs, first?.receivedUs);
});
