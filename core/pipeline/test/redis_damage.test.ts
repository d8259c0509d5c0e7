/**
 * Entries that somebody has removed, changed or put into the streams by hand stop the readers with their place; no producer is accused for them, and
 * what comes after can still be appended.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode, recordingTelemetry } from "ransomeye-kernel";
import type { AppendOutcome, Bus, FrameAppend, Lease, Position } from "../src/bus.ts";
import type { BusCode } from "../src/errors.ts";
import { busStopped } from "../src/events.ts";
import { openRedisConsumer } from "../src/redis_streams/bus.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import { local, type RedisSubject } from "./redis_subject.ts";
import { filled, type Filled, opened, refused, rewriteStream, withBus } from "./redis_tools.ts";
import { ask, how } from "./subject.ts";

let server: TestRedis;
before(async () => {
  server = await startRedis();
});
after(() => server.close());

/** Reads on from each position and from the low mark, and gives how far it came and what stopped it. */
async function readers(bus: Bus, { part, positions }: Filled, framesMax: number): Promise<string[]> {
  const ends: string[] = [];
  for (const from of [null, ...positions]) {
    let after: Position | null = from;
    let end: string | undefined;
    while (end === undefined) {
      try {
        const entries = await bus.read(part, after, { ...everything, framesMax });
        after = entries.at(-1)?.position ?? after;
        if (entries.length === 0) end = "end";
      } catch (error) {
        end = (error as { code: string }).code;
      }
    }
    ends.push(`${from?.off ?? 0}: ${after?.off ?? 0} ${end}`);
  }
  return ends;
}

describe("removed entries (R-1)", () => {
  const cases = [
    {
      what: "in the middle",
      gone: [3],
      ends: ["0: 2 BUS_HOLE", "1: 2 BUS_HOLE", "2: 2 BUS_HOLE", "3: 3 BUS_HOLE", "4: 6 end", "5: 6 end", "6: 6 end"],
    },
    {
      what: "at the low end",
      gone: [1, 2],
      ends: ["0: 0 BUS_HOLE", "1: 1 BUS_HOLE", "2: 2 BUS_HOLE", "3: 6 end", "4: 6 end", "5: 6 end", "6: 6 end"],
    },
    {
      what: "at the tail",
      gone: [6],
      ends: ["0: 5 BUS_HOLE", "1: 5 BUS_HOLE", "2: 5 BUS_HOLE", "3: 5 BUS_HOLE", "4: 5 BUS_HOLE", "5: 5 BUS_HOLE", "6: 6 end"],
    },
  ] as const;
  for (const { what, gone, ends } of cases) {
    test(`R-1 an entry that was removed ${what} stops every reader there, and is never passed over or taken for the end`, () =>
      withBus(server.url, local, async ({ bus, keys }) => {
        const log = await filled(bus, 6);
        await server.client().xdel(keys.log(log.part), ...gone.map((off) => `${off}-0`));
        assert.deepEqual(await readers(bus, log, 1), ends);
        const codes = (all: readonly string[]): string[] => all.map((one) => one.replace(/: \d+ /, " "));
        assert.deepEqual(codes(await readers(bus, log, 100)), codes(ends));
      }));
  }

  test("R-1 a stream that was trimmed by hand, or removed as a whole, is a hole, also after more was appended", () =>
    withBus(server.url, local, async ({ bus, control, keys }) => {
      const log = await filled(bus, 6);
      const { part, chain, positions } = log;
      await server.client().xtrim(keys.log(part), "MINID", "5-0");
      await assert.rejects(bus.read(part, null, everything), refused("BUS_HOLE"));
      assert.equal(await control.trim(part, 3), 0, "what is damaged is left as it is");
      await server.client().del(keys.log(part));
      for (const from of [null, positions[2] as Position, positions[4] as Position])
        await assert.rejects(bus.read(part, from, everything), refused("BUS_HOLE"));
      assert.deepEqual(kinds(await bus.append(part, [chain.next(1)], how)), ["accepted"]);
      for (const from of [null, positions[4] as Position]) await assert.rejects(bus.read(part, from, everything), refused("BUS_HOLE"));
      assert.equal((await bus.tails())[part]?.off, 7);
    }));

  test("R-2 an honest duplicate of an entry that has vanished is a duplicate, and nobody is accused", () =>
    withBus(server.url, local, async ({ bus, keys }) => {
      const { part, chain, frames } = await filled(bus, 4);
      await server.client().xdel(keys.log(part), "2-0", "4-0");
      const outcomes = await bus.append(part, [...frames, chain.next(1)], how);
      assert.deepEqual(kinds(outcomes), ["duplicate", "duplicate", "duplicate", "duplicate", "accepted"]);
      assert.deepEqual(
        outcomes.map((outcome: AppendOutcome) => outcome.kind === "duplicate" && outcome.acceptedBy !== null),
        [true, false, true, false, false],
      );
    }));
});

