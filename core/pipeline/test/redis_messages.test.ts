/**
 * The message contract on a Redis server.
 */
import { after, before, describe } from "node:test";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { messageContract } from "./message_contract.ts";
import { openRedisMessages } from "./redis_messages_subject.ts";

describe("one server", () => {
  let server: TestRedis | undefined;
  before(async () => {
    server = await startRedis();
  });
  after(() => server?.close());
  messageContract("redis", (options = {}) => openRedisMessages((server as TestRedis).url, options));
});
