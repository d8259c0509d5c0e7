/**
 * Why it exists: the scripts that a Redis server runs judge as the pure machine does, also after entries were trimmed.
 */
import { test } from "node:test";
import { contractServers, givenBusUrl } from "../src/testing.ts";
import { playHistories } from "./histories.ts";
import { openRedisSubject } from "./redis_subject.ts";

test("EB-1 R-2 R-6 R-7 R-13 the scripts and the pure machine answer every random history alike", async () => {
  // How a server keeps what it has judged stands elsewhere; histories are many.
  const servers = await contractServers({ appendfsync: "no" });
  const durability = givenBusUrl() === undefined ? ({ level: "replicated", replicas: 0, waitMs: 1 } as const) : servers.durability;
  try {
    await playHistories({
      fresh: () => openRedisSubject(servers.url, durability, { epochOpeningsPerDayMax: 3 }),
      trimRemoves: true,
    });
  } finally {
    await servers.close();
  }
});
