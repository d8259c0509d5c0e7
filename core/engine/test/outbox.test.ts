/**
 * Why it exists: the outbox is the only way of attacks and alarms to their streams, and some of those may take nothing for a while.
 * Enforces: src/outbox.ts.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inTransaction } from "ransomeye-db";
import { openTestServer, type TestDatabase, type TestServer } from "ransomeye-db/testing";
import { systemClock } from "ransomeye-kernel";
import {
  type Message,
  type MessageLog,
  type MessagePriority,
  openMemoryMessages,
  type PublishOutcome,
  StreamName,
} from "ransomeye-pipeline";
import { producerId } from "ransomeye-pipeline/testing";
import { relayOutbox, writeOutbox } from "../src/outbox.ts";

let server: TestServer;
let database: TestDatabase;
before(async () => {
  server = await openTestServer();
  database = await server.database();
});
after(() => server.close());

const { attacks, alerts } = StreamName;
let made = 0;

function message(stream: StreamName, name: string, priority: MessagePriority): Message {
  made += 1;
  const payload = { attack_type: name, title: name };
  const messageId = producerId(800_000 + made);
  return { message_id: messageId, stream, payload, priority, timestamp: "2026-01-01T00:00:00.000Z", producer_id: "test", retry_count: 0 };
}

async function fill(messages: readonly Message[]): Promise<void> {
  await inTransaction(database.rolePool("ransomeye_engine", 2), (client) => writeOutbox(client, messages));
}

const nameOf = ({ payload }: Message): string => (payload as { title: string }).title;

async function waiting(): Promise<string[]> {
  const { rows } = await database.pool.query<{ body: string }>("SELECT body FROM bus.outbox ORDER BY id");
  return rows.map(({ body }) => nameOf(JSON.parse(body) as Message));
}

/** Streams in memory of which some take nothing. */
function partly(log: MessageLog, refuse: (message: Message) => PublishOutcome | Error | undefined): Pick<MessageLog, "publish"> {
  return {
    publish: async (messages) => {
      const [one] = messages as [Message];
      const refused = refuse(one);
      if (refused instanceof Error) throw refused;
      return refused === undefined ? log.publish(messages) : [refused];
    },
  };
}

const relay = (log: Pick<MessageLog, "publish">): Promise<number> =>
  relayOutbox({ pool: database.rolePool("ransomeye_keeper", 2), log: log as MessageLog });

async function stored(log: MessageLog, stream: StreamName, priority: MessagePriority): Promise<string[]> {
  return (await log.read(stream, priority, 0, 1000)).map(({ message: found }) => nameOf(found));
}

test("EB-29 R-27 a stream that is full keeps back its own messages of that priority and no others, and loses their order never", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const names = Array.from({ length: 400 }, (_, index) => `normal ${index}`);
  await fill(names.map((name) => message(attacks, name, 2)));
  await fill([message(attacks, "critical", 4), message(alerts, "alarm", 2)]);
  let room = 100;
  const full = partly(log, ({ stream, priority }) => {
    if (stream !== attacks || priority !== 2) return undefined;
    room -= 1;
    return room < 0 ? { kind: "full", retryAfterMs: 250 } : undefined;
  });
  assert.equal(await relay(full), 102);
  assert.deepEqual([await stored(log, attacks, 4), await stored(log, alerts, 2)], [["critical"], ["alarm"]]);
  assert.deepEqual(await waiting(), names.slice(100));
  assert.equal(await relay(log), 300);
  assert.deepEqual(await stored(log, attacks, 2), names);
  assert.deepEqual(await waiting(), []);
});

test("EB-29 R-27 one that fails is told when all others have been served, and its messages wait", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  await fill([message(attacks, "stuck", 2), message(attacks, "critical", 4), message(alerts, "alarm", 2)]);
  const failing = partly(log, ({ stream, priority }) =>
    stream === attacks && priority === 2 ? new Error("somebody has written there") : undefined,
  );
  await assert.rejects(relay(failing), /somebody has written there/);
  assert.deepEqual([await stored(log, attacks, 4), await stored(log, alerts, 2), await waiting()], [["critical"], ["alarm"], ["stuck"]]);
  assert.equal(await relay(log), 1);
});

test("R-27 what was published and not removed is published again, and stored once", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const one = message(attacks, "once", 3);
  await fill([one, one]);
  assert.equal(await relay(log), 2);
  assert.deepEqual([await stored(log, attacks, 3), await waiting()], [["once"], []]);
});

test("EB-29 R-27 text that jsonb refuses, a NUL and half a surrogate pair, waits and arrives as it is", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const names = ["a\u0000b", "half \ud800", "\udfff", "whole \ud83d\ude00"];
  await fill(names.map((name) => message(attacks, name, 2)));
  assert.deepEqual(await waiting(), names);
  assert.equal(await relay(log), names.length);
  assert.deepEqual(await stored(log, attacks, 2), names);
});

test("EB-29 R-27 what waits from before there were lanes leaves as well", async () => {
  const log = openMemoryMessages({ clock: systemClock });
  const old = message(alerts, "old", 2);
  await database.pool.query("INSERT INTO bus.outbox (message_id, body) VALUES ($1, $2)", [old.message_id, JSON.stringify(old)]);
  await fill([message(alerts, "new", 2)]);
  assert.equal(await relay(log), 2);
  assert.deepEqual([(await stored(log, alerts, 2)).toSorted((a, b) => a.localeCompare(b)), await waiting()], [["new", "old"], []]);
});
