/**
 * Why it exists: the message scripts of a Redis server judge as the pure machine does.
 */
import { test } from "node:test";
import { contractServers } from "../src/testing.ts";
import { playMessageHistories } from "./message_histories.ts";
import { openRedisMessages } from "./redis_messages_subject.ts";

test("R-11 BUS-6 BUS-7 the scripts and the pure machine answer every random history of a group alike", async () => {
  const servers = await contractServers();
  try {
    await playMessageHistories((bounds) => openRedisMessages(servers, bounds));
  } finally {
    await servers.close();
  }
});
