/**
 * The contract on one Redis server, or on those of BUS_URL. What only this adapter does stands in redis_only.test.ts.
 */
import { after, before, describe } from "node:test";
import { type ContractServers, contractServers, contractServersName } from "../src/testing.ts";
import { busContract } from "./contract.ts";
import { openRedisSubject } from "./redis_subject.ts";

describe(contractServersName(), () => {
  let servers: ContractServers;
  before(async () => {
    servers = await contractServers();
  });
  after(() => servers.close());
  busContract(`redis, ${contractServersName()}`, (options) => openRedisSubject(servers.url, servers.durability, options));
});
