/**
 * What only a cluster does: slots that lie on several masters, that move while frames come in, and that go over to a replica.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Bus, FrameAppend } from "../src/bus.ts";
import { openRedisBus } from "../src/redis_streams/bus.ts";
import { slotOf } from "../src/redis_streams/slot.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import { startCluster, type TestCluster, type TestRedis } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { kinds } from "./contract_tools.ts";
import { openRedisSubject, type RedisSubject } from "./redis_subject.ts";
import { assertStored, filled, type Filled, opened, refused, scriptsRun, settle, withBus } from "./redis_tools.ts";
import { ask, how } from "./subject.ts";

const durability: Durability = { level: "replicated", replicas: 1, waitMs: 5000 };

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster?.close());

const withCluster = (work: (subject: RedisSubject) => Promise<void>): Promise<void> => withBus(cluster.url, durability, work);

const idOf = (node: TestRedis): Promise<string> => node.client().cluster("MYID");

/** A slot on its way from one master to another, one key after the other. */
async function moveSlot(slot: number, to: TestRedis, between: (state: string) => Promise<void>): Promise<void> {
  const from = await cluster.masterOf(slot);
  const [fromId, toId] = [await idOf(from), await idOf(to)];
  await to.client().call("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
  await from.client().call("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
  await between("declared");
  for (;;) {
    const [key] = await from.client().cluster("GETKEYSINSLOT", slot, 1);
    if (key === undefined) break;
    await from.client().call("MIGRATE", to.host, to.port, key, 0, 5000);
    await between(`without ${key}`);
  }
  for (const node of [to, from]) {
    await node.client().call("CLUSTER", "SETSLOT", slot, "NODE", toId);
    await between("handed over");
  }
  await until("all to agree about the slot", cluster.nodes, async () => (await cluster.masterOf(slot)) === to);
}

/** A master that does not have this slot. */
async function otherMaster(slot: number): Promise<TestRedis> {
  const owner = await cluster.masterOf(slot);
  for (const other of [0, 8192, 16_383]) {
    const master = await cluster.masterOf(other);
    if (master !== owner) return master;
  }
  throw new Error("there is one master only");
}

/** One producer after the other appends, until told to stop; gives what was appended and how often it was refused. */
function produceAll(bus: Bus, logs: readonly Pick<Filled, "chain" | "part">[], waits: Parameters<typeof settle>[3], signal: AbortSignal) {
  return Promise.all(
    logs.map(async ({ chain, part }) => {
      const frames: FrameAppend[] = [];
      while (!signal.aborted) {
        const frame = chain.next(1);
        await settle(bus, part, frame, waits);
        frames.push(frame);
      }
      return { part, frames };
    }),
  );
}

describe("slots that move", () => {
  test("frames are appended and read while their slot moves there and back: none is lost, doubled or out of order", () =>
    withCluster(async ({ bus, other, keys }) => {
      const log = await filled(bus, 3);
      const { chain, part } = log;
      const slot = slotOf(keys.partitionState(part));
      const frames: FrameAppend[] = [...log.frames];
      const seen = new Set<string>();
      // In every state of the move: an answer, or that there is none now; never a wrong one.
      const between = async (): Promise<void> => {
        const frame = chain.next(1);
        for (const gate of [bus, other]) {
          const kind = await gate.append(part, [frame], how).then(
            (outcomes) => kinds(outcomes)[0] as string,
            (error: unknown) => (refused("BUS_UNAVAILABLE")(error) ? "BUS_UNAVAILABLE" : Promise.reject(error as Error)),
          );
          seen.add(kind);
          if (kind === "accepted") frames.push(frame);
        }
        if (frames.at(-1) !== frame)
          Object.assign(chain, { seq: chain.seq - 1, end: { ...chain.end, seq: chain.seq - 1, hash: frame.link.prevHash } });
        await assertStored(bus, part, frames).catch((error: unknown) => assert.ok(refused("BUS_UNAVAILABLE")(error), String(error)));
        const tails = await bus.tails();
        assert.equal(tails[part]?.off, frames.length);
      };
      const home = await cluster.masterOf(slot);
      await moveSlot(slot, await otherMaster(slot), between);
      await moveSlot(slot, home, between);
      for (const gate of [bus, other]) {
        const frame = chain.next(1);
        await settle(gate, part, frame, ["BUS_UNAVAILABLE"]);
        frames.push(frame);
      }
      assert.ok(seen.has("accepted") && seen.has("duplicate") && seen.has("BUS_UNAVAILABLE"), [...seen].join(", "));
      await assertStored(bus, part, frames);
      await assertStored(other, part, frames);
    }));

  test("producers of all partitions go on while one slot moves, and only its own hear of it", () =>
    withCluster(async ({ bus, keys }) => {
      const logs = await Promise.all(Array.from({ length: 16 }, (_, part) => opened(bus, part)));
      const slot = slotOf(keys.partitionState(5));
      const stop = new AbortController();
      const moved = produceAll(bus, logs.slice(5, 6), ["BUS_UNAVAILABLE"], stop.signal);
      const others = produceAll(bus, [...logs.slice(0, 5), ...logs.slice(6)], [], stop.signal);
      await moveSlot(slot, await otherMaster(slot), async () => {});
      const tail = (await bus.tails())[5]?.off ?? 0;
      await until("the moved partition to go on", cluster.nodes, async () => ((await bus.tails())[5]?.off ?? 0) > tail + 3);
      stop.abort();
      for (const { part, frames } of [...(await moved), ...(await others)]) await assertStored(bus, part, frames);
    }));

  test("R-4 a slot that has gone to a master that keeps nothing takes no frames there, from the first on", () =>
    withCluster(async ({ bus, keys }) => {
      const { chain, part, frames } = await filled(bus, 2);
      const slot = slotOf(keys.partitionState(part));
      const home = await cluster.masterOf(slot);
      const worse = await otherMaster(slot);
      await worse.set({ appendonly: "no" });
      try {
        await moveSlot(slot, worse, async () => {});
        const third = chain.next(1);
        await worse.client().config("RESETSTAT");
        await assert.rejects(bus.append(part, [third], how), refused("BUS_UNAVAILABLE"));
        const [outcome] = await bus.append(part, [third], how);
        assert.ok(outcome?.kind === "paused" && outcome.reason === "not_durable");
        assert.equal(await scriptsRun(worse), 0);
        await assertStored(bus, part, frames);
        await worse.set({ appendonly: "yes" });
        assert.equal((await bus.pressure(ask(1))).paused, null);
        assert.deepEqual(kinds(await bus.append(part, [third], how)), ["accepted"]);
      } finally {
        await worse.set({ appendonly: "yes" });
        await moveSlot(slot, home, async () => {});
      }
    }));
});

describe("a master that dies", () => {
  let subject: RedisSubject;
  /** Knows of the dead master only what looking tells it. */
  let looking: Bus;
  let victim: TestRedis;
  let producing: ReturnType<typeof produceAll>;
  let strangers: readonly Pick<Filled, "chain" | "part">[];
  let own: readonly number[];
  const stop = new AbortController();
  const offsets = async (): Promise<number[]> => (await subject.bus.tails()).map(({ off }) => off);
  const grown = (what: string, from: readonly number[]): Promise<true> =>
    until(what, cluster.nodes, async () => {
      await subject.bus.pressure(ask(1));
      return (await offsets()).every((off, part) => off >= (from[part] ?? 0) + 5);
    });

  before(async () => {
    subject = await openRedisSubject(cluster.url, durability);
    looking = await openRedisBus(subject.options);
    await looking.pressure(ask(2));
    strangers = await Promise.all(Array.from({ length: 16 }, (_, part) => opened(subject.other, part)));
    const logs = await Promise.all(Array.from({ length: 16 }, (_, part) => opened(subject.bus, part)));
    producing = produceAll(subject.bus, logs, ["BUS_UNAVAILABLE", "BUS_OUTCOME_UNKNOWN"], stop.signal);
    await grown("frames in all partitions", []);
    victim = await cluster.masterOf(0);
    const owners = await Promise.all(strangers.map(({ part }) => cluster.masterOf(slotOf(subject.keys.partitionState(part)))));
    own = owners.flatMap((owner, part) => (owner === victim ? [part] : []));
    await victim.kill();
  });
  after(async () => {
    stop.abort();
    await looking?.close();
    await subject?.close();
  });

  test("frames that go elsewhere only to be refused are asked about first: where nobody answers, nothing of the call is stored", async () => {
    const { other } = subject;
    const part = strangers.findIndex((_, index) => !own.includes(index));
    const [here, there] = [strangers[part], strangers[own[0] as number]] as [
      Pick<Filled, "chain" | "part">,
      Pick<Filled, "chain" | "part">,
    ];
    // The rest of the cluster goes on for a while as if nothing had happened.
    await assert.rejects(other.append(part, [here.chain.next(1), there.chain.next(1)], how), refused("BUS_UNAVAILABLE"));
    await until("a replica to take over", cluster.nodes, async () => (await cluster.masterOf(0)) !== victim);
    const head = await until("its head", cluster.nodes, async () => (await other.headsOf([here.chain.producer])).get(here.chain.producer));
    assert.equal(head.seq, 0);
  });

  test("R-4 after the failover producers of all partitions go on, and all that was accepted is there, once and in order", async () => {
    await victim.restart();
    await cluster.settled();
    await grown("frames in all partitions after the failover", await until("all to be readable", cluster.nodes, offsets));
    stop.abort();
    for (const { part, frames } of await producing) await assertStored(subject.bus, part, frames);
  });

  test("a gate that has only looked meanwhile knows the new masters, and its first append is taken", async () => {
    assert.equal((await until("an answer", cluster.nodes, () => looking.pressure(ask(2)))).paused, null);
    const { chain, part } = await opened(subject.bus, own[0]);
    assert.deepEqual(kinds(await looking.append(part, [chain.next(1)], how)), ["accepted"]);
  });
});
