/**
 * Why: what a producer gives up must be counted exactly, whatever order things happen in. Enforces, decision 0011.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lastSeqOf, zeroHash } from "ransomeye-ingestion/protocol";
import type { LossPolicy } from "../src/lib.ts";
import { World } from "./model.ts";

const policies: readonly (readonly [string, LossPolicy])[] = [
  ["a full spool", { declares: true, ageUsMax: 0 }],
  ["a full spool and a short age", { declares: true, ageUsMax: 40_000 }],
  ["a full spool and a long age", { declares: true, ageUsMax: 200_000 }],
];

function assertKept(world: World, replay: string): void {
  const { server, machine } = world;
  assert.equal(world.stopped, undefined, replay);
  assert.equal(server.unaccounted(world.eventsMax), undefined, replay);
  assert.equal(server.equivocations, 0, `${replay}: nothing that was signed is given up`);
  assert.equal(world.brokenPromises, 0, `${replay}: what a call was told survives`);
  assert.equal(world.earlyLosses, 0, `${replay}: a call is told of its loss when the declaration is on disk`);
  assert.equal(world.doubleSettles + world.earlySettles, 0, replay);
  assert.equal(machine.stats.unsettledFrames, 0, replay);
}

const gapsOf = ({ server }: World): { reason: string; count: number }[] =>
  server.accepted
    .filter(({ header }) => header.kind === "gap")
    .map(({ header, payload }) => ({ reason: (JSON.parse(payload.toString()) as { reason: string }).reason, count: header.count }));

for (const [name, policy] of policies) {
  test(`X-2 every event arrives once and in order, or is counted in a signed gap in its place: ${name}`, () => {
    let gaps = 0;
    for (let seed = 1; seed <= 300; seed += 1) {
      const world = new World(`${name} ${seed}`, 60, policy);
      for (let i = 0; i < 500; i += 1) world.chance(true);
      world.settle();
      assertKept(world, `seed ${seed}`);
      assert.equal(world.server.epochsOpened, 1, `seed ${seed}`);
      gaps += gapsOf(world).length;
    }
    assert.ok(gaps > 300, "the worlds lose something");
  });
}

test("X-2 R-5 losses are counted once when the server goes back to what is in rows", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const world = new World(`lost and lost ${seed}`, 60, { declares: true, ageUsMax: 60_000 });
    for (let i = 0; i < 300; i += 1) world.chance(true);
    const { server } = world;
    world.cut();
    world.late = [];
    server.accepted = server.accepted.filter(({ header }) => lastSeqOf(header) <= server.stored.seq);
    const last = server.accepted.at(-1)?.header;
    if (server.head.epoch > 0)
      server.head = { ...server.head, seq: last === undefined ? 0 : lastSeqOf(last), hash: last?.hash ?? zeroHash };
    for (let i = 0; i < 200; i += 1) world.chance(true);
    world.settle();
    assertKept(world, `seed ${seed}`);
  }
});

test("X-2 a long outage makes one declaration for each reason, however many events it costs", () => {
  const world = new World("outage", 1000, { declares: true, ageUsMax: 0 });
  while (world.handed < world.eventsMax) {
    world.lose();
    world.write();
    world.tellWritten();
    assert.ok(world.machine.state.losses.length <= 1);
  }
  world.settle();
  assertKept(world, "outage");
  assert.deepEqual(gapsOf(world), [{ reason: "spool_full", count: 1000 }]);

  const aged = new World("age", 1000, { declares: true, ageUsMax: 20_000 });
  while (aged.handed < aged.eventsMax) {
    aged.hand();
    aged.sync();
    aged.write();
    aged.tellWritten();
    assert.ok(aged.machine.state.losses.length <= 1);
    assert.ok(aged.machine.stats.frames < 30, "what is given up leaves the spool");
  }
  aged.settle();
  assertKept(aged, "age");
  assert.deepEqual(
    gapsOf(aged).map(({ reason }) => reason),
    ["spool_age"],
  );
});

test("R-6 what was signed for a session is not given up, however old it gets, and not in a new epoch either", () => {
  const world = new World("signed", 20, { declares: true, ageUsMax: 10_000 });
  const { machine, server } = world;
  const talk = (): void => {
    world.connect();
    for (let i = 0; i < 20; i += 1) {
      world.serve();
      world.deliver();
    }
  };
  const wait = (): void => {
    for (let i = 0; i < 50; i += 1) world.signal({ kind: "tick" });
  };
  talk();
  world.credit();
  world.deliver();
  world.hand();
  assert.equal(machine.linkOf(1)?.firstSeq, 1, "credit covers it, so it has its place at once");
  assert.ok(machine.stats.tipSeq > 1);
  world.sync();
  world.cut();
  wait();
  assert.ok(machine.has(1));
  while (world.handed < world.eventsMax) world.hand();
  assert.equal(machine.linkOf(2), undefined, "without a session nothing gets a place");
  world.sync();
  wait();
  const givenUp = (): number => machine.state.losses.reduce((sum, { count }) => sum + count, 0);
  const handedUnseen = world.eventsMax - machine.stats.tipSeq;
  assert.equal(givenUp(), handedUnseen, "the rest is one declaration");
  // A clone's work: the server holds something else at our sequences, and the spool goes on in a new epoch.
  server.head = { ...server.head, seq: 1, hash: Buffer.alloc(32, 7) };
  world.write();
  world.tellWritten();
  talk();
  assert.equal(machine.stats.epoch, 2);
  wait();
  assert.equal(givenUp(), handedUnseen, "the first batch is signed anew, and was seen perhaps");
});
