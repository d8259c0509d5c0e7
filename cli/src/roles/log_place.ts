/**
 * Why it exists: the frame log lies in our PostgreSQL or on Redis servers; which of the two is decided here, once for every role.
 * Enforces: a role opens the part of the log that it needs and no more; where the log lies elsewhere, the engine's place in it stays beside its rows.
 * Forbids: knowing what a role does with it.
 */
import type { Pool } from "ransomeye-db";
import {
  type BusControl,
  type FrameAppender,
  type FrameReader,
  type Groups,
  type MessageLog,
  type MessageLogOptions,
  openPostgresAppender,
  openPostgresConsumer,
  openPostgresControl,
  openPostgresMessages,
  openMessageArchive,
  openRedisAppender,
  openRedisConsumer,
  openRedisControl,
  openRedisMessages,
  type RedisBusOptions,
  type StoredProgress,
} from "ransomeye-pipeline";
import type { Config } from "ransomeye-kernel";
import type { BusServers } from "../supervisor/bus_file.ts";
import type { RoleContext } from "./role_process.ts";

const dayMs = 24 * 3600 * 1000;

/** What the configuration says of the log's servers, as the bus wants it. */
export function busOptions({
  url,
  login,
  durability,
  replicasMin,
  replicaWaitMs,
  unverified,
  keyPrefix,
}: BusServers): Omit<RedisBusOptions, "clock" | "telemetry"> {
  const level =
    durability === "replicated"
      ? ({ level: "replicated", replicas: replicasMin, waitMs: replicaWaitMs } as const)
      : ({ level: "local" } as const);
  return { url, login, prefix: keyPrefix, durability: level, unverified };
}

/** How much of a stream is kept, as the message log wants it. */
export function streamBounds(streams: Config["streams"]): MessageLogOptions {
  return {
    entriesMax: streams.entriesMax,
    entriesHotMax: streams.hotEntriesMax,
    entriesUnreadMax: streams.unreadEntriesMax,
    bytesMax: streams.bytesMax,
    bytesHotMax: streams.hotBytesMax,
    bytesUnreadMax: streams.unreadBytesMax,
    keepMsMax: streams.keepMsMax,
    groupDeadMs: streams.groupDeadMs,
  };
}

/** How the log's servers are reached; undefined where the log lies in our database. */
export function redisLog({ begin, clock, telemetry }: RoleContext): RedisBusOptions | undefined {
  if (begin.busUrl === undefined) return undefined;
  return { ...busOptions({ ...begin.config.bus, url: begin.busUrl, login: begin.busLogin }), clock, telemetry };
}

/** What a gateway appends to. `pool` is asked for only where the log lies in our database. */
export function openLogAppender(context: RoleContext, pool: () => Pool): Promise<FrameAppender> {
  const redis = redisLog(context);
  const { clock, telemetry } = context;
  return redis === undefined ? openPostgresAppender({ pool: pool(), clock, telemetry }) : openRedisAppender(redis);
}

/** What the engine reads, where its place is kept, and whom it tells how far rows have come. */
export interface EngineLog {
  readonly bus: FrameReader;
  readonly groups: Groups;
  readonly progress?: StoredProgress;
}

export async function openEngineLog(context: RoleContext, pool: Pool): Promise<EngineLog> {
  const { telemetry } = context;
  const consumer = await openPostgresConsumer({ pool, telemetry });
  const redis = redisLog(context);
  if (redis === undefined) return { bus: consumer, groups: consumer };
  const bus = await openRedisConsumer(redis);
  return { bus, groups: consumer, progress: bus };
}

/**
 * The message streams, where the log lies. On servers the keeper copies them into the database and trims for all (R-26).
 * @param pool for streams in our database, and for who reads further back than servers' memory goes
 */
export async function openMessageLog(context: RoleContext, pool: Pool): Promise<MessageLog> {
  const redis = redisLog(context);
  const { begin, telemetry } = context;
  const bounds = streamBounds(begin.config.streams);
  if (redis === undefined) return openPostgresMessages({ pool, telemetry, ...bounds });
  const archive = openMessageArchive({ pool: async () => pool, telemetry });
  const keeps = begin.role === "keeper" ? { trims: true, archives: { keptMs: begin.config.retention.daysMax * dayMs } } : {};
  const log = await openRedisMessages({ ...redis, ...bounds, ...keeps, archive });
  context.lifetime.defer("messages", () => log.close());
  return log;
}

/** What the registry holds of the log. */
export async function openLogControl(context: RoleContext, pool: Pool): Promise<Pick<BusControl, "setRegistry">> {
  const redis = redisLog(context);
  if (redis === undefined) return openPostgresControl({ pool, telemetry: context.telemetry });
  const control = await openRedisControl(redis);
  context.lifetime.defer("bus", async () => control.close());
  return control;
}
