/**
 * Days and partitions of the bus on PostgreSQL: received time, missing days, retention's low marks, more partitions.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Pool } from "ransomeye-db";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { hasCode, recordingTelemetry, systemClock } from "ransomeye-kernel";
import type { Position } from "../src/bus.ts";
import { openPostgresAppender } from "../src/postgres/appender.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { subjectsOf, until } from "./postgres_subject.ts";
import { ask, how, openChain } from "./subject.ts";

const server = await openTestServer();
after(() => server.close());
const withSubject = subjectsOf(server);

/** Name of the table that takes what is received now. */
async function today(admin: Pool): Promise<string> {
  const { rows } = await admin.query<{ day: string }>("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY_MM_DD') AS day");
  return `bus.frames_${rows[0]?.day}`;
}

describe("days and partitions", () => {
  test("R-16 received time does not run backwards in a partition when the server's clock does", () =>
    withSubject(async ({ bus, admin }) => {
      const chain = new Chain(producerId(52));
      const part = await openChain(bus, chain);
      const ahead = systemClock.nowUs() + 3_600_000_000;
      await admin.query("UPDATE bus.partition_head SET received_us = $2 WHERE part = $1", [part, ahead]);
      const positions = [...(await accept(bus, part, [chain.next(1)])), ...(await accept(bus, part, [chain.next(1)]))];
      assert.deepEqual(
        positions.map(({ receivedUs }) => receivedUs),
        [ahead, ahead],
      );
      assert.deepEqual(
        (await bus.read(part, null, everything)).map(({ receivedUs }) => receivedUs),
        [ahead, ahead],
      );
    }));

  test("DP-34 R-16 nothing is received in a day that retention has taken, also in a partition that has slept and by a clock that went back", () =>
    withSubject(async ({ bus, admin }) => {
      const chain = new Chain(producerId(54));
      const part = await openChain(bus, chain);
      const floor = systemClock.nowUs() + 3_600_000_000;
      await admin.query("UPDATE bus.state SET received_floor_us = $1", [floor]);
      try {
        const [position] = await accept(bus, part, [chain.next(1)]);
        assert.equal(position?.receivedUs, floor);
      } finally {
        await admin.query("UPDATE bus.state SET received_floor_us = 0");
      }
    }));

  test("R-16 a missing day pauses the bus, and it goes on by itself when the day is made (FM-10)", () =>
    withSubject(async ({ bus, admin }) => {
      const chain = new Chain(producerId(50));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      const day = await today(admin);
      await admin.query(`ALTER TABLE bus.frames DETACH PARTITION ${day}`);
      const [outcome] = await bus.append(part, [frame], how);
      assert.deepEqual(outcome?.kind === "paused" && outcome.reason, "day_missing");
      assert.equal((await bus.pressure(ask(1))).paused, "day_missing");
      await admin.query("SELECT ops.ensure_partitions((clock_timestamp() AT TIME ZONE 'UTC')::date, 1)");
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["accepted"]);
    }));

  test("R-16 reading, seeking and trimming go across days; a day that somebody has yet to read stays", () =>
    withSubject(async ({ bus, admin, control }) => {
      const chain = new Chain(producerId(51));
      const part = await openChain(bus, chain);
      const frames = Array.from({ length: 6 }, () => chain.next(1));
      const positions = await accept(bus, part, frames);
      await tamper(admin, "bus.frames", "UPDATE bus.frames SET received_at = received_at - interval '1 day' WHERE part = $1 AND off <= 3", [
        part,
      ]);
      const early = positions.slice(0, 3).map((position) => ({ ...position, receivedUs: position.receivedUs - 86_400_000_000 }));
      assert.deepEqual(
        (await bus.read(part, early[0] as Position, everything)).map(({ position }) => position),
        [...early.slice(1), ...positions.slice(3)],
      );
      assert.deepEqual(await bus.seek(part, (positions[3] as Position).receivedUs), early[2]);
      assert.equal(await bus.checkPosition(early[1] as Position), "same");
      const lease = (await bus.acquire("group:days", "one", { leaseMs: 60_000, partsMax: 100, held: [] })).find((one) => one.part === part);
      assert.ok(lease !== undefined);
      await bus.commit(lease, early[1] as Position);
      const trimYesterday = async (): Promise<boolean | undefined> =>
        (await admin.query<{ free: boolean }>("SELECT bus.trim_day((clock_timestamp() AT TIME ZONE 'UTC')::date - 1) AS free")).rows[0]
          ?.free;
      assert.equal(await trimYesterday(), false);
      await bus.commit(lease, positions[4] as Position);
      assert.equal(await trimYesterday(), true);
      await tamper(admin, "bus.frames", "DELETE FROM bus.frames WHERE part = $1 AND off <= 3", [part]);
      assert.equal(await bus.checkPosition(early[1] as Position), "trimmed");
      assert.equal(await bus.checkPosition(early[2] as Position), "same");
      assert.equal(await control.trim(part, 3), 3);
      await assert.rejects(bus.read(part, early[1] as Position, everything), (error) => hasCode(error, "BUS_TRIMMED"));
      assert.equal((await bus.read(part, null, everything)).length, 3);
      // Nobody can compare any more what retention has removed: a repeated receipt, and no accusation.
      const accepter = { gateway: how.gateway, incarnation: how.incarnation };
      assert.deepEqual(
        (await bus.append(part, frames, how)).map((outcome) => outcome.kind === "duplicate" && outcome.acceptedBy),
        [null, null, null, accepter, accepter, accepter],
        "who accepted what retention has removed is gone with it",
      );
    }));

  test("R-7 more partitions: running epochs stay where they are, new ones spread over all", () =>
    withSubject(async ({ bus, admin, gatePool }) => {
      const chains = Array.from({ length: 40 }, (_, number) => new Chain(producerId(600 + number)));
      const parts = await Promise.all(chains.map((chain) => openChain(bus, chain)));
      await admin.query("SELECT bus.configure(64)");
      assert.equal((await bus.tails()).length, 64);
      for (const [index, chain] of chains.entries())
        assert.deepEqual(kinds(await bus.append(parts[index] as number, [chain.next(1)], how)), ["accepted"]);
      const wider = await openPostgresAppender({ pool: gatePool, clock: systemClock, telemetry: recordingTelemetry() });
      assert.equal(wider.partitions, 64);
      const moved = await Promise.all(chains.map((chain) => openChain(wider, chain)));
      assert.ok(moved.some((part) => part >= 16));
      for (const [index, chain] of chains.entries()) {
        const frame = chain.next(1);
        const [before, now] = [parts[index] as number, moved[index] as number];
        if (before !== now) assert.deepEqual(kinds(await wider.append(before, [frame], how)), ["misrouted"]);
        assert.deepEqual(kinds(await wider.append(now, [frame], how)), ["accepted"]);
      }
    }));

  test("R-16 a day whose removal was interrupted pauses the bus until the removal is finished and the day made anew", () =>
    withSubject(async ({ bus, admin }) => {
      const chain = new Chain(producerId(53));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      const day = await today(admin);
      const [reader, remover] = [await admin.connect(), await admin.connect()];
      try {
        await reader.query("BEGIN");
        await reader.query("SELECT FROM bus.frames");
        const { rows } = await remover.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        const interrupted = assert.rejects(remover.query(`ALTER TABLE bus.frames DETACH PARTITION ${day} CONCURRENTLY`));
        await until(async () => (await admin.query("SELECT FROM pg_inherits WHERE inhdetachpending")).rows.length === 1);
        await admin.query("SELECT pg_cancel_backend($1)", [rows[0]?.pid]);
        await interrupted;
        await reader.query("ROLLBACK");
        const [outcome] = await bus.append(part, [frame], how);
        assert.deepEqual(outcome?.kind === "paused" && outcome.reason, "day_missing");
        await admin.query("SELECT ops.finish_detaches()");
        await admin.query("SELECT ops.ensure_partitions((clock_timestamp() AT TIME ZONE 'UTC')::date, 1)");
        assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["accepted"]);
      } finally {
        reader.release(true);
        remover.release(true);
      }
    }));
});
