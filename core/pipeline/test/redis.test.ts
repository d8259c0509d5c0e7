/**
 * The contract on one Redis server. What only this adapter does stands in redis_only.test.ts.
 */
import { after, before, describe } from "node:test";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { busContract } from "./contract.ts";
import { local, openRedisSubject } from "./redis_subject.ts";

describe("one server", () => {
  let server: TestRedis | undefined;
  before(async () => {
    server = await startRedis();
  });
  after(() => server?.close());
  busContract("redis, one server", (options) => openRedisSubject((server as TestRedis).url, local, options));
});
