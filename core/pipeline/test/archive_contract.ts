/**
 * Why it exists: the archive of message streams as tests, for the one in the database and the one that other tests use.
 * Enforces: src/messages/archive.ts.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { type ArchivedStream, type ArchiveEntry, type MessageArchive, placeKey } from "../src/messages/archive.ts";
import { StreamName } from "../src/messages/message.ts";
import { attack, nameOf } from "./message_subject.ts";

const { attacks, deadLetter } = StreamName;

function entry(off: number, name = `${off}`): ArchiveEntry {
  const message = attack(name);
  return { off, publishedUs: 1000 * off, messageId: message.message_id, json: JSON.stringify(message), endBytes: 10_000 * off };
}

const ownLog = (stream: StreamName = attacks): ArchivedStream => ({ log: randomUUID(), stream });
const all = Number.MAX_SAFE_INTEGER;

export function archiveContract(name: string, open: () => Promise<MessageArchive>): void {
  describe(`archive of messages: ${name}`, () => {
    test("what was put is found by its place and read in order, of this log and stream alone", async () => {
      const archive = await open();
      const of = ownLog();
      const entries = [1, 2, 3, 4, 5].map((off) => entry(off));
      assert.equal(await archive.put(of, 2, entries), 0);
      await archive.put({ ...of, stream: StreamName.alerts }, 2, [entry(1, "another stream's")]);
      await archive.put(ownLog(), 2, [entry(1, "another log's")]);
      await archive.put(of, 3, [entry(1, "another priority's")]);
      const found = await archive.find(of, [
        { priority: 2, off: 2 },
        { priority: 3, off: 1 },
        { priority: 2, off: 9 },
      ]);
      assert.deepEqual(new Set(found.keys()), new Set(["2:2", "3:1"]));
      assert.equal(found.get(placeKey({ priority: 2, off: 2 })), entries[1]?.json);
      const read = await archive.read(of, 2, 1, 4, 2);
      assert.deepEqual(
        read.map((one) => [one.off, one.publishedUs, nameOf(one)]),
        [
          [2, 2000, "2"],
          [3, 3000, "3"],
        ],
      );
      assert.deepEqual(await archive.read(of, 2, 4, 4, 10), []);
    });

    test("the same entry again changes nothing; another in its place replaces it, and is told", async () => {
      const archive = await open();
      const of = ownLog();
      const first = [1, 2, 3].map((off) => entry(off));
      await archive.put(of, 1, first);
      assert.equal(await archive.put(of, 1, first), 0);
      assert.equal(await archive.put(of, 1, [first[0] as ArchiveEntry, entry(2, "other"), entry(3, "other too")]), 2);
      assert.deepEqual((await archive.read(of, 1, 0, all, 10)).map(nameOf), ["1", "other", "other too"]);
    });

    test("a time is found in each priority, of what the log says is archived", async () => {
      const archive = await open();
      const of = ownLog();
      await archive.put(
        of,
        1,
        [1, 2, 3].map((off) => entry(off)),
      );
      await archive.put(of, 4, [entry(7), { ...entry(8), publishedUs: 7000 }, entry(9)]);
      assert.deepEqual(await archive.seek(of, [3, 3, 3, 9], 2000), [1, null, null, 6]);
      assert.deepEqual(await archive.seek(of, [3, 3, 3, 9], 7001), [null, null, null, 8]);
      assert.deepEqual(await archive.seek(of, [2, 0, 0, 8], 2500), [null, null, null, 6], "what lies beyond is not the log's any more");
    });

    test("BUS-5 R-26 where a number of bytes begins is found, also where somebody has removed entries", async () => {
      const archive = await open();
      const of = ownLog();
      const offs = [1, 2, 3, 5, 6, 7, 8, 9, 12, 13];
      const entries = offs.map((off) => entry(off));
      await archive.put(of, 2, entries);
      await archive.put(of, 3, [entry(1)]);
      for (const off of [0, 1, 2, 3, 4, 8, 9, 10, 12, 13]) {
        const next = entries.find((one) => one.off > off);
        const before = next === undefined ? null : next.endBytes - Buffer.byteLength(next.json);
        assert.deepEqual(await archive.bytes(of, [0, off, 7, 0]), [null, before, null, null], `after ${off}`);
        for (const [upTo, bytes] of [13, 9, 5].flatMap((to) =>
          [0, 1, 20_000, 20_001, 50_000, 115_000, 130_000, 130_001].map((of) => [to, of]),
        )) {
          const found = entries.find((one) => one.off > off && one.off <= (upTo as number) && one.endBytes >= (bytes as number));
          const expected = found === undefined ? null : { off: found.off, endBytes: found.endBytes };
          assert.deepEqual(await archive.weigh(of, 2, off, upTo as number, bytes as number), expected, `${off} ${upTo} ${bytes}`);
        }
      }
    });

    test("R-26 R-11 what nobody waits for is forgotten, what a group waits for and what is young is not, and other logs' only when it is old", async () => {
      const archive = await open();
      const of = ownLog(deadLetter);
      const other = ownLog(deadLetter);
      for (const one of [of, other])
        for (const priority of [2, 3] as const)
          await archive.put(
            one,
            priority,
            [1, 2, 3, 4].map((off) => entry(off)),
          );
      const offs = async (one: ArchivedStream, priority: 2 | 3): Promise<number[]> =>
        (await archive.read(one, priority, 0, all, 10)).map(({ off }) => off);
      assert.equal(await archive.forget(of, { lows: [0, 3, 1, 0], beforeUs: 3000, keptUs: 0 }), 3);
      assert.deepEqual(
        [await offs(of, 2), await offs(of, 3)],
        [
          [3, 4],
          [2, 3, 4],
        ],
      );
      assert.deepEqual(
        [await offs(other, 2), await offs(other, 3)],
        [
          [1, 2, 3, 4],
          [1, 2, 3, 4],
        ],
      );
      assert.equal(await archive.forget(of, { lows: [0, 0, 0, 0], beforeUs: all, keptUs: 3000 }), 4);
      assert.deepEqual(
        [await offs(of, 2), await offs(other, 2)],
        [
          [3, 4],
          [3, 4],
        ],
      );
    });

    test("what somebody's own client wrote is kept as text", async () => {
      const archive = await open();
      const of = ownLog();
      await archive.put(of, 1, [{ ...entry(1), messageId: "no id\0at all", json: '"\ud83d\ude00\\u0000"' }]);
      assert.equal((await archive.find(of, [{ priority: 1, off: 1 }])).get("1:1"), '"\ud83d\ude00\\u0000"');
    });
  });
}
