/**
 * Why it exists: most systems keep their log in the database; a process of theirs should not load the client of other servers, its own adapter and its scripts.
 * Enforces: the same ways to open a bus as in bus.ts, whose code is loaded with the first of them.
 * Forbids: anything that needs the client before a bus is opened.
 */
import type { Bus, FrameAppender, FrameReader, Groups, StoredProgress } from "../bus.ts";
import type { MessageLog } from "../messages/port.ts";
import type { RedisBusOptions, RedisControls, RedisMessageLogOptions } from "./bus.ts";
import type { Preparation } from "./prepare.ts";

/** @throws BusError BUS_NOT_DURABLE, BUS_NOT_PREPARED, BUS_HISTORY_DIVERGED, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openRedisAppender(options: RedisBusOptions): Promise<FrameAppender> {
  return (await import("./bus.ts")).openRedisAppender(options);
}

/** What a consumer does: read the log, share its partitions. Throws as `openRedisAppender`. */
export async function openRedisConsumer(options: RedisBusOptions): Promise<FrameReader & Groups & StoredProgress> {
  return (await import("./bus.ts")).openRedisConsumer(options);
}

/** Everything, for one process that is gate and consumer at once. Throws as `openRedisAppender`. */
export async function openRedisBus(options: RedisBusOptions): Promise<Bus> {
  return (await import("./bus.ts")).openRedisBus(options);
}

/** Message streams on the same servers; they need no preparation. @throws BusError BUS_NOT_DURABLE, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openRedisMessages(options: RedisMessageLogOptions): Promise<MessageLog> {
  return (await import("./bus.ts")).openRedisMessages(options);
}

/** Makes the bus where there is none, and opens its controls. @throws BusError as `openRedisAppender`, but for BUS_NOT_PREPARED */
export async function prepareRedisBus(options: RedisBusOptions & Preparation): Promise<RedisControls> {
  return (await import("./bus.ts")).prepareRedisBus(options);
}

/** The controls of a bus that stands. Throws as `openRedisAppender`. */
export async function openRedisControl(options: RedisBusOptions): Promise<RedisControls> {
  return (await import("./bus.ts")).openRedisControl(options);
}