describe("changed entries (R-10)", () => {
  const flipped = (bytes: Buffer | undefined, at: number): Buffer => {
    const copy = Buffer.from(bytes ?? "");
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    return copy;
  };
  const text = (words: string): Buffer[] => words.split(" ").map((word) => Buffer.from(word));
  /** What became of entry 3, of six. */
  const changes: Record<string, (fields: Buffer[]) => Buffer[]> = {
    "a payload with one other bit": (fields) => fields.with(11, flipped(fields[11], 5)),
    "a payload that was cut off": (fields) => fields.with(11, Buffer.alloc(0)),
    "another payload's hash": (fields) => fields.with(3, flipped(fields[3], 70)),
    "facts that are cut off": (fields) => fields.with(3, (fields[3] as Buffer).subarray(0, 150)),
    "a kind that nobody knows": (fields) => fields.with(3, Buffer.from(fields[3] ?? "").fill(9, 190, 192)),
    "a time that is no number": (fields) => fields.with(1, Buffer.from("now")),
    "other fields": () => text("a b c d e f g h i j k l"),
    "fewer fields": () => text("a b"),
    "more fields": (fields) => [...fields, ...text("x y")],
    "fields in another order": (fields) => [...fields.slice(2), ...fields.slice(0, 2)],
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`R-10 ${what}: readers stop there with BUS_CORRUPT, and producers go on`, () =>
      withBus(server.url, local, async ({ options, bus, keys }) => {
        const { part, chain, frames, positions } = await filled(bus, 6);
        await rewriteStream(server, keys.log(part), (off, fields) => (off === 3 ? change(fields) : fields));
        const telemetry = recordingTelemetry();
        const reader = await openRedisConsumer({ ...options, telemetry });
        try {
          for (const after of [null, positions[1] as Position])
            await assert.rejects(reader.read(part, after, everything), refused("BUS_CORRUPT"));
          assert.equal((await reader.read(part, null, { ...everything, framesMax: 2 })).length, 2);
          const told = telemetry.events
            .filter(({ name }) => name === busStopped.name)
            .map(({ fields }) => [fields["code"], fields["part"], fields["off"]]);
          assert.deepEqual(
            told,
            [1, 2].map(() => ["BUS_CORRUPT", part, 3]),
          );
          assert.equal((await reader.read(part, positions[4] as Position, everything)).length, 1);
        } finally {
          await reader.close();
        }
        const next = chain.next(1);
        const outcomes = kinds(await bus.append(part, [next, frames[2] as FrameAppend, frames[3] as FrameAppend], how));
        assert.deepEqual(outcomes, ["accepted", "duplicate", "duplicate"]);
        assert.deepEqual(kinds(await bus.append(part, [chain.next(1)], how)), ["accepted"]);
      }));
  }

  test("R-11 an operator who sets the groups behind damaged entries can have them trimmed away, the last of a step among them", () =>
    withBus(server.url, local, async ({ bus, control, keys }) => {
      const { part, positions } = await filled(bus, 300);
      const damaged = [3, 256];
      await rewriteStream(server, keys.log(part), (off, fields) => (damaged.includes(off) ? text("a b") : fields));
      const leases = await bus.acquire("group:a", "one", { leaseMs: 60_000, partsMax: 100, held: [] });
      const lease = leases.find((candidate) => candidate.part === part) as Lease;
      const { backlogEntries, backlogMs } = await bus.pressure(ask(1));
      assert.ok(backlogEntries === 300 && backlogMs >= 0);
      await control.rewind("group:a", part, positions[1] as Position);
      assert.ok((await bus.pressure(ask(1))).backlogMs >= 0);
      assert.equal(await bus.commit(lease, positions[1] as Position), "fenced");
      await control.rewind("group:a", part, positions[279] as Position);
      assert.equal(await control.trim(part, 300), 280);
      assert.equal(await server.client().xlen(keys.log(part)), 20);
      assert.equal(await bus.checkPosition(positions[279] as Position), "same");
      assert.equal((await bus.read(part, null, everything)).length, 20);
    }));

  test("R-2 an entry that was put in the place of another is told by its hash, and by who reads on from it", () =>
    withBus(server.url, local, async ({ bus, keys }) => {
      const { part, positions } = await filled(bus, 6);
      const stranger = await filled(bus, 1, { part });
      const key = keys.log(part);
      const [[, other]] = (await server.client().xrangeBuffer(key, "7-0", "7-0")) as [[Buffer, Buffer[]]];
      await rewriteStream(server, key, (off, fields) => (off === 3 ? other : fields));
      assert.equal(await bus.checkPosition(positions[2] as Position), "diverged");
      assert.equal(await bus.checkPosition(positions[3] as Position), "same");
      await assert.rejects(bus.read(part, positions[2] as Position, everything), refused("BUS_HISTORY_DIVERGED"));
      assert.equal(await bus.checkPosition(stranger.positions[0] as Position), "same");
    }));

  test("R-1 an entry that somebody has added is no entry of the bus", () =>
    withBus(server.url, local, async ({ bus, keys }) => {
      const { part, positions } = await filled(bus, 2);
      await server.client().xadd(keys.log(part), "2-7", "a", "b");
      await assert.rejects(bus.read(part, positions[0] as Position, everything), refused("BUS_CORRUPT"));
    }));
});

