/**
 * On Redis trimming removes: entries go with their index, in steps, and nobody is left standing below what is kept.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { Bus, FrameAppend, Lease, Position } from "../src/bus.ts";
import { openRedisControl } from "../src/redis_streams/bus.ts";
import { RedisControl } from "../src/redis_streams/control.ts";
import type { Call } from "../src/redis_streams/link.ts";
import type { Servers } from "../src/redis_streams/servers.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import { local, type RedisSubject } from "./redis_subject.ts";
import { assertStored, filled, type Filled, infoOf, opened, withBus } from "./redis_tools.ts";
import { how, openChain } from "./subject.ts";

let server: TestRedis;
before(async () => {
  // Removing is what is looked at here; how it is flushed stands elsewhere.
  server = await startRedis();
});
after(() => server.close());

const withSubject = (work: (subject: RedisSubject) => Promise<void>): Promise<void> => withBus(server.url, local, work);

async function leaseOf(bus: Bus, group: string, part: number): Promise<Lease> {
  const leases = await bus.acquire(group, "one", { leaseMs: 60_000, partsMax: 1000, held: [] });
  return leases.find((lease) => lease.part === part) as Lease;
}

/** How many frames a producer's hash points to. */
async function indexed({ keys }: RedisSubject, { part, chain }: Pick<Filled, "part" | "chain">): Promise<number> {
  return (await server.client().hkeys(keys.producer(part, chain.producer))).filter((field) => field.startsWith("f:")).length;
}

const at = (positions: readonly Position[], off: number): Position => positions[off - 1] as Position;

describe("trimming (R-11)", () => {
  test("R-11 entries go with their index, and the low mark that is left is a whole position", () =>
    withSubject(async (subject) => {
      const { bus, control, keys } = subject;
      const log = await filled(bus, 10);
      const { part, frames, positions, chain } = log;
      const other = await filled(bus, 4, { part });
      assert.equal(await control.trim(part, 6), 6);
      assert.deepEqual([await indexed(subject, log), await indexed(subject, other)], [4, 4]);
      assert.equal(await control.trim(part, 12), 12);
      assert.deepEqual([await indexed(subject, log), await indexed(subject, other)], [0, 2]);
      assert.equal(await server.client().xlen(keys.log(part)), 2);
      const mark = at(other.positions, 2);
      assert.equal(await bus.checkPosition(mark), "same");
      assert.equal(await bus.checkPosition({ ...mark, hash: Buffer.alloc(32) }), "diverged");
      assert.equal(await bus.checkPosition(at(positions, 10)), "trimmed");
      await assert.rejects(bus.read(part, at(positions, 10), everything), (error) => hasCode(error, "BUS_TRIMMED"));
      assert.deepEqual((await leaseOf(bus, "group:new", part)).position, mark);
      assert.deepEqual(await bus.seek(part, 0), mark);
      for (const from of [null, mark]) assert.equal((await bus.read(part, from, everything)).length, 2);
      const again = await bus.append(part, [...frames, ...other.frames, chain.next(1)], how);
      assert.deepEqual(kinds(again), [...Array<string>(14).fill("duplicate"), "accepted"]);
      const known = again.map((outcome) => outcome.kind === "duplicate" && outcome.acceptedBy !== null);
      assert.deepEqual(known, [...Array<boolean>(12).fill(false), true, true, false]);
    }));

  test("R-6 a chain goes on over what was trimmed, also into its next epoch", () =>
    withSubject(async ({ bus, control }) => {
      const { part, chain, frames } = await filled(bus, 3);
      assert.equal(await control.trim(part, 3), 3);
      await openChain(bus, chain);
      assert.deepEqual(chain.end.hash, frames[2]?.link.hash);
      const more = [chain.next(2), chain.next(1)];
      await accept(bus, part, more);
      assert.deepEqual(kinds(await bus.append(part, frames, how)), ["fenced", "fenced", "fenced"], "nobody can compare what is gone");
      assert.equal(await control.trim(part, 4), 4);
      assert.deepEqual(kinds(await bus.append(part, more, how)), ["duplicate", "duplicate"]);
    }));

  test("many entries go in steps, so that no step holds the server for long", () =>
    withSubject(async (subject) => {
      const { bus, control, keys } = subject;
      const log = await filled(bus, 1000);
      await server.client().config("RESETSTAT");
      assert.equal(await control.trim(log.part, 900), 900);
      assert.match((await infoOf(server, "commandstats")).get("cmdstat_xtrim") ?? "", /calls=4,/);
      assert.equal(await server.client().xlen(keys.log(log.part)), 100);
      assert.equal(await indexed(subject, log), 100);
      assert.equal((await bus.read(log.part, null, everything))[0]?.position.off, 901);
    }));

  test("large entries go in smaller steps", () =>
    withSubject(async (subject) => {
      const { bus, control, keys } = subject;
      const log = await filled(bus, 40, { payloadBytes: 256 * 1024 });
      await server.client().config("RESETSTAT");
      assert.equal(await control.trim(log.part, 40), 40);
      assert.match((await infoOf(server, "commandstats")).get("cmdstat_xtrim") ?? "", /calls=5,/);
      assert.deepEqual([await server.client().xlen(keys.log(log.part)), await indexed(subject, log)], [0, 0]);
    }));

  test("several that trim at once, under appends, remove what the furthest asked for and nothing else", () =>
    withSubject(async (subject) => {
      const { bus, control, options, keys } = subject;
      const second = await openRedisControl(options);
      try {
        const log = await filled(bus, 700);
        const { part, chain } = log;
        const more: FrameAppend[] = [];
        const appending = (async () => {
          for (let number = 0; number < 50; number++) {
            more.push(chain.next(1));
            await accept(bus, part, more.slice(-1));
          }
        })();
        const trims = [300, 600, 10, 650, 257].map((off, index) => (index % 2 === 0 ? control : second).trim(part, off));
        for (const mark of await Promise.all(trims)) assert.ok(mark <= 650);
        await appending;
        assert.equal(await control.trim(part, 650), 650);
        assert.equal(await server.client().xlen(keys.log(part)), 100);
        assert.equal(await indexed(subject, log), 100);
        const rest = (await bus.read(part, null, everything)).map(({ position }) => position.off);
        assert.deepEqual(
          rest,
          Array.from({ length: 100 }, (_, index) => 651 + index),
        );
        assert.deepEqual(kinds(await bus.append(part, more, how)), Array(50).fill("duplicate"));
      } finally {
        second.close();
      }
    }));
});

