/**
 * Why it exists: what leaves the servers' memory for the archive must not be noticed by anybody.
 * Enforces: the whole message contract, and the machine's random histories, on streams of which hardly anything is left in the servers' memory; and what only
 * a stream with an archive promises: an archive that is away costs nobody a message, what is not archived is not let go, what it lacks is told.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BusError } from "../src/errors.ts";
import { type MessagePriority, StreamName } from "../src/messages/message.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { messageLogDefaults } from "../src/messages/settings.ts";
import { RedisMessages } from "../src/redis_streams/messages.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { messageContract } from "./message_contract.ts";
import { attack, bytesOf, nameOf } from "./message_subject.ts";
import { type HistoryBounds, playMessageHistories } from "./message_histories.ts";
import { type ArchivedSubject, openArchivedMessages } from "./redis_messages_subject.ts";

const { attacks, deadLetter } = StreamName;
const group = "group:behind";
const leaseMs = 60_000;

let server: TestRedis | undefined;
before(async () => {
  server = await startRedis();
});
/** What a test that failed left open. */
const opened: ArchivedSubject[] = [];
after(async () => {
  for (const subject of opened) await subject.close();
  await server?.close();
});

async function open(...how: [options?: Parameters<typeof openArchivedMessages>[1], hotLeft?: number | null]): Promise<ArchivedSubject> {
  const subject = await openArchivedMessages((server as TestRedis).url, ...how);
  opened.push(subject);
  return subject;
}

messageContract("redis, of which the archive holds all but two entries", (options = {}) => open(options));

test("R-11 R-26 BUS-6 BUS-7 the scripts with an archive and the pure machine answer every random history of a group alike", async () => {
  let finds = 0;
  const bounds = { entriesMax: 24, entriesUnreadMax: 60, bytesMax: 15_000, bytesUnreadMax: 40_000 };
  const fresh = async (tight: HistoryBounds): Promise<ArchivedSubject> => {
    const subject = await open(tight, 20);
    const close = async (): Promise<void> => {
      finds += subject.archive.finds;
      await subject.close();
    };
    return { ...subject, close };
  };
  await playMessageHistories(fresh, { bounds, repeatsWithin: 8 });
  assert.ok(finds > 0, "groups have read from the archive");
});

/** Publishes attacks named from 0 on. */
async function publish(log: MessageLog, count: number, from = 0): Promise<void> {
  const said = await log.publish(Array.from({ length: count }, (_, index) => attack(`${from + index}`)));
  assert.ok(said.every(({ kind }) => kind === "published"));
}

const namesOf = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, index) => `${from + index}`);
const inMemory = async ({ servers, keys }: ArchivedSubject): Promise<number> =>
  Number((await servers.read(keys.place, [{ command: ["XLEN", keys.log(attacks, 2)] }]))[0]);

