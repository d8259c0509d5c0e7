/**
 * Why: replication is asynchronous; what a promoted replica lacks is what its level of durability loses, and tests on a quiet machine never see it.
 * Enforces: a replica is cut off from its master, which goes on for a while and dies; then the replica takes over without the tail.
 * Forbids: touching what either of them holds.
 */
import { openReader } from "ransomeye";
import { sleep, systemClock } from "ransomeye-kernel";
import type { TestCluster, TestRedis } from "ransomeye-pipeline/testing";
import { slotOf, theCluster } from "./server_faults.ts";
import type { Stage } from "./stage.ts";

const pollMs = 5;

/** Ends of partitions, by partition. */
export type Ends = ReadonlyMap<number, number>;

/** A master whose replica stands still and hears nothing any more. */
export interface CutOff {
  readonly cluster: TestCluster;
  readonly master: TestRedis;
  readonly replica: TestRedis;
  /** A slot of theirs. */
  readonly slot: number;
  /** The partitions of theirs that carry the load. */
  readonly parts: readonly number[];
}

/** Cuts off the replica of the master that holds the partition which more than one shipper writes to. */
export async function cutOff(stage: Stage): Promise<CutOff> {
  const cluster = theCluster(stage.servers);
  const slot = await slotOf(cluster, stage, String(stage.sharedPart));
  const master = await cluster.masterOf(slot);
  const replica = await cluster.replicaOf(master);
  const parts: number[] = [];
  for (const part of new Set(stage.shippers.map((shipper) => shipper.part))) {
    const owner = await cluster.masterOf(await slotOf(cluster, stage, String(part)));
    if (owner.port === master.port) parts.push(part);
  }
  replica.stop();
  // What was sent before lies in its socket and will be read; from here on nothing is sent.
  await master.client().call("CLIENT", "KILL", "TYPE", "replica");
  return { cluster, master, replica, slot, parts };
}

/** Waits until the master has so many frames more than at the beginning, at most so long. Says how many more it has. */
export async function untilAhead(stage: Stage, { master, parts }: CutOff, frames: number, msMax: number): Promise<number> {
  const before = sumOf(await endsAt(stage, master, parts));
  const untilMs = systemClock.monotonicMs() + msMax;
  for (;;) {
    const ahead = sumOf(await endsAt(stage, master, parts)) - before;
    if (ahead >= frames || systemClock.monotonicMs() >= untilMs) return ahead;
    await sleep(systemClock, pollMs);
  }
}

/** SIGKILL of the master; its replica goes on and takes over. */
export async function takeOver({ cluster, master, replica, slot }: CutOff): Promise<TestRedis> {
  await master.kill();
  replica.go();
  return cluster.masterOf(slot);
}

/** The last offset of each of these partitions, as this server has it. */
export async function endsAt(stage: Stage, server: TestRedis, parts: readonly number[]): Promise<Ends> {
  const ends = parts.map(async (part) => {
    const off = await server.client().hget(`{${stage.prefix}.${part}}:state`, "off");
    return [part, Number(off ?? 0)] as const;
  });
  return new Map(await Promise.all(ends));
}

/** Up to where rows have been made, by partition. */
export async function placesOf({ system }: Stage): Promise<Ends> {
  const pool = await openReader(system.dataDir);
  try {
    const sql = "SELECT part, off FROM views.consumer_lag WHERE grp = 'engine'";
    const { rows } = await pool.query<{ part: number; off: number }>(sql);
    return new Map(rows.map(({ part, off }) => [part, off]));
  } finally {
    await pool.end();
  }
}

/** By how much one is ahead of the other, over all partitions of the other. */
export function aheadOf(one: Ends, other: Ends): number {
  return [...other].reduce((sum, [part, off]) => sum + Math.max(0, (one.get(part) ?? 0) - off), 0);
}

function sumOf(ends: Ends): number {
  return [...ends.values()].reduce((sum, off) => sum + off, 0);
}
