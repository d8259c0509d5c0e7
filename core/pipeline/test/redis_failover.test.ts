/**
 * A master and its replicas: what an answer waits for, who is taken for the master, and what is left after a master has died.
 * Clusters stand in redis_cluster_only.test.ts.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { Bus, FrameAppend, Lease, Position } from "../src/bus.ts";
import { openRedisBus, type RedisBusOptions } from "../src/redis_streams/bus.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import { startReplicated, type TestRedis, type TestReplicated } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import type { RedisSubject } from "./redis_subject.ts";
import {
  assertStored,
  filled,
  type Filled,
  freshOptions,
  infoOf,
  opened,
  prepare,
  refused,
  scriptsRun,
  settle,
  slowDoor,
  withBus,
} from "./redis_tools.ts";
import { ask, how, keyId, openChain } from "./subject.ts";

/** For replicas that will not answer. */
const impatient: Durability = { level: "replicated", replicas: 1, waitMs: 200 };
/** For replicas that may have to be linked first. */
const calm: Durability = { level: "replicated", replicas: 1, waitMs: 2000 };
const patient: Durability = { level: "replicated", replicas: 1, waitMs: 10_000 };
const asynchronous: Durability = { level: "replicated", replicas: 0, waitMs: 1000 };

interface Pair {
  readonly pair: TestReplicated;
  readonly master: TestRedis;
  readonly replica: TestRedis;
  readonly subject: RedisSubject;
}

function urlOf({ master, replicas }: TestReplicated): string {
  return `redis://${[master, ...replicas].map(({ host, port }) => `${host}:${port}`).join(",")}`;
}

/** A master, its replicas, and a bus that knows all of them. */
async function withPair(durability: Durability, work: (pair: Pair) => Promise<void>, replicas = 1): Promise<void> {
  const pair = await startReplicated({ replicas });
  try {
    const { master } = pair;
    await withBus(urlOf(pair), durability, (subject) => work({ pair, master, replica: pair.replicas[0] as TestRedis, subject }));
  } finally {
    await pair.close();
  }
}

const promote = (server: TestRedis): Promise<unknown> => server.client().call("REPLICAOF", "NO", "ONE");
const follow = (server: TestRedis, master: TestRedis): Promise<unknown> => server.client().call("REPLICAOF", master.host, master.port);

/** The master dies, and its replica takes over without what was appended meanwhile. */
async function loseTail<T>(pair: Pair, { part }: Pick<Filled, "part">, append: () => Promise<T>): Promise<T> {
  const { master, replica, subject } = pair;
  const off = (await subject.bus.tails())[part]?.off;
  await caughtUp(pair);
  // Nothing more reaches it, not even what would wait in its socket.
  replica.stop();
  await master.client().call("CLIENT", "KILL", "TYPE", "replica");
  const lost = await append();
  await master.kill();
  replica.go();
  await promote(replica);
  await until("the bus to find the new master", [replica], async () => (await subject.bus.tails())[part]?.off === off);
  return lost;
}

/** Waits until the replica holds all that its master does. */
async function caughtUp({ master, replica, subject }: Pair): Promise<void> {
  const sizes = async (): Promise<number[]> => {
    const lengths = subject.bus.tails().then((tails) => Promise.all(tails.map(({ part }) => lengthAt(replica, subject, part))));
    return [...(await lengths), await replica.client().dbsize()];
  };
  const wanted = [...(await subject.bus.tails()).map(({ off }) => off), await master.client().dbsize()];
  await until("the replica to have all", [replica], async () => (await sizes()).join() === wanted.join());
}

/** Entries that a server holds of a partition. */
const lengthAt = (server: TestRedis, { keys }: RedisSubject, part: number): Promise<number> => server.client().xlen(keys.log(part));

