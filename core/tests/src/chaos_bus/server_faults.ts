/**
 * Why: a log's server dies, stands still, or hands over to its replica.
 * Enforces: a server that was killed is started again from what it has on disk, and one that was stopped goes on.
 * Forbids: an orderly shutdown: machines do not announce their end.
 */
import { type Random, sleep, systemClock } from "ransomeye-kernel";
import type { TestCluster, TestRedis } from "ransomeye-pipeline/testing";
import type { Stage } from "./stage.ts";

const downMsMax = 3000;
const standsMsMin = 1000;
const standsMsMax = 20_000;
/** Between the take-over and the return of the old master. */
const awayMsMax = 1000;

/** SIGKILL of the only server, and its return. */
export async function serverKill({ servers }: Stage, random: Random): Promise<string> {
  const server = theOne(servers);
  const downMs = Math.floor(random.float() * downMsMax);
  await server.kill();
  await sleep(systemClock, downMs);
  await server.restart();
  return `server down for ${downMs} ms`;
}

/** SIGSTOP of the only server: connections stay and nothing answers. */
export async function serverStop({ servers }: Stage, random: Random): Promise<string> {
  const server = theOne(servers);
  const stoppedMs = Math.floor(standsMsMin + random.float() * (standsMsMax - standsMsMin));
  server.stop();
  try {
    await sleep(systemClock, stoppedMs);
  } finally {
    server.go();
  }
  return `server stood still for ${stoppedMs} ms`;
}

/** SIGKILL of a master, the take-over by its replica, and the old master's return as a replica. */
export async function clusterFailover(stage: Stage, random: Random): Promise<string> {
  const cluster = theCluster(stage.servers);
  const place = struckPlace(stage, random);
  const slot = await slotOf(cluster, stage, place);
  const master = await cluster.masterOf(slot);
  const awayMs = Math.floor(random.float() * awayMsMax);
  const fromMs = systemClock.monotonicMs();
  await master.kill();
  const successor = await cluster.masterOf(slot);
  const tookMs = Math.round(systemClock.monotonicMs() - fromMs);
  await sleep(systemClock, awayMs);
  await master.restart();
  return `master of ${place} killed, ${successor.port} took over after ${tookMs} ms, ${master.port} back ${awayMs} ms later`;
}

/** One of the partitions that carry the load, or the place of groups and leases. */
function struckPlace({ shippers }: Stage, random: Random): string {
  const places = [...new Set(shippers.map(({ part }) => String(part)))];
  return places[random.uint32() % (places.length + 1)] ?? "bus";
}

/** The slot in which the keys of a partition, or of the bus, lie. */
export async function slotOf(cluster: TestCluster, stage: Stage, place: string): Promise<number> {
  return Number(await cluster.nodes[0]?.client().call("CLUSTER", "KEYSLOT", `{${stage.prefix}.${place}}`));
}

/** The servers, where they are a cluster. */
export function theCluster(servers: Stage["servers"]): TestCluster {
  if (servers.kind !== "cluster") throw new TypeError("this fault needs a cluster");
  return servers.cluster;
}

/** The server, where it is the only one. */
export function theOne(servers: Stage["servers"]): TestRedis {
  if (servers.kind !== "one") throw new TypeError("this fault needs a server of its own");
  return servers.server;
}