describe("groups and trimming (R-3)", () => {
  test("R-3 nothing goes from under a group, and a group that is set back is never below what is kept", () =>
    withSubject(async ({ bus, control }) => {
      const { part, positions } = await filled(bus, 20);
      const [fast, slow] = [await leaseOf(bus, "group:fast", part), await leaseOf(bus, "group:slow", part)];
      await bus.commit(fast, at(positions, 15));
      assert.equal(await control.trim(part, 20), 0, "one has read nothing yet");
      await bus.commit(slow, at(positions, 7));
      assert.equal(await control.trim(part, Number.MAX_SAFE_INTEGER), 7);
      for (const place of [null, at(positions, 2), at(positions, 7)]) {
        await control.rewind("group:fast", part, place);
        const { position } = await leaseOf(bus, "group:fast", part);
        assert.deepEqual(position, at(positions, 7));
        assert.equal((await bus.read(part, position, everything))[0]?.position.off, 8);
      }
      await control.rewind("group:fast", part, at(positions, 9));
      assert.deepEqual((await leaseOf(bus, "group:fast", part)).position, at(positions, 9));
      assert.equal(await control.trim(part, 3), 7);
    }));

  /** The servers, with something that happens after each answer. */
  const interrupted = (servers: Servers, between: () => Promise<void>): Servers => {
    const ask = (work: "read" | "change") => async (key: string, calls: readonly Call[]) => {
      const replies = await servers[work](key, calls);
      await between();
      return replies;
    };
    return { read: ask("read"), change: ask("change") } as unknown as Servers;
  };

  test("R-3 a group that begins at whatever moment of a trim reads on from where it begins", async () => {
    const marks: number[] = [];
    let answers = Number.POSITIVE_INFINITY;
    // A bus of its own each time: with every group a trim has one answer more.
    for (let moment = 0; moment < answers; moment++)
      await withSubject(async ({ bus, other, servers, keys }) => {
        const { part, positions } = await filled(bus, 3);
        const tail = positions[2] as Position;
        await other.commit(await leaseOf(other, "group:old", part), tail);
        const begun: Lease[] = [];
        answers = 0;
        const watched = interrupted(servers, async () => {
          if (answers++ === moment) begun.push(await leaseOf(other, "group:new", part));
        });
        const control = new RedisControl({ servers: watched, keys, generation: bus.generation, partitions: bus.partitions });
        marks.push(tail.off - (await control.trim(part, tail.off)));
        for (const { position } of begun) {
          const entries = await other.read(part, position, everything);
          assert.equal(entries.at(-1)?.position.off ?? position?.off, tail.off);
        }
      });
    assert.ok(marks.some((left) => left > 0) && marks.filter((left) => left === 0).length > 1, "it came first in some, last in others");
  });

  test("R-11 a group that is set back at whatever moment of a trim reads on from what is left", async () => {
    const begun: number[] = [];
    let answers = Number.POSITIVE_INFINITY;
    for (let moment = 0; moment < answers; moment++)
      await withSubject(async ({ bus, other, servers, keys }) => {
        const { part, positions } = await filled(bus, 6);
        await other.commit(await leaseOf(other, "group:old", part), at(positions, 6));
        answers = 0;
        const plain = new RedisControl({ servers, keys, generation: bus.generation, partitions: bus.partitions });
        const watched = interrupted(servers, async () => {
          if (answers++ === moment) await plain.rewind("group:old", part, at(positions, 2));
        });
        const control = new RedisControl({ servers: watched, keys, generation: bus.generation, partitions: bus.partitions });
        const low = await control.trim(part, 6);
        const { position } = await leaseOf(other, "group:old", part);
        const entries = await other.read(part, position, everything);
        assert.deepEqual(
          entries.map((entry) => entry.position.off),
          Array.from({ length: 6 - (position?.off ?? 0) }, (_, index) => (position?.off ?? 0) + index + 1),
        );
        assert.ok(low <= (position?.off ?? 0));
        begun.push(position?.off ?? 0);
      });
    assert.deepEqual(
      [...new Set(begun)].toSorted((a, b) => a - b),
      [2, 6],
      "the group came first in some, the trim in others",
    );
  });

  test("R-11 where the floor had risen and the removal was lost, groups begin at the floor and the next trim removes", () =>
    withSubject(async (subject) => {
      const { bus, control, keys } = subject;
      const log = await filled(bus, 10);
      const { part, positions, chain } = log;
      const lost = [keys.log(part), keys.partitionState(part), keys.producer(part, chain.producer)];
      const older = await Promise.all(lost.map((key) => server.client().dumpBuffer(key)));
      assert.equal(await control.trim(part, 8), 8);
      for (const [index, key] of lost.entries()) await server.client().restore(key, 0, older[index] as Buffer, "REPLACE");
      const lease = await leaseOf(bus, "group:new", part);
      assert.deepEqual(lease.position, at(positions, 8));
      assert.equal((await bus.read(part, lease.position, everything)).length, 2);
      assert.equal((await bus.read(part, null, everything)).length, 10);
      assert.equal(await control.trim(part, 5), 5);
      assert.deepEqual((await leaseOf(bus, "group:third", part)).position, at(positions, 8), "the floor does not sink");
      assert.equal(await control.trim(part, 10), 8);
      assert.equal(await indexed(subject, log), 2);
      await assertStored(bus, part, log.frames.slice(8));
      assert.deepEqual((await leaseOf(bus, "group:newer", part)).position, at(positions, 8));
    }));
});

test("R-11 two producers of a partition keep their own low marks", () =>
  withSubject(async ({ bus, control }) => {
    const { part, chain, frames } = await filled(bus, 2);
    const other = await opened(bus, part);
    const others = [other.chain.next(1), other.chain.next(1)];
    await accept(bus, part, [others[0] as FrameAppend, chain.next(1), others[1] as FrameAppend]);
    assert.equal(await control.trim(part, 3), 3);
    const outcomes = await bus.append(part, [...frames, ...others], how);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind === "duplicate" && outcome.acceptedBy !== null),
      [false, false, false, true],
    );
  }));