describe("the barrier (R-4)", () => {
  test("R-4 without its replica's word nothing is answered, a duplicate and an opening no more than a first append", () =>
    withPair(patient, async ({ pair, master, replica, subject }) => {
      const { bus, options } = subject;
      const { chain, part, frames } = await filled(bus, 2);
      const more = [chain.next(1), chain.next(1)];
      const stranger = await opened(bus);
      // Each a gate of its own: none has written anything before for which its connection would wait.
      const gates = await Promise.all([1, 2, 3, 4, 5].map(() => openRedisBus({ ...options, durability: impatient })));
      try {
        replica.stop();
        const questions: ((gate: Bus) => Promise<unknown>)[] = [
          (gate) => gate.append(part, more, how),
          (gate) => gate.append(part, more, how),
          (gate) => gate.append(part, frames, how),
          (gate) => openChain(gate, stranger.chain),
          (gate) => openChain(gate, stranger.chain),
        ];
        for (const [index, question] of questions.entries())
          await assert.rejects(question(gates[index] as Bus), refused("BUS_OUTCOME_UNKNOWN"), `question ${index}`);
        assert.equal(await lengthAt(master, subject, part), 4, "the master has done it once");
      } finally {
        replica.go();
        for (const gate of gates) await gate.close();
      }
      for (const frame of more) assert.deepEqual(await settle(bus, part, frame, []), ["duplicate"]);
      assert.equal(await lengthAt(replica, subject, part), 4, "who answers has heard from the replica");
      const request = { producer: stranger.chain.producer, expectedEpoch: 1, keyId, registryVersion: how.registryVersion };
      assert.equal((await bus.openEpoch(request)).kind, "conflict");
      await assertStored(bus, part, [...frames, ...more]);
      await pair.linked();
    }));

  test("R-4 what no replica has confirmed is not read either: rows of it would be ahead of the log that a failover leaves", () =>
    withPair(patient, async ({ pair, replica, subject }) => {
      const { bus, options } = subject;
      const { chain, part, frames, positions } = await filled(bus, 2);
      // The barrier of a gate that has written nothing waits for what others have written.
      const [reader, gate] = await Promise.all([1, 2].map(() => openRedisBus({ ...options, durability: impatient })));
      assert.ok(reader !== undefined && gate !== undefined);
      const next = chain.next(1);
      const end = positions.at(-1) as Position;
      try {
        replica.stop();
        await assert.rejects(gate.append(part, [next], how), refused("BUS_OUTCOME_UNKNOWN"));
        await assert.rejects(reader.read(part, end, everything), refused("BUS_UNAVAILABLE"));
        await assert.rejects(reader.headsOf([chain.producer]), refused("BUS_UNAVAILABLE"), "and no head of it is told as durable");
        assert.equal((await reader.tails())[part]?.off, 3, "it may be known that there is something");
      } finally {
        replica.go();
        await pair.linked();
      }
      assert.equal((await reader.read(part, end, everything)).length, 1);
      assert.equal((await reader.headsOf([chain.producer])).get(chain.producer)?.seq, 3);
      await assertStored(bus, part, [...frames, next]);
      await Promise.all([reader.close(), gate.close()]);
    }));

  test("R-4 a master that is left by its replicas is found by the next look, and sent nothing until they are back", () =>
    withPair(patient, async ({ pair, master, replica, subject: { bus } }) => {
      const { chain, part, frames } = await filled(bus, 2);
      await replica.kill();
      await until("the bus to miss the replica", [master], async () => (await bus.pressure(ask(1))).paused === "replicas_missing");
      await master.client().config("RESETSTAT");
      const third = chain.next(1);
      for (const again of [third, frames[0] as FrameAppend]) {
        const [outcome] = await bus.append(part, [again], how);
        assert.ok(outcome?.kind === "paused" && outcome.reason === "replicas_missing");
      }
      assert.equal(await scriptsRun(master), 0);
      await replica.restart();
      await pair.linked();
      assert.equal((await bus.pressure(ask(1))).paused, null);
      assert.deepEqual(kinds(await bus.append(part, [third], how)), ["accepted"]);
    }));

  test("R-4 a master that is demoted while a change waits for its replica leaves the outcome unknown, whatever it says then", () =>
    withPair(patient, async ({ pair, master, replica, subject }) => {
      const { bus } = subject;
      const { chain, part, frames } = await filled(bus, 2);
      const third = chain.next(1);
      replica.stop();
      const lost = assert.rejects(bus.append(part, [third], how), refused("BUS_OUTCOME_UNKNOWN"));
      await until("the frame to be stored", [master], async () => (await lengthAt(master, subject, part)) === 3);
      await follow(master, replica);
      await lost;
      await promote(master);
      replica.go();
      await pair.linked();
      assert.deepEqual(await settle(bus, part, third, ["BUS_UNAVAILABLE"]).then((seen) => seen.at(-1)), "duplicate");
      await assertStored(bus, part, [...frames, third]);
    }));
});

