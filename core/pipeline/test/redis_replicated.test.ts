/**
 * The contract on a master with a replica, every change behind WAIT.
 */
import { after, before, describe } from "node:test";
import { startReplicated, type TestReplicated } from "../src/testing.ts";
import { busContract } from "./contract.ts";
import { openRedisSubject } from "./redis_subject.ts";

describe("a master and its replica", () => {
  let pair: TestReplicated | undefined;
  before(async () => {
    pair = await startReplicated();
    await pair.linked();
  });
  after(() => pair?.close());
  busContract("redis, replicated", (options) =>
    openRedisSubject((pair as TestReplicated).master.url, { level: "replicated", replicas: 1, waitMs: 5000 }, options),
  );
});
