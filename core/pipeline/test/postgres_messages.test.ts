/**
 * The message contract on PostgreSQL, and its functions beside the pure machine.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openPool, type Pool } from "ransomeye-db";
import { openTestServer, type TestDatabase } from "ransomeye-db/testing";
import { recordingTelemetry } from "ransomeye-kernel";
import type { MessageLogOptions } from "../src/messages/settings.ts";
import { openPostgresMessages } from "../src/postgres/messages.ts";
import { openMessageArchive } from "../src/postgres/message_archive.ts";
import type { MessageArchive } from "../src/messages/archive.ts";
import { StreamName } from "../src/messages/message.ts";
import { archiveContract } from "./archive_contract.ts";
import { messageContract } from "./message_contract.ts";
import { attack, type MessageSubject, nameOf } from "./message_subject.ts";
import { playMessageHistories } from "./message_histories.ts";

const server = await openTestServer();
const pools: Pool[] = [];
after(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await server.close();
});
let shared: Promise<TestDatabase> | undefined;

/** On a database of its own. */
async function openOwn(options: Partial<MessageLogOptions>): Promise<MessageSubject> {
  return subjectOn(await server.database(), options);
}

/** On one that is emptied: milliseconds, where a fresh one costs a second. */
async function openEmptied(options: Partial<MessageLogOptions>): Promise<MessageSubject> {
  shared ??= server.database();
  const database = await shared;
  await database.pool.query("TRUNCATE bus.message, bus.message_end, bus.message_group, bus.message_out");
  return subjectOn(database, options);
}

function poolAs(opened: TestDatabase, role: "ransomeye_consumer" | "ransomeye_keeper"): Pool {
  const pool = openPool({
    connection: opened.roleConnection(role),
    max: 4,
    applicationName: "message test",
    telemetry: recordingTelemetry(),
  });
  pools.push(pool);
  return pool;
}

function subjectOn(opened: TestDatabase, options: Partial<MessageLogOptions>): MessageSubject {
  const telemetry = recordingTelemetry();
  const pool = poolAs(opened, "ransomeye_consumer");
  return {
    log: openPostgresMessages({ pool, telemetry, ...options }),
    other: openPostgresMessages({ pool, telemetry, ...options }),
    pass: (ms) => setTimeout(ms),
    removeByHand: async (stream, priority, upToOff) => {
      await opened.pool.query("DELETE FROM bus.message WHERE stream = $1 AND priority = $2 AND off <= $3", [stream, priority, upToOff]);
    },
    close: async () => undefined,
  };
}

messageContract("postgres", (options = {}) => openOwn(options));

archiveContract("postgres", async () => {
  shared ??= server.database();
  const opened = await shared;
  const telemetry = recordingTelemetry();
  const as = (role: "ransomeye_keeper" | "ransomeye_consumer"): MessageArchive =>
    openMessageArchive({ pool: async () => poolAs(opened, role), telemetry });
  const [keeper, consumer] = [as("ransomeye_keeper"), as("ransomeye_consumer")];
  return {
    put: (of, priority, entries) => keeper.put(of, priority, entries),
    forget: (of, what) => keeper.forget(of, what),
    find: (of, places) => consumer.find(of, places),
    read: (of, priority, afterOff, upToOff, max) => consumer.read(of, priority, afterOff, upToOff, max),
    seek: (of, offs, publishedUs) => consumer.seek(of, offs, publishedUs),
    bytes: (of, offs) => keeper.bytes(of, offs),
    weigh: (of, priority, afterOff, upToOff, bytes) => keeper.weigh(of, priority, afterOff, upToOff, bytes),
  };
});

test("EB-22 R-11 a dead letter that its stream has let go is still read, in its place, until it is forgotten by age", async () => {
  const { log, close } = await openOwn({ entriesMax: 2 });
  const letters = Array.from({ length: 5 }, (_, index) => ({ ...attack(`letter ${index}`), stream: StreamName.deadLetter }));
  await log.publish(letters);
  assert.equal(await log.trim(StreamName.deadLetter), 3);
  const read = async (after: number, max: number): Promise<string[]> => (await log.read(StreamName.deadLetter, 2, after, max)).map(nameOf);
  assert.deepEqual(await read(0, 10), ["letter 0", "letter 1", "letter 2", "letter 3", "letter 4"]);
  assert.deepEqual(await read(1, 3), ["letter 1", "letter 2", "letter 3"]);
  const others = Array.from({ length: 5 }, (_, index) => attack(`attack ${index}`));
  await log.publish(others);
  assert.equal(await log.trim(StreamName.attacks), 3);
  assert.deepEqual((await log.read(StreamName.attacks, 2, 0, 10)).map(nameOf), ["attack 3", "attack 4"]);
  await close();
});

test("R-11 BUS-6 BUS-7 the SQL functions and the pure machine answer every random history of a group alike", () =>
  playMessageHistories((bounds) => openEmptied(bounds)));