describe("a master that dies (R-4, R-5)", () => {
  test("R-4 what was accepted is there under the new master, and the frames that nobody answered are settled there", () =>
    withPair(
      calm,
      async ({ pair, master, replica, subject: { bus } }) => {
        const third = pair.replicas[1] as TestRedis;
        const chains = await Promise.all(Array.from({ length: 4 }, () => opened(bus)));
        const stop = new AbortController();
        const running = chains.map(async ({ chain, part }) => {
          const frames: FrameAppend[] = [];
          while (!stop.signal.aborted) {
            const frame = chain.next(1);
            await settle(bus, part, frame, ["BUS_OUTCOME_UNKNOWN", "BUS_UNAVAILABLE"]);
            frames.push(frame);
          }
          return { part, frames };
        });
        const stored = async (): Promise<number> => (await bus.tails()).reduce((sum, { off }) => sum + off, 0);
        await until("some frames", [master], async () => (await stored()) >= 50);
        await master.kill();
        // Whoever has more has all that was accepted: one of the two has confirmed it.
        const offsets = await Promise.all(
          [replica, third].map(async (server) => Number((await infoOf(server, "replication")).get("slave_repl_offset"))),
        );
        const [next, last] = (offsets[0] ?? 0) >= (offsets[1] ?? 0) ? [replica, third] : [third, replica];
        await promote(next);
        await follow(last, next);
        const tail = await until("the bus to find the new master", [next], stored);
        await until("the bus to go on", [next, last], async () => {
          await bus.pressure(ask(1));
          return (await stored()) >= tail + 50;
        });
        stop.abort();
        for (const { part, frames } of await Promise.all(running)) await assertStored(bus, part, frames);
      },
      2,
    ));

  test("a master that comes back as a replica is found out by looking alone", () =>
    withPair(asynchronous, async (all) => {
      const { master, replica } = all;
      const { bus } = all.subject;
      const { chain, part, frames } = await filled(bus, 2);
      await caughtUp(all);
      await promote(replica);
      await follow(master, replica);
      await until(
        "the roles to be changed",
        [master],
        async () => (await infoOf(master, "replication")).get("master_link_status") === "up",
      );
      assert.equal((await bus.pressure(ask(1))).paused, null);
      const third = chain.next(1);
      assert.deepEqual(kinds(await bus.append(part, [third], how)), ["accepted"], "nobody had to be refused for it");
      await assertStored(bus, part, [...frames, third]);
    }));

  test("EB-20 R-2 R-5 where the master was not to wait, its last entries are lost with it: who has read them is told, and never reads past them", () =>
    withPair(asynchronous, async (pair) => {
      const { bus, options } = pair.subject;
      const log = await filled(bus, 5);
      const { chain, part } = log;
      const end = chain.end;
      const lost = await loseTail(pair, log, () => accept(bus, part, [chain.next(1), chain.next(1), chain.next(1)]));
      const [six, seven, eight] = lost as [Position, Position, Position];
      assert.equal(await bus.checkPosition(log.positions[4] as Position), "same");
      for (const position of lost) {
        assert.equal(await bus.checkPosition(position), "diverged");
        await assert.rejects(bus.read(part, position, everything), refused("BUS_HISTORY_DIVERGED"));
      }
      // Who has given receipts for what is lost takes nothing in its place, and tells nobody that it never was.
      Object.assign(chain, { seq: 5, end });
      const others = Array.from({ length: 4 }, () => chain.next(1, { salt: "again" }));
      const refusals = await bus.append(part, others, how);
      assert.deepEqual(new Set(refusals.map((outcome) => outcome.kind === "paused" && outcome.reason)), new Set(["log_lost"]));
      await assert.rejects(bus.headsOf([chain.producer]), refused("BUS_HISTORY_DIVERGED"));
      const { producer } = chain;
      const opening = { producer, expectedEpoch: 1, keyId, registryVersion: how.registryVersion };
      await assert.rejects(bus.openEpoch(opening), refused("BUS_HISTORY_DIVERGED"));
      // Another gate cannot know: through it the producer signs other frames, and after them the offsets are taken again.
      const gate = await openRedisBus(options);
      assert.equal((await gate.headsOf([producer])).get(producer)?.seq, 5);
      await accept(gate, part, others);
      assert.equal(await bus.checkPosition(seven), "diverged");
      for (const position of [six, seven, eight])
        await assert.rejects(bus.read(part, position, everything), refused("BUS_HISTORY_DIVERGED"), `read on from ${position.off}`);
      await assertStored(bus, part, [...log.frames, ...others]);
      // When the keeper has said it, nobody goes on.
      const { control } = pair.subject;
      await until("the keeper to find the new master", [pair.replica], () => control.pause("log_lost").then(() => true));
      await assert.rejects(gate.headsOf([producer]), refused("BUS_HISTORY_DIVERGED"));
      await assert.rejects(gate.openEpoch(opening), refused("BUS_HISTORY_DIVERGED"));
      await control.pause(null);
      assert.equal((await gate.openEpoch(opening)).kind, "opened");
      await gate.close();
    }));
});

