/**
 * What the bus on Redis makes of a server that has lost or changed what it held, by an operator's hand, a kill -9 or a lost answer: it says so, and
 * nobody is told that something is there which is not (R-1, R-2, R-4, R-5).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { Bus, FrameAppend, Lease, Position, StoredProgress } from "../src/bus.ts";
import { openRedisBus, openRedisConsumer, openRedisControl, type RedisControls } from "../src/redis_streams/bus.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { everything, kinds } from "./contract_tools.ts";
import { openLossyProxy } from "./lossy_proxy.ts";
import { local } from "./redis_subject.ts";
import { assertStored, filled, type Filled, opened, prepare, refused, scriptsRun, settle, withBus } from "./redis_tools.ts";
import { ask, how, keyId, openChain } from "./subject.ts";

let server: TestRedis;
before(async () => {
  server = await startRedis();
});
after(() => server.close());

const leaseOptions = { leaseMs: 60_000, partsMax: 1000, held: [] } as const;

/** Everything that can be asked of a bus in the name of what it held. */
function questions(
  bus: Bus & StoredProgress,
  control: RedisControls,
  { part, positions, chain }: Filled,
  lease: Lease,
): Record<string, () => Promise<unknown>> {
  const position = positions[1] as Position;
  const opening = { producer: chain.producer, expectedEpoch: chain.epoch, keyId, registryVersion: how.registryVersion };
  return {
    append: () => bus.append(part, [chain.next(1)], how),
    openEpoch: () => bus.openEpoch(opening),
    headsOf: () => bus.headsOf([chain.producer]),
    pressure: () => bus.pressure(ask(1)),
    "pressure with a lease": () => bus.pressure(ask(1, 1000)),
    tails: () => bus.tails(),
    read: () => bus.read(part, null, everything),
    "read from a position": () => bus.read(part, position, everything),
    seek: () => bus.seek(part, position.receivedUs),
    acquire: () => bus.acquire("group:a", "one", leaseOptions),
    renew: () => bus.renew([lease], 60_000),
    release: () => bus.release([lease]),
    commit: () => bus.commit(lease, position),
    lag: () => bus.lag("group:a"),
    setRegistry: () => control.setRegistry({ versionMin: 1, revoked: [chain.producer] }),
    pause: () => control.pause("operator"),
    trim: () => control.trim(part, 2),
    rewind: () => control.rewind("group:a", part, position),
    noteStored: () => bus.noteStored("group:a", [position], []),
    mirror: () => control.mirror.ends(),
  };
}

