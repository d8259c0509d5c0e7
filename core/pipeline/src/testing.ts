/**
 * Why it exists: tests, chaos runs and benches use real Redis servers, alone, replicated or as a cluster, and end them as a machine would.
 * Enforces: loopback and free ports; a fresh directory for each server; nothing is left behind, also when the test's process is killed.
 * Forbids: import by anything but tests; settings that change what a reply means (every write is flushed unless a test asks otherwise).
 */
export { startCluster, type StartClusterOptions, type TestCluster } from "./testing/cluster.ts";
export { startReplicated, type StartReplicatedOptions, type TestReplicated } from "./testing/replicated.ts";
export type { TestRedis } from "./testing/server.ts";
export { type Mounted, startRedis, type StartRedisOptions } from "./testing/start.ts";
export { type ContractServers, contractServers, contractServersName, givenBusUrl, ownPrefix } from "./testing/given.ts";
export { removeKeys } from "./testing/own_keys.ts";
export { Chain, producerId } from "./testing/frames.ts";
