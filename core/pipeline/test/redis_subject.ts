/**
 * Why it exists: the bus on real Redis servers as a contract subject, whatever the servers' arrangement.
 * One arrangement serves a test file; each subject has keys of its own, so nothing need be emptied.
 */
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import type { Bus } from "../src/bus.ts";
import {
  openRedisAppender,
  openRedisBus,
  openRedisConsumer,
  openRedisControl,
  prepareRedisBus,
  type RedisBusOptions,
  type RedisControls,
} from "../src/redis_streams/bus.ts";
import type { BusSettings } from "../src/redis_streams/prepare.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import { BusKeys } from "../src/redis_streams/keys.ts";
import { Servers } from "../src/redis_streams/servers.ts";
import type { BusLogin } from "../src/redis_streams/user_file.ts";
import type { BusRole } from "../src/redis_streams/user_rights.ts";
import { partitionOf } from "../src/append_machine.ts";
import { ownPrefix } from "../src/testing.ts";
import type { Subject } from "./subject.ts";

export interface RedisSubject extends Subject {
  readonly options: RedisBusOptions;
  readonly keys: BusKeys;
  /** As an operator with every right has them. */
  readonly servers: Servers;
}

export const local: Durability = { level: "local" };
export const settings: BusSettings = { partitions: 16, epochOpeningsPerDayMax: 32, inFlightBytesMax: 256 * 1024 * 1024 };

let subjects = 0;

export interface RedisSubjectOptions {
  readonly epochOpeningsPerDayMax?: number;
  readonly partitions?: number;
  /** Makes users for this prefix; each call then goes to the server as the role's whose it is. */
  readonly users?: (prefix: string) => Promise<(role: BusRole) => BusLogin>;
}

export async function openRedisSubject(
  url: string,
  durability: Durability,
  { epochOpeningsPerDayMax = 32, partitions = 16, users }: RedisSubjectOptions = {},
): Promise<RedisSubject> {
  const prefix = `${ownPrefix}.${++subjects}`;
  const loginOf = await users?.(prefix);
  const options: RedisBusOptions = { url, prefix, durability, clock: systemClock, telemetry: recordingTelemetry() };
  const as = (role: BusRole): RedisBusOptions => ({ ...options, login: loginOf?.(role) });
  const keeper = await prepareRedisBus({
    ...as("keeper"),
    random: systemRandom,
    settings: { ...settings, partitions, epochOpeningsPerDayMax },
  });
  const registry = loginOf === undefined ? keeper : await openRedisControl(as("registry"));
  const control: RedisControls = { ...keeper, setRegistry: (state) => registry.setRegistry(state) };
  const open = (): Promise<Bus> => (loginOf === undefined ? openRedisBus(options) : openAsRoles(as));
  const [bus, other] = [await open(), await open()];
  const servers = new Servers({ url, durability, clock: systemClock });
  await servers.open();
  const keys = new BusKeys(prefix);
  return {
    bus,
    other,
    control,
    options,
    keys,
    servers,
    expireLeases: (group) => expireLeases(servers, keys, group),
    noteStored: async (producer, epoch, seq) => {
      const key = keys.producer(partitionOf(producer, partitions), producer);
      await servers.change(key, [{ command: ["HSET", key, "stored", `${epoch} ${seq}`] }]);
    },
    close: async () => {
      keeper.close();
      if (registry !== keeper) registry.close();
      servers.close();
      await bus.close();
      await other.close();
    },
  };
}

/** A bus of which each half is another user's. */
async function openAsRoles(as: (role: BusRole) => RedisBusOptions): Promise<Bus> {
  const gateway = await openRedisAppender(as("gateway"));
  const engine = await openRedisConsumer(as("engine"));
  const close = async (): Promise<void> => void (await Promise.all([gateway.close(), engine.close()]));
  return { ...engine, ...gateway, close };
}

/** Sets every lease's end, and every member's, to a time long ago. */
async function expireLeases(servers: Servers, keys: BusKeys, group: string): Promise<void> {
  const key = keys.group(group);
  const [found] = await servers.read(key, [{ command: ["HGETALL", key] }]);
  const flat = (found as Buffer[]).map((bytes) => bytes.toString("utf8"));
  for (let at = 0; at < flat.length; at += 2) {
    const [field, value] = [flat[at] as string, flat[at + 1] as string];
    const words = value.split(" ");
    words[field.startsWith("s") ? 3 : 0] = "1";
    await servers.change(key, [{ command: ["HSET", key, field, words.join(" ")] }]);
  }
}
