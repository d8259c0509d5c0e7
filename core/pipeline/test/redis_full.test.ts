/**
 * A Redis server that is out of memory takes no frames, loses none, and lets everybody work who makes room or has to be heard.
 */
import assert from "node:assert/strict";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { FrameAppend, Lease, Position } from "../src/bus.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { accept, kinds } from "./contract_tools.ts";
import { local, openRedisSubject, type RedisSubject } from "./redis_subject.ts";
import { assertStored, type Filled, infoOf, opened, prepare, refused, wholeLog } from "./redis_tools.ts";
import { ask, how, openChain } from "./subject.ts";

const payloadBytes = 20_000;
const leaseOptions = { leaseMs: 60_000, partsMax: 1000, held: [] } as const;

describe("a full server", () => {
  let server: TestRedis;
  let subject: RedisSubject;
  let log: Filled;
  before(async () => {
    server = await startRedis();
  });
  after(() => server.close());

  /** Far less than the frames have, and far more than comes and goes with a connection. */
  const none = -500_000;
  /** Lets the server have so many bytes more than it uses now; with `none` it refuses whatever needs memory, until entries have gone. */
  async function leaveRoom(bytes: number): Promise<void> {
    const used = Number((await infoOf(server, "memory")).get("used_memory"));
    await server.set({ maxmemory: String(used + bytes) });
  }

  beforeEach(async () => {
    await server.set({ maxmemory: "0" });
    await server.client().flushall();
    subject = await openRedisSubject(server.url, local);
    const { chain, part } = await opened(subject.bus);
    const [frames, positions]: [FrameAppend[], Position[]] = [[], []];
    // In small calls, whose buffers are nothing beside what they store.
    for (let calls = 0; calls < 15; calls++) {
      const call = Array.from({ length: 10 }, () => chain.next(1, { payloadBytes }));
      frames.push(...call);
      positions.push(...(await accept(subject.bus, part, call)));
    }
    log = { chain, part, frames, positions };
  });
  afterEach(() => subject.close());

  const leaseOf = async (group: string): Promise<Lease> => {
    const leases = await subject.bus.acquire(group, "member", leaseOptions);
    return leases.find(({ part }) => part === log.part) as Lease;
  };

  test("it answers that it is full when there is no room, and what it had accepted is there", async () => {
    const { bus } = subject;
    const { chain, part } = log;
    await leaveRoom(1_000_000);
    const accepted: FrameAppend[] = [...log.frames];
    let last: FrameAppend;
    for (;;) {
      assert.ok(accepted.length < 500, "it has no bound");
      last = chain.next(1, { payloadBytes });
      const [outcome] = await bus.append(part, [last], how);
      if (outcome?.kind === "paused") {
        assert.ok(outcome.reason === "full" && outcome.retryAfterMs > 0);
        break;
      }
      assert.equal(outcome?.kind, "accepted");
      accepted.push(last);
    }
    assert.ok(accepted.length > log.frames.length);
    // At its very bound some buffer that is given back would let a small call through.
    await leaveRoom(none);
    assert.deepEqual(kinds(await bus.append(part, log.frames.slice(0, 1), how)), ["paused"], "a duplicate has no barrier now");
    assert.equal((await bus.pressure(ask(1))).paused, "full");
    await assertStored(bus, part, accepted);
    await leaveRoom(10_000_000);
    assert.equal((await bus.pressure(ask(1))).paused, null);
    assert.deepEqual(kinds(await bus.append(part, [last], how)), ["accepted"]);
    await assertStored(bus, part, [...accepted, last]);
  });

  test("nothing of a call is stored that the server has no room for", async () => {
    const { bus, servers, keys } = subject;
    const { chain, part } = log;
    const more = Array.from({ length: 10 }, () => chain.next(1, { payloadBytes }));
    const facts = async (): Promise<unknown> =>
      servers.read(keys.log(part), [
        { command: ["XLEN", keys.log(part)] },
        { command: ["HGETALL", keys.partitionState(part)] },
        { command: ["HLEN", keys.producer(part, chain.producer)] },
        { command: ["HMGET", keys.producer(part, chain.producer), "head", "opened"] },
      ]);
    const found = await facts();
    await leaveRoom(none);
    assert.deepEqual(kinds(await bus.append(part, more, how)), Array(10).fill("paused"));
    assert.deepEqual(await facts(), found);
    await assert.rejects(openChain(bus, chain), refused("BUS_NO_SPACE", "OOM"));
    assert.deepEqual(await facts(), found);
    await leaveRoom(10_000_000);
    await accept(bus, part, more);
  });

  test("it says that it is full before it is, and nothing is sent to it then", async () => {
    const { bus } = subject;
    const { chain, part } = log;
    const used = Number((await infoOf(server, "memory")).get("used_memory"));
    await server.set({ maxmemory: String(Math.floor(used / 0.97)) });
    assert.equal((await bus.pressure(ask(1))).paused, "full");
    const [outcome] = await bus.append(part, [chain.next(1)], how);
    assert.ok(outcome?.kind === "paused" && outcome.reason === "full");
    await assertStored(bus, part, log.frames);
    await server.set({ maxmemory: String(Math.floor(used / 0.8)) });
    assert.equal((await bus.pressure(ask(1))).paused, null);
  });

  test("R-11 a group begins, works and leaves, entries are trimmed, and then frames are taken again", async () => {
    const { bus, control } = subject;
    const { chain, part, positions } = log;
    await leaveRoom(none);
    const lease = await leaseOf("group:new");
    assert.equal(lease.position, null);
    assert.equal((await bus.renew([lease], 60_000)).length, 1);
    assert.equal(await bus.commit(lease, positions[139] as Position), "committed");
    await bus.release([lease]);
    assert.equal(await bus.commit(lease, positions[141] as Position), "fenced");
    assert.equal(await control.trim(part, 150), 140);
    assert.equal((await wholeLog(bus, part)).length, 10);
    assert.equal((await bus.pressure(ask(1))).paused, null);
    await accept(bus, part, [chain.next(1)]);
    assert.deepEqual((await leaseOf("group:new")).position, positions[139]);
  });

  test("a keeper that starts anew finds the bus, sets its bounds and makes room", async () => {
    await leaveRoom(none);
    const { options, bus } = subject;
    const keeper = await prepare(options, { epochOpeningsPerDayMax: 1 });
    try {
      assert.equal(keeper.generation, bus.generation);
      assert.equal(await keeper.trim(log.part, 140), 140);
    } finally {
      keeper.close();
    }
    await accept(bus, log.part, [log.chain.next(1)]);
    await assert.rejects(openChain(bus, log.chain), /limited/);
  });

  test("R-13 rights are taken away, and an operator pauses and opens the bus, and sets a group back", async () => {
    const { bus, control } = subject;
    const { chain, part, positions } = log;
    const other = await opened(bus, part);
    await control.pause("disk_floor");
    const lease = await leaseOf("group:old");
    assert.equal(await bus.commit(lease, positions[9] as Position), "committed");
    await leaveRoom(none);
    await control.pause("operator");
    assert.equal(await control.setRegistry({ versionMin: 5, revoked: [chain.producer] }), true);
    await control.rewind("group:old", part, positions[3] as Position);
    assert.equal(await bus.commit(lease, positions[10] as Position), "fenced");
    assert.deepEqual((await leaseOf("group:old")).position, positions[3]);
    await server.set({ maxmemory: "0" });
    const [outcome] = await bus.append(part, [other.chain.next(1)], how);
    assert.ok(outcome?.kind === "paused" && outcome.reason === "operator");
    assert.equal((await bus.pressure(ask(1))).paused, "operator");
    await leaveRoom(none);
    await control.pause(null);
    await server.set({ maxmemory: "0" });
    assert.deepEqual(kinds(await bus.append(part, [chain.next(1)], how)), ["revoked"]);
  });

  test("a server that cannot write its snapshots, and therefore takes no changes, stores nothing of them", async () => {
    const { bus } = subject;
    const { chain, part, frames } = log;
    const more = [chain.next(1), chain.next(1)];
    const obstacle = join(server.directory, "dump.rdb");
    await mkdir(obstacle);
    await server.set({ save: "3600 1000000" });
    try {
      await server.client().bgsave();
      const failed = async (): Promise<boolean> => (await infoOf(server, "persistence")).get("rdb_last_bgsave_status") === "err";
      await until("the snapshot to fail", [server], failed);
      await assert.rejects(bus.append(part, more, how), refused("BUS_NO_SPACE", "MISCONF"));
      await assert.rejects(openChain(bus, chain), refused("BUS_NO_SPACE", "MISCONF"));
    } finally {
      await server.set({ save: "" });
      await rmdir(obstacle);
    }
    await assertStored(bus, part, frames);
    await accept(bus, part, more);
  });

  test("R-14 a gate that has just started learns that it is full, and how much it may have on its way", async () => {
    await leaveRoom(none);
    const told = await subject.bus.pressure(ask(7, 1000));
    assert.deepEqual([told.paused, told.inFlightBytesMax], ["full", 1000]);
  });
});
