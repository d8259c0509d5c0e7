/**
 * The message contract on PostgreSQL, and its functions beside the pure machine.
 */
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openPool } from "ransomeye-db";
import { openTestServer, type TestDatabase } from "ransomeye-db/testing";
import { recordingTelemetry } from "ransomeye-kernel";
import type { MessageLogOptions } from "../src/messages/settings.ts";
import { openPostgresMessages } from "../src/postgres/messages.ts";
import { messageContract, type MessageSubject } from "./message_contract.ts";
import { playMessageHistories } from "./message_histories.ts";

const server = await openTestServer();
after(() => server.close());
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

function subjectOn(opened: TestDatabase, options: Partial<MessageLogOptions>): MessageSubject {
  const telemetry = recordingTelemetry();
  const pool = openPool({ connection: opened.roleConnection("ransomeye_consumer"), max: 4, applicationName: "message test", telemetry });
  return {
    log: openPostgresMessages({ pool, telemetry, ...options }),
    other: openPostgresMessages({ pool, telemetry, ...options }),
    pass: (ms) => setTimeout(ms),
    removeByHand: async (stream, priority, upToOff) => {
      await opened.pool.query("DELETE FROM bus.message WHERE stream = $1 AND priority = $2 AND off <= $3", [stream, priority, upToOff]);
    },
    close: () => pool.end(),
  };
}

messageContract("postgres", (options = {}) => openOwn(options));

test("R-11 BUS-6 BUS-7 the SQL functions and the pure machine answer every random history of a group alike", () =>
  playMessageHistories(() => openEmptied({ entriesMax: 24, entriesUnreadMax: 24 })));
