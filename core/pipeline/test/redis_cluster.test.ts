/**
 * The contract on a cluster of three masters with a replica each.
 */
import { after, before, describe } from "node:test";
import { startCluster, type TestCluster } from "../src/testing.ts";
import { busContract } from "./contract.ts";
import { openRedisSubject } from "./redis_subject.ts";

describe("a cluster", () => {
  let cluster: TestCluster | undefined;
  before(async () => {
    cluster = await startCluster();
    await cluster.settled();
  });
  after(() => cluster?.close());
  busContract("redis, cluster", (options) =>
    openRedisSubject((cluster as TestCluster).url, { level: "replicated", replicas: 1, waitMs: 5000 }, options),
  );
});
