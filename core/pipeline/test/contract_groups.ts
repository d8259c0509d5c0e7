/**
 * Why it exists: leases, fencing tokens and offsets of consumer groups, for every adapter.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import type { Bus, Lease, Position } from "../src/bus.ts";
import { accept, shared } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { ask, openChain, type OpenSubject } from "./subject.ts";

const lease = { leaseMs: 60_000, partsMax: 1000, held: [] } as const;
const parts = (leases: readonly Lease[]): number[] => leases.map(({ part }) => part).toSorted((a, b) => a - b);

export function groupContract(open: OpenSubject): void {
  describe("groups", () => {
    const subject = shared(open);
    let part = -1;
    const positions: Position[] = [];
    before(async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(70));
      part = await openChain(bus, chain);
      for (let number = 0; number < 10; number++) positions.push(...(await accept(bus, part, [chain.next(1)])));
    });
    const at = (index: number): Position => positions[index] as Position;
    const leaseOf = async (bus: Bus, group: string, member: string): Promise<Lease> => {
      const found = (await bus.acquire(group, member, lease)).find((candidate) => candidate.part === part);
      if (found === undefined) throw new Error("the partition was not free");
      return found;
    };

    test("EB-3 R-3 a lost lease cannot move the offset, and the successor begins where the group stood", async () => {
      const { bus, other, expireLeases } = subject();
      const mine = await leaseOf(bus, "group:a", "one");
      assert.equal(mine.position, null);
      assert.equal(await bus.commit(mine, at(2)), "committed");
      await expireLeases("group:a");
      const theirs = await leaseOf(other, "group:a", "two");
      assert.deepEqual(theirs.position, at(2));
      assert.ok(theirs.token > mine.token);
      assert.equal(await bus.commit(mine, at(5)), "fenced");
      assert.deepEqual(parts(await bus.renew([mine], 1000)), []);
      assert.equal(await other.commit(theirs, at(3)), "committed");
      const found = (await bus.lag("group:a"))[part];
      assert.deepEqual(found, { part, off: 4, tail: 10, entries: 6 });
    });

    test("R-3 an expired lease that nobody took over still commits; a released one does not", async () => {
      const { bus, expireLeases } = subject();
      const mine = await leaseOf(bus, "group:b", "one");
      await expireLeases("group:b");
      assert.equal(await bus.commit(mine, at(0)), "committed");
      assert.deepEqual(parts(await bus.renew([mine], 60_000)), [part]);
      await bus.release([mine]);
      assert.equal(await bus.commit(mine, at(1)), "fenced");
      const again = await leaseOf(bus, "group:b", "one");
      assert.ok(again.token > mine.token);
      assert.deepEqual(again.position, at(0));
    });

    test("a partition that somebody holds is not given to another member", async () => {
      const { bus, other } = subject();
      const held = await bus.acquire("group:c", "one", lease);
      assert.deepEqual(
        parts(held),
        Array.from({ length: bus.partitions }, (_, index) => index),
      );
      assert.deepEqual(await other.acquire("group:c", "two", lease), []);
    });

    test("R-3 what a dead predecessor of the same name held is taken over at once, and its token is void", async () => {
      const { bus, other } = subject();
      const dead = await bus.acquire("group:j", "one", lease);
      const mine = dead.find((candidate) => candidate.part === part) as Lease;
      assert.equal(await bus.commit(mine, at(4)), "committed");
      const successor = await other.acquire("group:j", "one", lease);
      assert.deepEqual(parts(successor), parts(dead));
      for (const [index, { token }] of successor.entries()) assert.ok(token > (dead[index]?.token ?? Number.POSITIVE_INFINITY));
      assert.deepEqual(successor.find((candidate) => candidate.part === part)?.position, at(4));
      assert.equal(await bus.commit(mine, at(5)), "fenced");
      assert.deepEqual(await bus.renew(dead, 60_000), []);
      assert.equal(await other.commit(successor.find((candidate) => candidate.part === part) as Lease, at(5)), "committed");
    });

    test("what a member holds stays under its token when it asks for more, and what it has let go comes back under a new one", async () => {
      const { bus } = subject();
      const first = await bus.acquire("group:k", "one", lease);
      assert.deepEqual(await bus.acquire("group:k", "one", { ...lease, held: first }), []);
      const forgotten = first.find((candidate) => candidate.part === part) as Lease;
      const again = await bus.acquire("group:k", "one", { ...lease, held: first.filter((candidate) => candidate !== forgotten) });
      assert.deepEqual(parts(again), [part]);
      assert.deepEqual(parts(await bus.renew([...first, ...again], 60_000)), parts(first));
      assert.equal(await bus.commit(forgotten, at(0)), "fenced");
    });

    test("members share: a newcomer gets its part when the others renew, and leavers leave theirs", async () => {
      const { bus, other } = subject();
      const share = bus.partitions / 2;
      let first: Lease[] = await bus.acquire("group:d", "one", lease);
      assert.deepEqual(await other.acquire("group:d", "two", lease), []);
      first = await bus.renew(first, 60_000);
      assert.equal(first.length, share);
      const second = await other.acquire("group:d", "two", lease);
      assert.equal(second.length, share);
      assert.deepEqual(
        parts([...first, ...second]),
        Array.from({ length: bus.partitions }, (_, index) => index),
      );
      first = await bus.renew(first, 60_000);
      assert.equal(first.length, share);
      await other.release(second);
      first.push(...(await bus.acquire("group:d", "one", { ...lease, held: first })));
      assert.equal(first.length, bus.partitions);
    });

    test("what a modest member does not want is left to the others", async () => {
      const { bus, other } = subject();
      assert.equal((await other.acquire("group:e", "modest", { ...lease, partsMax: 1 })).length, 1);
      const rest = await bus.acquire("group:e", "eager", lease);
      assert.equal(rest.length, bus.partitions - 1);
      assert.equal((await bus.renew(rest, 60_000)).length, bus.partitions - 1);
    });

    test("a commit never moves backward", async () => {
      const { bus } = subject();
      const mine = await leaseOf(bus, "group:f", "one");
      await bus.commit(mine, at(6));
      await assert.rejects(bus.commit(mine, at(5)), (error) => hasCode(error, "BUS_BAD_ARGUMENT"));
      assert.equal(await bus.commit(mine, at(6)), "committed");
    });

    test("a rewind voids the current token and the group goes on from there", async () => {
      const { bus, control } = subject();
      const mine = await leaseOf(bus, "group:g", "one");
      await bus.commit(mine, at(9));
      await control.rewind("group:g", part, at(3));
      assert.equal(await bus.commit(mine, at(9)), "fenced");
      const again = await leaseOf(bus, "group:g", "one");
      assert.deepEqual(again.position, at(3));
      await control.rewind("group:g", part, null);
      assert.equal((await leaseOf(bus, "group:g", "one")).position, null);
    });

    test("groups are independent of one another", async () => {
      const { bus } = subject();
      const one = await leaseOf(bus, "group:h", "one");
      const two = await leaseOf(bus, "group:i", "one");
      await bus.commit(one, at(8));
      assert.equal(await bus.commit(two, at(1)), "committed");
      assert.equal((await bus.lag("group:h"))[part]?.entries, 1);
      assert.equal((await bus.lag("group:i"))[part]?.entries, 8);
      const { backlogEntries, backlogMs } = await bus.pressure(ask(1));
      assert.equal(backlogEntries, 10, "the slowest group counts");
      assert.ok(backlogMs >= 0);
    });
  });
}
