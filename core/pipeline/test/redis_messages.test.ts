/**
 * The message contract on a Redis server.
 */
import { after, before, describe, test } from "node:test";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { messageContract } from "./message_contract.ts";
import { poisonAmongMany } from "./poison.ts";
import { openRedisMessages } from "./redis_messages_subject.ts";

describe("one server", () => {
  let server: TestRedis | undefined;
  before(async () => {
    server = await startRedis();
  });
  after(() => server?.close());
  messageContract("redis", (options = {}) => openRedisMessages((server as TestRedis).url, options));

  test("BUS-7 a poison message among 100,000 on a server", async () => {
    const { log, close } = await openRedisMessages((server as TestRedis).url, { entriesHotMax: 200_000 });
    await poisonAmongMany(log);
    await close();
  });
});
