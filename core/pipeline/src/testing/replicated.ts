/**
 * Why it exists: what a replica has, and when, is part of what the bus promises; tests need a master with replicas that can be killed.
 * Enforces: a replica comes back as one after a restart; "linked" is what both sides say.
 * Forbids: trust in the replica's word alone, which may be about the connection before.
 */
import type { Server, TestRedis } from "./server.ts";
import type { Settings } from "./settings.ts";
import { startServer, startServers } from "./start.ts";
import { until } from "./until.ts";

/** How a master with replicas is started. */
export interface StartReplicatedOptions {
  /** How many; one unless said otherwise. */
  readonly replicas?: number;
  /** Of all servers, over ours. */
  readonly settings?: Settings;
}

/** A master and its replicas. */
export interface TestReplicated {
  readonly master: TestRedis;
  readonly replicas: readonly TestRedis[];
  /** Waits until every replica says that its link is up and the master counts it as online. */
  linked(): Promise<void>;
  /** Kills all and removes their directories. */
  close(): Promise<void>;
}

/** A master with replicas, linked. That they are replicas stands in their configuration files: a restart makes them replicas again. */
export async function startReplicated(options: StartReplicatedOptions = {}): Promise<TestReplicated> {
  const settings = options.settings ?? {};
  const servers = [await startServer(settings)];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    const [master] = servers as [Server];
    const wanted = { ...settings, replicaof: `${master.host} ${master.port}` };
    const replicas = await startServers(Array.from({ length: options.replicas ?? 1 }, () => wanted));
    servers.push(...replicas);
    const linked = async (): Promise<void> => {
      await until(`the replicas of port ${master.port} to be linked`, servers, () => areLinked(master, replicas));
    };
    await linked();
    return { master, replicas, linked, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** True if both sides say that these are replicas of this master and up to date. */
export async function areLinked(master: Server, replicas: readonly Server[]): Promise<boolean> {
  if (replicas.length === 0) return true;
  const own = await master.ask((client) => client.info("replication"));
  const all = await Promise.all(replicas.map((replica) => replica.ask((client) => client.info("replication"))));
  return replicas.every(({ port }, i) => {
    const said = all[i] ?? "";
    const up = ["role:slave", `master_port:${master.port}`, "master_link_status:up"].every((line) => said.includes(`\n${line}\r`));
    return up && new RegExp(String.raw`\nslave\d+:ip=[^,]*,port=${port},state=online,`).test(own);
  });
}
