/**
 * Why: every adapter is measured in the same way, so that figures compare.
 * Enforces: a fresh database or fresh servers for each, ended with it; every write is flushed, and confirmed by a replica where there are any.
 * Forbids: settings that an operator would not run with.
 */
import { openPool } from "ransomeye-db";
import { openTestServer } from "ransomeye-db/testing";
import { createTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import {
  type Bus,
  type Durability,
  type MessageLog,
  openMemoryBus,
  openMemoryMessages,
  openPostgresBus,
  openPostgresControl,
  openPostgresMessages,
  openRedisBus,
  openRedisMessages,
  prepareRedisBus,
} from "ransomeye-pipeline";
import { startCluster, startRedis, startReplicated, type TestRedis } from "ransomeye-pipeline/testing";
import type { AdapterName } from "./options.ts";

/** An adapter that is ready. */
export interface OpenAdapter extends AsyncDisposable {
  readonly bus: Bus;
  readonly messages: MessageLog;
  /** The server that answers, where it is one. */
  readonly server?: TestRedis;
  /** Removes all frames that a group has read. */
  trim(): Promise<void>;
}

const partitions = 16;
const settings = { partitions, epochOpeningsPerDayMax: 1_000_000, inFlightBytesMax: 256 * 1024 * 1024 };
const memoryBytesMax = 4 * 1024 * 1024 * 1024;
const entriesUnreadMax = 10_000_000;
const confirmed: Durability = { level: "replicated", replicas: 1, waitMs: 5000 };
const telemetry = createTelemetry({ role: "bench", level: "silent" });
const clock = systemClock;

export async function openAdapter(name: AdapterName): Promise<OpenAdapter> {
  switch (name) {
    case "memory":
      return openMemory();
    case "postgres":
      return openPostgres();
    case "redis":
      return alone();
    case "redis_replicated":
      return replicatedPair();
    case "redis_cluster":
      return cluster();
  }
}

async function alone(): Promise<OpenAdapter> {
  const server = await startRedis();
  return { ...(await openRedis(server, { level: "local" })), server };
}

async function replicatedPair(): Promise<OpenAdapter> {
  const pair = await startReplicated();
  return openRedis({ url: pair.master.url, close: () => pair.close() }, confirmed);
}

async function cluster(): Promise<OpenAdapter> {
  const servers = await startCluster();
  await servers.settled();
  return openRedis(servers, confirmed);
}

function openMemory(): OpenAdapter {
  const bus = openMemoryBus({ clock, ...settings, capacityBytesMax: memoryBytesMax });
  return {
    bus,
    messages: openMemoryMessages({ clock, entriesUnreadMax }),
    trim: () => trimAll(bus),
    [Symbol.asyncDispose]: () => bus.close(),
  };
}

async function openPostgres(): Promise<OpenAdapter> {
  const server = await openTestServer({ settings: { shared_buffers: "512MB", max_wal_size: "4GB" } });
  const database = await server.database();
  const poolOf = (role: "ransomeye_gate" | "ransomeye_engine" | "ransomeye_consumer"): ReturnType<typeof openPool> =>
    openPool({ connection: database.roleConnection(role), max: 16, applicationName: "bench", telemetry });
  const [gatePool, enginePool, messagePool] = [poolOf("ransomeye_gate"), poolOf("ransomeye_engine"), poolOf("ransomeye_consumer")];
  const bus = await openPostgresBus({ gatePool, enginePool, clock, telemetry });
  const control = openPostgresControl({ pool: database.pool, telemetry });
  return {
    bus,
    messages: openPostgresMessages({ pool: messagePool, telemetry, entriesUnreadMax }),
    trim: () => trimAll(control),
    async [Symbol.asyncDispose]() {
      await bus.close();
      for (const pool of [gatePool, enginePool, messagePool]) await pool.end();
      await server.close();
    },
  };
}

interface Servers {
  readonly url: string;
  close(): Promise<void>;
}

async function openRedis(servers: Servers, durability: Durability): Promise<OpenAdapter> {
  const options = { url: servers.url, durability, clock, telemetry };
  const control = await prepareRedisBus({ ...options, random: systemRandom, settings });
  const bus = await openRedisBus(options);
  const messages = await openRedisMessages({ ...options, entriesUnreadMax, entriesHotMax: entriesUnreadMax });
  return {
    bus,
    messages,
    trim: () => trimAll(control),
    async [Symbol.asyncDispose]() {
      await bus.close();
      await messages.close();
      control.close();
      await servers.close();
    },
  };
}

async function trimAll(control: { trim(part: number, off: number): Promise<number> }): Promise<void> {
  for (let part = 0; part < partitions; part += 1) await control.trim(part, Number.MAX_SAFE_INTEGER);
}
