/**
 * Why it exists: the bus on real Redis servers as a contract subject, whatever the servers' arrangement.
 * One arrangement serves a test file; each subject has keys of its own, so nothing need be emptied.
 */
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { openRedisBus, prepareRedisBus, type RedisBusOptions } from "../src/redis_streams/bus.ts";
import type { BusSettings } from "../src/redis_streams/prepare.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import { BusKeys } from "../src/redis_streams/keys.ts";
import { Servers } from "../src/redis_streams/servers.ts";
import { partitionOf } from "../src/append_machine.ts";
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

export async function openRedisSubject(
  url: string,
  durability: Durability,
  { epochOpeningsPerDayMax = 32, partitions = 16 }: { readonly epochOpeningsPerDayMax?: number; readonly partitions?: number } = {},
): Promise<RedisSubject> {
  const prefix = `test${process.pid}.${++subjects}`;
  const options: RedisBusOptions = { url, prefix, durability, clock: systemClock, telemetry: recordingTelemetry() };
  const control = await prepareRedisBus({
    ...options,
    random: systemRandom,
    settings: { ...settings, partitions, epochOpeningsPerDayMax },
  });
  const bus = await openRedisBus(options);
  const other = await openRedisBus(options);
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
      control.close();
      servers.close();
      await bus.close();
      await other.close();
    },
  };
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