describe("a stream with an archive", () => {
  test("EB-21 R-26 what a group has not read leaves the servers' memory for the archive, publishers go on, and the group reads all of it in order", async () => {
    const subject = await open({ entriesHotMax: 10 }, null);
    const { log, spill } = subject;
    await log.createGroup(attacks, group, "beginning");
    // The publisher makes the room that it needs itself.
    for (let from = 0; from < 100; from += 5) await publish(log, 5, from);
    assert.ok((await inMemory(subject)) <= 10);
    await spill();
    assert.equal(await inMemory(subject), 0);
    const seen: string[] = [];
    for (;;) {
      const { deliveries, missing } = await log.take(attacks, group, "one", { max: 7, leaseMs });
      assert.deepEqual(missing, []);
      if (deliveries.length === 0) break;
      seen.push(...deliveries.map(nameOf));
      for (const delivery of deliveries) assert.equal(await log.settle(delivery, { kind: "done" }), "settled");
    }
    assert.deepEqual(seen, namesOf(0, 100));
    assert.deepEqual((await log.read(attacks, 2, 40, 5)).map(nameOf), namesOf(40, 45));
    await subject.close();
  });

  test("R-26 an archive that does not answer keeps what is behind waiting, uncounted, and nothing leaves the servers' memory", async () => {
    const subject = await open({ entriesHotMax: 10 }, null);
    const { log, archive, spill } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(log, 8);
    await spill();
    await publish(log, 4, 8);
    archive.away = new BusError("BUS_UNAVAILABLE", "the archive is away");
    await assert.rejects(log.take(attacks, group, "one", { max: 20, leaseMs }), /the archive is away/);
    await assert.rejects(log.trim(attacks), /the archive is away/);
    assert.equal(await inMemory(subject), 4);
    assert.equal(subject.telemetry.gauges.get("ransomeye_messages_unarchived"), 4);
    archive.away = undefined;
    const { deliveries } = await log.take(attacks, group, "one", { max: 20, leaseMs });
    assert.deepEqual(deliveries.map(nameOf), namesOf(0, 12));
    assert.ok(deliveries.every((one) => one.deliveries === 1 && one.failures.length === 0));
    await subject.close();
  });

  test("R-26 publishers are told that a stream is full when the archive does not keep up, and not before", async () => {
    const subject = await open({ entriesHotMax: 10 }, null);
    const { log, archive, blind } = subject;
    await log.createGroup(attacks, group, "beginning");
    await log.trim(attacks);
    const said = await blind.publish(Array.from({ length: 11 }, (_, index) => attack(`${index}`)));
    assert.deepEqual(
      said.map(({ kind }) => kind),
      [...Array.from({ length: 10 }, () => "published"), "full"],
    );
    archive.away = new BusError("BUS_UNAVAILABLE", "the archive is away");
    assert.equal((await blind.publish([attack("10")]))[0]?.kind, "full");
    archive.away = undefined;
    await log.trim(attacks);
    await publish(blind, 2, 10);
    await subject.close();
  });

  test("EB-7 R-26 of the servers' memory a stream takes no more than its bytes, few as its messages are, and what the archive alone holds counts as well", async () => {
    const each = bytesOf(attack("00"));
    const subject = await open({ bytesHotMax: 10 * each, bytesMax: 5 * each, bytesUnreadMax: 30 * each }, null);
    const { log, blind, archive } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(blind, 10, 10);
    assert.equal((await blind.publish([attack("20")]))[0]?.kind, "full");
    for (let from = 20; from < 40; from += 2) await publish(log, 2, from);
    assert.ok((await inMemory(subject)) <= 10);
    assert.equal(archive.rows.length >= 20, true);
    assert.equal((await log.publish([attack("40")]))[0]?.kind, "full", "thirty wait, wherever they lie");
    const { deliveries } = await log.take(attacks, group, "one", { max: 12, leaseMs });
    for (const delivery of deliveries) await log.settle(delivery, { kind: "done" });
    assert.equal(await log.trim(attacks), 12, "of what lies in the archive alone goes what is settled");
    await publish(log, 12, 40);
    assert.equal((await log.publish([attack("52")]))[0]?.kind, "full", "how much has gone is known to the byte");
    const rest = (await log.take(attacks, group, "one", { max: 64, leaseMs })).deliveries;
    assert.deepEqual(rest.map(nameOf), namesOf(22, 52));
    for (const delivery of rest) await log.settle(delivery, { kind: "done" });
    assert.equal(await log.trim(attacks), 25);
    await subject.close();
  });

  test("EB-7 R-26 of what is too large the least urgent goes first, wherever it lies", async () => {
    const bounds = { entriesMax: 24, entriesUnreadMax: 60, bytesMax: 15_000, bytesUnreadMax: 40_000 };
    const { log, close } = await open(bounds, 20);
    let name = 0;
    // A random history found these: what leaves the archive first is of one priority, and how large it was is not known when the next one's turn has come.
    const say = (...each: readonly (readonly [priority: MessagePriority, more: number])[]): Promise<unknown> =>
      log.publish(each.map(([of, more]) => attack(`${name++}`.padEnd(more), of)));
    await say([2, 1500], [4, 1500], [4, 1500]);
    await say([3, 1500], [4, 1500], [4, 0], [2, 0], [4, 0], [3, 0], [1, 0]);
    await say([3, 1500], [1, 0], [1, 0], [2, 0]);
    await say([2, 1500], [2, 0]);
    await log.rewind(attacks, group, Number.MAX_SAFE_INTEGER);
    await say([1, 100], [1, 100], [1, 0], [1, 0], [1, 0]);
    assert.equal(await log.trim(attacks), 4);
    const left = await Promise.all(([1, 2, 3, 4] as const).map((of) => log.read(attacks, of, 0, 10)));
    assert.deepEqual(
      left.map((all) => [all[0]?.off, all.length]),
      [
        [4, 5],
        [2, 4],
        [1, 3],
        [1, 5],
      ],
    );
    await close();
  });

  test("R-26 nothing goes that the archive does not hold, whoever has settled it", async () => {
    const subject = await open({ entriesMax: 2 }, null);
    const { log, blind, archive } = subject;
    await log.trim(attacks);
    await publish(blind, 6);
    archive.away = new BusError("BUS_UNAVAILABLE", "the archive is away");
    await assert.rejects(log.trim(attacks));
    // A publisher that makes room for itself copies nothing.
    const publisher = new RedisMessages(subject.servers, subject.keys, { ...messageLogDefaults, entriesMax: 2, trims: true });
    assert.equal(await publisher.trim(attacks), 0);
    assert.equal(await inMemory(subject), 6);
    archive.away = undefined;
    assert.equal(await log.trim(attacks), 4);
    assert.equal(await inMemory(subject), 2);
    await subject.close();
  });

  test("R-26 BUS-5 a server that is full lets its groups end what they have, and what is archived leave", async () => {
    const small = await startRedis();
    const subject = await openArchivedMessages(small.url, { entriesHotMax: 10 }, null);
    const { log, blind } = subject;
    await log.trim(attacks);
    await log.createGroup(attacks, group, "beginning");
    await publish(blind, 10);
    const [first, second, third] = (await log.take(attacks, group, "one", { max: 5, leaseMs })).deliveries;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await small.set({ maxmemory: "1000000" });
    assert.equal((await blind.publish([attack("too much")]))[0]?.kind, "full");
    assert.equal(await log.settle(first, { kind: "done" }), "settled");
    assert.equal((await log.extend([second], leaseMs)).length, 1);
    assert.equal(await log.settle(third, { kind: "retry", reason: "not now", delayMs: 0 }), "settled");
    assert.deepEqual((await log.take(attacks, group, "two", { max: 2, leaseMs })).deliveries.map(nameOf), ["2", "5"]);
    // How much memory is used it looks at once a second.
    await subject.pass(1100);
    await log.trim(attacks);
    assert.equal(await inMemory(subject), 0, "all of it is in the archive");
    await small.set({ maxmemory: "0" });
    await publish(log, 3, 10);
    await subject.close();
    await small.close();
  });

  test("R-26 BUS-5 large messages leave a server whose memory is half used, few as they are, and their group reads them", async () => {
    const small = await startRedis({ settings: { maxmemory: "12mb" } });
    const subject = await openArchivedMessages(small.url, {}, null);
    const { log } = subject;
    await log.createGroup(attacks, group, "beginning");
    const large = (name: number): ReturnType<typeof attack> => {
      const message = attack(`${name}`);
      return { ...message, payload: { ...(message.payload as object), note: "x".repeat(100_000) } };
    };
    let published = 0;
    for (; published < 200; published++) {
      const [said] = await log.publish([large(published)]);
      assert.equal(said?.kind, "published", `message ${published}`);
      if (published % 25 === 24) {
        await subject.pass(1100);
        await log.trim(attacks);
      }
    }
    assert.ok((await inMemory(subject)) < 100);
    const seen: string[] = [];
    for (;;) {
      const { deliveries } = await log.take(attacks, group, "one", { max: 16, leaseMs });
      if (deliveries.length === 0) break;
      seen.push(...deliveries.map(nameOf));
      for (const delivery of deliveries) await log.settle(delivery, { kind: "done" });
    }
    assert.deepEqual(seen, namesOf(0, published));
    await subject.close();
    await small.close();
  });

  test("who has no archive is told so, takes nothing, and counts nothing", async () => {
    const subject = await open({}, null);
    const { log, blind, spill } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(log, 5);
    await spill();
    await assert.rejects(blind.take(attacks, group, "one", { max: 5, leaseMs }), (error: unknown) => {
      assert.ok(error instanceof BusError && error.code === "BUS_FORBIDDEN");
      return true;
    });
    const { deliveries } = await log.take(attacks, group, "one", { max: 5, leaseMs });
    assert.deepEqual(
      deliveries.map((one) => [nameOf(one), one.deliveries]),
      namesOf(0, 5).map((name) => [name, 1]),
    );
    await subject.close();
  });

  test("EB-7 what neither servers nor archive have is told as missing, counted, and the rest goes on", async () => {
    const subject = await open({}, null);
    const { log, archive, spill } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(log, 5);
    await spill();
    archive.rows = archive.rows.filter(({ off }) => off !== 2 && off !== 3);
    const { deliveries, missing } = await log.take(attacks, group, "one", { max: 10, leaseMs });
    assert.deepEqual(deliveries.map(nameOf), ["0", "3", "4"]);
    assert.deepEqual(missing, [
      { priority: 2, fromOff: 2, toOff: 2 },
      { priority: 2, fromOff: 3, toOff: 3 },
    ]);
    const [status] = await log.groups(attacks);
    assert.deepEqual([status?.missing, status?.pending], [2, 3]);
    await subject.close();
  });

  test("entries that somebody removed by hand come from the archive all the same", async () => {
    const subject = await open({}, null);
    const { log, servers, keys } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(log, 5);
    await log.trim(attacks);
    await servers.change(keys.place, [{ command: ["XTRIM", keys.log(attacks, 2), "MAXLEN", "0"] }]);
    const { deliveries, missing } = await log.take(attacks, group, "one", { max: 10, leaseMs });
    assert.deepEqual([deliveries.map(nameOf), missing], [namesOf(0, 5), []]);
    await subject.close();
  });

  test("R-5 servers that have lost the end of a stream and given its places away: the archive follows, and says so", async () => {
    const subject = await open({}, null);
    const { log, servers, keys, spill, telemetry } = subject;
    await log.createGroup(attacks, group, "beginning");
    await publish(log, 4);
    const ends = keys.ends(attacks);
    const state = (await servers.read(keys.place, [{ command: ["HGETALL", ends] }]))[0] as Buffer[];
    await publish(log, 2, 4);
    await spill();
    // A server that comes back as it was two messages ago, as far as the archive is concerned; both are published anew, in another order.
    await servers.change(keys.place, [
      { command: ["DEL", keys.log(attacks, 2), keys.ids(attacks)] },
      { command: ["HSET", ends, ...state, "archived2", "4", "log", String(subject.archive.rows[0]?.log)] },
    ]);
    await publish(log, 2, 100);
    await log.trim(attacks);
    assert.deepEqual(
      telemetry.events.filter(({ name }) => name === "messages_replaced").map(({ fields }) => fields),
      [{ stream: attacks, priority: 2, messages: 2 }],
    );
    const { deliveries } = await log.take(attacks, group, "one", { max: 10, leaseMs });
    assert.deepEqual(deliveries.map(nameOf), [...namesOf(0, 4), "100", "101"]);
    await subject.close();
  });

  test("R-26 what is rewound to a time begins there, in the archive or in the servers' memory", async () => {
    const subject = await open({}, null);
    const { log, spill, pass } = subject;
    await log.createGroup(attacks, group, "end");
    const times: number[] = [];
    for (let name = 0; name < 6; name++) {
      await publish(log, 1, name);
      times.push((await log.read(attacks, 2, name, 1))[0]?.publishedUs ?? 0);
      await pass(2);
      if (name === 3) await spill();
    }
    for (let name = 0; name < 6; name++) {
      await log.rewind(attacks, group, times[name] as number);
      const { deliveries } = await log.take(attacks, group, "one", { max: 10, leaseMs });
      assert.deepEqual(deliveries.map(nameOf), namesOf(name, 6));
    }
    await subject.close();
  });

  test("EB-22 R-11 R-26 what every group has settled leaves the archive too; a dead letter stays there as evidence", async () => {
    const subject = await open({ entriesMax: 1 }, null);
    const { log, archive, spill } = subject;
    for (const stream of [attacks, deadLetter]) {
      await log.publish(Array.from({ length: 4 }, (_, index) => ({ ...attack(`${index}`), stream })));
      await spill(stream);
      assert.equal(await log.trim(stream), 3);
      // What is old is looked at from time to time, each by its own clock; another keeper looks at once.
      await subject.other.trim(stream);
    }
    const left = (stream: StreamName): number[] => archive.rows.filter((row) => row.stream === stream).map(({ off }) => off);
    assert.deepEqual([left(attacks), left(deadLetter)], [[4], [1, 2, 3, 4]]);
    assert.deepEqual((await log.read(deadLetter, 2, 0, 10)).map(nameOf), namesOf(0, 4));
    await subject.close();
  });
});