describe("lost data (R-5)", () => {
  test("R-5 an emptied server is recognised by every call, and none of them stores anything", () =>
    withBus(server.url, local, async ({ options, bus, keys }) => {
      const log = await filled(bus, 3);
      const consumer = await openRedisConsumer(options);
      const control = await openRedisControl(options);
      const lease = (await bus.acquire("group:a", "one", leaseOptions)).find(({ part }) => part === log.part) as Lease;
      await server.client().flushall();
      const all = questions({ ...bus, noteStored: (...noted) => consumer.noteStored(...noted) }, control, log, lease);
      for (const [name, question] of Object.entries(all)) await assert.rejects(question(), refused("BUS_HISTORY_DIVERGED"), name);
      assert.equal(await bus.checkPosition(log.positions[1] as Position), "diverged");
      assert.equal(await server.client().dbsize(), 0);
      await assert.rejects(openRedisBus(options), refused("BUS_NOT_PREPARED"));
      const anew = await prepare(options);
      anew.close();
      assert.notEqual(anew.generation, bus.generation);
      for (const [name, question] of Object.entries(all)) await assert.rejects(question(), refused("BUS_HISTORY_DIVERGED"), name);
      assert.equal(await server.client().exists(keys.groups, keys.log(log.part), keys.producer(log.part, log.chain.producer)), 0);
      const next = await openRedisBus(options);
      try {
        await filled(next, 2);
        assert.equal(await next.checkPosition(log.positions[1] as Position), "diverged");
        const [mine] = await next.acquire("group:a", "one", leaseOptions);
        await assert.rejects(
          next.commit(mine as Lease, { ...(log.positions[1] as Position), part: mine?.part ?? 0 }),
          refused("BUS_HISTORY_DIVERGED"),
        );
      } finally {
        await next.close();
        await consumer.close();
        control.close();
      }
    }));

  for (const also of [[], ["log"]] as const)
    test(`R-5 a partition that is gone from a bus that stands${also.map((name) => `, and its ${name} with it,`).join("")} is never made again, by nobody`, () =>
      withBus(server.url, local, async ({ options, bus, keys }) => {
        const { part, chain, positions } = await filled(bus, 3);
        const state = keys.partitionState(part);
        await server.client().del(state, ...also.map((name) => keys[name](part)));
        const isMissing = (error: unknown): boolean => hasCode(error, "BUS_HISTORY_DIVERGED") && error.fields["part"] === part;
        for (let tries = 0; tries < 2; tries++) {
          await assert.rejects(prepare(options), isMissing);
          await assert.rejects(openRedisBus(options), isMissing);
        }
        await assert.rejects(bus.append(part, [chain.next(1)], how), refused("BUS_HISTORY_DIVERGED"));
        await assert.rejects(bus.tails(), refused("BUS_HISTORY_DIVERGED"));
        await assert.rejects(bus.read(part, positions[0] as Position, everything), refused("BUS_HISTORY_DIVERGED"));
        assert.equal(await server.client().exists(state), 0);
      }));

  test("R-5 partitions of another generation than the bus's own facts are not opened", () =>
    withBus(server.url, local, async ({ options, bus, keys }) => {
      const { part, chain } = await filled(bus, 1);
      await server.client().del(keys.state);
      await assert.rejects(openRedisBus(options), refused("BUS_NOT_PREPARED"));
      await assert.rejects(prepare(options), refused("BUS_HISTORY_DIVERGED"));
      await assert.rejects(prepare(options), refused("BUS_HISTORY_DIVERGED"));
      await assert.rejects(bus.pressure(ask(1)), refused("BUS_HISTORY_DIVERGED"));
      assert.deepEqual(kinds(await bus.append(part, [chain.next(1)], how)), ["accepted"], "the partition itself is whole");
    }));

  test("R-3 R-5 tokens do not come back when a group is set back to an older state", () =>
    withBus(server.url, local, async ({ bus, other, keys }) => {
      const key = keys.group("group:a");
      const given: Lease[] = [];
      const take = async (by: Bus, member: string): Promise<Lease[]> => {
        const leases = await by.acquire("group:a", member, leaseOptions);
        assert.equal(leases.length, bus.partitions);
        given.push(...leases);
        return leases;
      };
      const { part, positions } = await filled(bus, 1);
      await bus.release(await take(bus, "one"));
      const older = await server.client().dumpBuffer(key);
      await bus.release(await take(bus, "one"));
      const lost = await take(other, "two");
      await server.client().restore(key, 0, older, "REPLACE");
      assert.equal(await other.commit(lost[part] as Lease, positions[0] as Position), "fenced");
      await bus.release(await take(bus, "three"));
      await take(other, "two");
      for (const place of Array.from({ length: bus.partitions }, (_, index) => index)) {
        const tokens = given.filter((lease) => lease.part === place).map(({ token }) => token);
        assert.equal(tokens.length, 5);
        assert.deepEqual(
          tokens,
          [...new Set(tokens)].toSorted((a, b) => a - b),
          "each is new, and grows",
        );
      }
      for (const { token } of lost) assert.ok(Number.isSafeInteger(token));
    }));
});

