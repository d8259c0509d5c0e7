/** Why: reading runs ahead of storing, and what was read ahead must never be lost on the way between the two. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { type Lease, type MemoryBus, openMemoryBus } from "ransomeye-pipeline";
import { type Assignment, newAssignment } from "../src/assignment.ts";
import { type GatheredGroup, Gatherer, commitGroupOf } from "../src/gatherer.ts";
import { TailWatch } from "../src/tail_watch.ts";
import { Chain, producerId } from "../src/testing.ts";

const never = new AbortController().signal;

async function scene(
  frames: number,
): Promise<{ bus: MemoryBus; assignment: Assignment; gather: (rowsMax?: number) => Promise<GatheredGroup> }> {
  const bus = openMemoryBus({ clock: systemClock, partitions: 1 });
  const chain = new Chain(producerId(1));
  const opened = await bus.openEpoch({ producer: chain.producer, expectedEpoch: 0, keyId: "0011223344556677", registryVersion: 0 });
  if (opened.kind === "opened") chain.open(opened.epoch, opened.prev);
  const list = Array.from({ length: frames }, () => chain.frame());
  await bus.append(0, list, { gateway: "gate", incarnation: producerId(99), registryVersion: 0 });
  const telemetry = recordingTelemetry();
  const tails = new TailWatch(bus, systemClock, telemetry);
  const once = new AbortController();
  const watched = tails.nextLook();
  const watch = tails.run(once.signal, () => false);
  await watched;
  once.abort();
  await watch;
  const lease: Lease = { group: "engine", member: "one", part: 0, token: 1, position: null };
  const assignment = newAssignment(lease, Number.POSITIVE_INFINITY);
  const gather = (rowsMax = 1000): Promise<GatheredGroup> =>
    new Gatherer({
      bus,
      tails,
      clock: systemClock,
      telemetry,
      limits: { commitRowsMax: rowsMax, commitMsMax: 1000, gatherBytesMax: 1 << 20 },
      archives: false,
    }).gather([assignment], () => false, never);
  return { bus, assignment, gather };
}

test("what is read goes on from what was read, and a bound ends a group", async () => {
  const { assignment, gather } = await scene(600);
  const first = await gather(100);
  assert.equal(first.full, true);
  const read = first.runs.get(assignment) ?? [];
  assert.equal(assignment.read?.off, read.length);
  const second = await gather();
  assert.equal(second.full, false);
  assert.equal(second.runs.get(assignment)?.[0]?.position.off, read.length + 1);
  assert.equal(assignment.read?.off, 600);
});

test("X-6 a partition that is left out of a group is read again from its stored offset", async () => {
  const { assignment, gather } = await scene(3);
  const group = await gather();
  assert.equal(assignment.read?.off, 3);
  assert.deepEqual(commitGroupOf(group, () => false).runs, []);
  assert.equal(assignment.read, null, "its lease was about to end; after its renewal everything is read again");
  assert.equal(commitGroupOf(await gather(), () => true).runs.length, 1);
});

test("X-6 what was read ahead of frames that were not stored is read again", async () => {
  const { assignment, gather } = await scene(600);
  await gather(10);
  const ahead = await gather();
  assert.deepEqual(commitGroupOf(ahead, () => true).runs, [], "the group before it was not stored");
  assert.equal(assignment.read, null);
});
