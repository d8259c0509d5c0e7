/**
 * Why: some faults need one server that dies and comes back, others a cluster whose replicas take over.
 * Enforces: real servers, ended with whoever opened them.
 * Forbids: knowing what is done to them.
 */
import { startCluster, startRedis, type TestCluster, type TestRedis } from "ransomeye-pipeline/testing";

/** Where a log lies. */
export type BusServers = AsyncDisposable & { readonly url: string } & (
    | { readonly kind: "one"; readonly server: TestRedis }
    | { readonly kind: "cluster"; readonly cluster: TestCluster }
  );

export async function openServers(kind: BusServers["kind"]): Promise<BusServers> {
  if (kind === "one") {
    const server = await startRedis();
    return { kind, server, url: server.url, [Symbol.asyncDispose]: () => server.close() };
  }
  const cluster = await startCluster();
  return { kind, cluster, url: cluster.url, [Symbol.asyncDispose]: () => cluster.close() };
}

/** Every server of them. */
export function allServers(servers: BusServers): readonly TestRedis[] {
  return servers.kind === "one" ? [servers.server] : servers.cluster.nodes;
}