describe("a killed server (R-4)", () => {
  /** Appends one frame after the other until told to stop; gives those that were answered `accepted` and how the others were settled. */
  async function produce(bus: Bus, { chain, part }: Awaited<ReturnType<typeof opened>>, signal: AbortSignal): Promise<Produced> {
    const produced: Produced = { part, frames: [], seen: [] };
    while (!signal.aborted || produced.frames.length === 0) {
      const frame = chain.next(1);
      produced.seen.push(await settle(bus, part, frame, ["BUS_OUTCOME_UNKNOWN", "BUS_UNAVAILABLE"]));
      produced.frames.push(frame);
    }
    return produced;
  }
  interface Produced {
    readonly part: number;
    readonly frames: FrameAppend[];
    readonly seen: string[][];
  }

  test("R-4 what was answered before kill -9 is there after it, once and in order; what was not answered is settled by asking again", () =>
    withBus(server.url, local, async ({ bus, other }) => {
      const chains = await Promise.all(Array.from({ length: 8 }, () => opened(bus)));
      const stop = new AbortController();
      const running = Promise.all(chains.map((chain, index) => produce(index % 2 === 0 ? bus : other, chain, stop.signal)));
      const stored = async (): Promise<number> => (await bus.tails()).reduce((sum, { off }) => sum + off, 0);
      for (const goal of [100, 200, 300]) {
        await until(`${goal} frames`, [server], async () => (await stored()) >= goal);
        await server.restart();
      }
      await until("the last frames", [server], async () => (await stored()) >= 400);
      stop.abort();
      for (const { part, frames, seen } of await running) {
        await assertStored(bus, part, frames);
        for (const answers of seen) {
          if (answers.at(-1) === "duplicate") assert.ok(answers.includes("BUS_OUTCOME_UNKNOWN"), "a duplicate of what nobody sent before");
        }
      }
    }));

  test("R-3 frames that a server never saw are not sent again by the connection, and are accepted when they are", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      const more = [chain.next(1), chain.next(1)];
      server.stop();
      const lost = assert.rejects(bus.append(part, more, how), refused("BUS_OUTCOME_UNKNOWN"));
      await server.restart();
      await lost;
      await until("the bus to be back", [server], async () => (await bus.tails()).length > 0);
      assert.equal(await scriptsRun(server), 0);
      await assertStored(bus, part, frames);
      assert.deepEqual(kinds(await bus.append(part, more, how)), ["accepted", "accepted"]);
    }));

  test("R-4 an append whose answer is lost was durable: appended again it is a duplicate, and stored once", () =>
    withBus(server.url, local, async ({ options, bus }) => {
      const target = { host: server.host, port: server.port, user: "", password: "", database: "" };
      const proxy = await openLossyProxy(target);
      const gate = await openRedisBus({ ...options, url: `redis+unix://${proxy.connection.host}/.s.PGSQL.5432` });
      try {
        const { chain, part, frames } = await filled(gate, 2);
        const third = chain.next(3);
        proxy.swallow();
        const lost = assert.rejects(gate.append(part, [third], how), refused("BUS_OUTCOME_UNKNOWN"));
        await until("the frame to be stored", [server], async () => (await bus.tails())[part]?.off === 3);
        proxy.cut();
        await lost;
        await until("the connection to be back", [server], async () => (await gate.tails()).length > 0);
        await assertStored(bus, part, [...frames, third]);
        assert.deepEqual(kinds(await gate.append(part, [third], how)), ["duplicate"]);
        await assertStored(bus, part, [...frames, third]);
        proxy.swallow();
        const opening = assert.rejects(openChain(gate, chain), refused("BUS_OUTCOME_UNKNOWN"));
        const headOf = async (): Promise<number> => (await bus.headsOf([chain.producer])).get(chain.producer)?.epoch ?? 0;
        await until("the epoch to be opened", [server], async () => (await headOf()) === 2);
        proxy.cut();
        await opening;
        await until("the connection to be back", [server], async () => (await gate.tails()).length > 0);
        const again = await gate.openEpoch({ producer: chain.producer, expectedEpoch: 1, keyId, registryVersion: how.registryVersion });
        assert.ok(again.kind === "conflict" && again.head.epoch === 2 && again.head.seq === 0);
      } finally {
        await gate.close();
        await proxy.close();
      }
    }));
});