describe("groups on a master that has lost entries (R-2, R-11)", () => {
  test("R-11 nothing is trimmed while a group stands in another history, also when the offsets are taken again", () =>
    withPair(asynchronous, async (pair) => {
      const { bus, control, options } = pair.subject;
      const log = await filled(bus, 5);
      const { chain, part, positions } = log;
      const leases = await bus.acquire("group:a", "one", { leaseMs: 60_000, partsMax: 100, held: [] });
      const lease = leases.find((candidate) => candidate.part === part) as Lease;
      const end = chain.end;
      const lost = await loseTail(pair, log, () => accept(bus, part, [chain.next(1), chain.next(1), chain.next(1)]));
      assert.equal(await bus.commit(lease, lost[1] as Position), "committed", "it has read them, and cannot know");
      assert.equal(await until("the keeper to find the new master", [pair.replica], () => control.trim(part, 8)), 0);
      Object.assign(chain, { seq: 5, end });
      const gate = await openRedisBus(options);
      await accept(
        gate,
        part,
        Array.from({ length: 5 }, () => chain.next(1, { salt: "again" })),
      );
      await gate.close();
      assert.equal(await control.trim(part, 8), 0);
      assert.equal(await lengthAt(pair.replica, pair.subject, part), 10);
      await control.rewind("group:a", part, positions[3] as Position);
      assert.equal(await control.trim(part, 8), 4, "an operator has set it back into this history");
    }));
});

/** Opens a bus and closes it again; gives what came in between. */
async function openingOf(options: RedisBusOptions): Promise<unknown> {
  try {
    await (await openRedisBus(options)).close();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("two masters at once, or none", () => {
  // Opening gives up after some seconds only, so it tries while the other tests run.
  const nobody = openingOf(freshOptions("redis://127.0.0.1:1", asynchronous));
  const undecided = (async () => {
    const pair = await startReplicated();
    after(() => pair.close());
    const options = freshOptions(pair.master.url, asynchronous);
    (await prepare(options)).close();
    const replica = pair.replicas[0] as TestRedis;
    await promote(replica);
    // The one that is farther away answers last.
    const far = await slowDoor(replica);
    after(() => far.close());
    return openingOf({ ...options, url: `${pair.master.url},127.0.0.1:${far.port}` });
  })();

  test("R-2 a bus in use that finds two masters sends frames to neither, until one of them is gone", () =>
    withPair(asynchronous, async (pair) => {
      const { master, replica, subject } = pair;
      const { bus } = subject;
      const { chain, part, frames } = await filled(bus, 2);
      await caughtUp(pair);
      await promote(replica);
      await assert.rejects(bus.pressure(ask(1)), refused("BUS_UNAVAILABLE"));
      for (const server of [master, replica]) await server.client().config("RESETSTAT");
      const third = chain.next(1);
      await assert.rejects(bus.append(part, [third], how), refused("BUS_UNAVAILABLE"));
      await assert.rejects(openChain(bus, chain), refused("BUS_UNAVAILABLE"));
      assert.deepEqual(await Promise.all([master, replica].map(scriptsRun)), [0, 0]);
      await follow(replica, master);
      await settle(bus, part, third, ["BUS_UNAVAILABLE"]);
      await assertStored(bus, part, [...frames, third]);
    }));

  test("R-2 a master that comes back while another has taken over is sent nothing", () =>
    withPair(asynchronous, async (pair) => {
      const { master, replica, subject } = pair;
      const { bus } = subject;
      const { chain, part } = await filled(bus, 2);
      await caughtUp(pair);
      await master.kill();
      await promote(replica);
      await master.restart();
      // The last thing that a new connection asks before it is used.
      const isBack = async (): Promise<boolean> =>
        String(await master.client().client("LIST")).match(/name=ransomeye .* cmd=info /g)?.length === 4;
      await until("all connections to be back", [master], isBack);
      await assert.rejects(bus.append(part, [chain.next(1)], how), refused("BUS_UNAVAILABLE"));
      assert.deepEqual(await Promise.all([master, replica].map((server) => lengthAt(server, subject, part))), [2, 2]);
    }));

  test("nobody who listens is BUS_UNAVAILABLE, told with what went wrong", async () => {
    const error = await nobody;
    assert.ok(hasCode(error, "BUS_UNAVAILABLE") && /ECONNREFUSED/.test(error.message), String(error));
  });

  test("R-2 a bus is not opened where two say that they are the master", async () => {
    const error = await undecided;
    assert.ok(hasCode(error, "BUS_UNAVAILABLE") && /or several do/.test(error.message), String(error));
  });
});