test("R-1 behind an entry that somebody has added nothing is appended or lost, the error says how to remove it, and then frames are taken again", () =>
  withBus(server.url, local, async ({ bus, keys }) => {
    const { part, chain, frames, positions } = await filled(bus, 2);
    const log = keys.log(part);
    const client = server.client();
    await client.xadd(log, "*", "not", "ours");
    const next = chain.next(1);
    await assert.rejects(
      bus.append(part, [frames[1] as FrameAppend, next, chain.next(1)], how),
      (error: unknown) => hasCode(error, "BUS_CORRUPT") && error.message.includes(`XSETID ${log} 2-0`),
    );
    assert.equal((await bus.read(part, null, { ...everything, framesMax: 2 })).length, 2);
    const [foreign] = await client.xrange(log, "(2-0", "+");
    await client.xdel(log, foreign?.[0] ?? "");
    await client.call("XSETID", log, "2-0");
    assert.deepEqual(kinds(await bus.append(part, [frames[1] as FrameAppend, next], how)), ["duplicate", "accepted"]);
    assert.deepEqual(
      (await bus.read(part, positions[1] as Position, everything)).map(({ position }) => position.off),
      [3],
    );
  }));

describe("keys of another type", () => {
  const damaged = async (subject: RedisSubject, log: Filled, key: string, code: BusCode): Promise<void> => {
    await server.client().del(key);
    await server.client().set(key, "not ours");
    await assert.rejects(subject.bus.append(log.part, [log.chain.next(1)], how), refused(code, "WRONGTYPE"));
    assert.equal(await server.client().get(key), "not ours");
  };
  test("a partition whose log or state is something else is BUS_CORRUPT for everybody", () =>
    withBus(server.url, local, async (subject) => {
      const { bus, keys } = subject;
      const [one, two] = [await filled(bus, 2), await filled(bus, 2)];
      await damaged(subject, one, keys.log(one.part), "BUS_CORRUPT");
      await assert.rejects(bus.read(one.part, null, everything), refused("BUS_CORRUPT"));
      await damaged(subject, two, keys.partitionState(two.part), "BUS_CORRUPT");
      await assert.rejects(bus.tails(), refused("BUS_CORRUPT"));
    }));

  test("a call is stored as a whole or not at all, also where one of its producers cannot be read", () =>
    withBus(server.url, local, async ({ bus, keys }) => {
      const { part, chain } = await filled(bus, 2);
      const other = await opened(bus, part);
      const third = await opened(bus, part);
      const frames = [chain.next(1), other.chain.next(1), third.chain.next(1)];
      const key = keys.producer(part, other.chain.producer);
      const head = await server.client().dumpBuffer(key);
      for (const damage of ["type", "head"]) {
        await server.client().del(key);
        if (damage === "type") await server.client().set(key, "not ours");
        else await server.client().hset(key, "head", "not ours");
        await assert.rejects(bus.append(part, frames, how), refused(damage === "type" ? "BUS_CORRUPT" : "BUS_INTERNAL"));
        assert.equal((await bus.tails())[part]?.off, 2);
        assert.equal(await server.client().xlen(keys.log(part)), 2);
      }
      await accept(bus, part, [frames[0] as FrameAppend, frames[2] as FrameAppend]);
      await server.client().restore(key, 0, head, "REPLACE");
      await accept(bus, part, [frames[1] as FrameAppend]);
    }));
});
