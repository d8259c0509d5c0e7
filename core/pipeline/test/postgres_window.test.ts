/** A window of the log, read again: whole, in order, in bounded pages, and unnoticed. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { utcDay } from "ransomeye-db";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { hasCode, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { readWindow, replayWindow } from "../src/postgres/window.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { accept } from "./contract_tools.ts";
import { subjectsOf } from "./postgres_subject.ts";
import { openChain } from "./subject.ts";

const server = await openTestServer();
after(() => server.close());
const withSubject = subjectsOf(server);
const telemetry = recordingTelemetry();
const dayUs = 86_400_000_000;

test("DP-57 a window is every batch that was received in it, in the log's order, in pages that keep their bounds; no group, no lease and no offset is made or moved", () =>
  withSubject(async ({ bus, admin, enginePool, database }) => {
    const [one, two] = [new Chain(producerId(81)), new Chain(producerId(82))];
    const parts = [await openChain(bus, one), await openChain(bus, two)];
    for (let n = 0; n < 7; n += 1) {
      await accept(bus, parts[0] as number, [one.next(2)]);
      await accept(bus, parts[1] as number, [two.next(1, { payloadBytes: 3000 })]);
    }
    const noted = (): Promise<unknown> =>
      Promise.all(
        ["bus.consumer_offset", "bus.consumer_group", "bus.group_member", "bus.partition_head"].map(
          async (t) => (await admin.query(`SELECT * FROM ${t} ORDER BY 1`)).rows,
        ),
      );
    const before = await noted();
    const window = { pool: enginePool, telemetry, sinceUs: 0, untilUs: systemClock.nowUs() + dayUs };
    const seqs = new Map<string, number[]>();
    const pages: number[] = [];
    for await (const entries of readWindow({ ...window, framesMax: 3 })) {
      pages.push(entries.length);
      for (const { link } of entries) seqs.set(link.producer, [...(seqs.get(link.producer) ?? []), link.firstSeq]);
    }
    assert.deepEqual(
      [seqs.get(one.producer), seqs.get(two.producer)],
      [
        [1, 3, 5, 7, 9, 11, 13],
        [1, 2, 3, 4, 5, 6, 7],
      ],
    );
    assert.ok(pages.every((frames) => frames <= 3));
    // A page holds less than its frames where bytes say so, and one batch that is larger than any page.
    const sizes: number[] = [];
    for await (const entries of readWindow({ ...window, producer: two.producer, bytesMax: 7000 })) sizes.push(entries.length);
    assert.deepEqual(sizes, [2, 2, 2, 1]);
    sizes.length = 0;
    for await (const entries of readWindow({ ...window, producer: two.producer, bytesMax: 1 })) sizes.push(entries.length);
    assert.deepEqual(sizes, [1, 1, 1, 1, 1, 1, 1]);

    // Over two days, of which the low marks are past the first; the bounds are: from, and before.
    await admin.query("SELECT ops.ensure_partitions($1::date, 1)", [utcDay(systemClock.nowUs(), -1)]);
    await tamper(admin, "bus.frames", "UPDATE bus.frames SET received_at = received_at - interval '1 day' WHERE off <= 3");
    await admin.query("UPDATE bus.partition_head SET low_off = 3 WHERE off > 0");
    const { rows } = await admin.query<{ at: number }>("SELECT received_at AS at FROM bus.frames WHERE part = $1 ORDER BY off", [parts[0]]);
    const times = rows.map(({ at }) => at);
    const heard: number[] = [];
    const [sinceUs = 0, untilUs = 0] = [times[1], times[5]];
    const frames = await replayWindow(
      { pool: database.rolePool("ransomeye_reader"), telemetry, sinceUs, untilUs, producer: one.producer },
      async ({ link }) => {
        await Promise.resolve();
        heard.push(link.firstSeq);
      },
    );
    assert.deepEqual([frames, heard], [4, [3, 5, 7, 9]]);
    await admin.query("UPDATE bus.partition_head SET low_off = 0");
    assert.deepEqual(await noted(), before);

    // It ends when its caller wants, with the handler's failure, and at bytes that are not what was hashed.
    const ended = new AbortController();
    const stop = new Error("enough");
    await assert.rejects(
      replayWindow({ ...window, signal: ended.signal }, () => ended.abort(stop)),
      stop,
    );
    await assert.rejects(
      replayWindow(window, () => Promise.reject(stop)),
      stop,
    );
    await assert.rejects(
      replayWindow({ ...window, producer: "x' OR true --" }, () => undefined),
      (error) => hasCode(error, "BUS_BAD_ARGUMENT"),
    );
    await tamper(admin, "bus.frames", "UPDATE bus.frames SET body = 'x' WHERE off = 5");
    await assert.rejects(
      replayWindow(window, () => undefined),
      (error) => hasCode(error, "BUS_CORRUPT"),
    );
  }));
