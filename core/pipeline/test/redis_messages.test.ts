/**
 * The message contract on a Redis server, or on those of BUS_URL.
 */
import { after, before, describe, test } from "node:test";
import { type ContractServers, contractServers, contractServersName } from "../src/testing.ts";
import { messageContract } from "./message_contract.ts";
import { poisonAmongMany } from "./poison.ts";
import { openRedisMessages } from "./redis_messages_subject.ts";

describe(contractServersName(), () => {
  let servers: ContractServers;
  before(async () => {
    servers = await contractServers();
  });
  after(() => servers.close());
  messageContract("redis", (options = {}) => openRedisMessages(servers, options));

  test("BUS-7 a poison message among 100,000 on a server", async () => {
    const { log, close } = await openRedisMessages(servers, { entriesHotMax: 200_000 });
    await poisonAmongMany(log);
    await close();
  });
});
