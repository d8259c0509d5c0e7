/**
 * Why it exists: the ways to open a bus on Redis or Valkey, one per role, as postgres/bus.ts does it for PostgreSQL.
 * Enforces: servers that are unfit for a receipt are refused when a bus is opened, and found again while it is used.
 * Forbids: making a bus in passing: only `prepareRedisBus` does, for the keeper.
 */
import { type Clock, hasCode, type Telemetry } from "ransomeye-kernel";
import type { Bus, BusControl, FrameAppender, FrameReader, Groups, Position, StoredProgress } from "../bus.ts";
import { BusError } from "../errors.ts";
import { busOpened } from "../events.ts";
import { RedisAppender } from "./appender.ts";
import { Backlogs } from "./backlog.ts";
import { type BusPlace, findBus } from "./bus_place.ts";
import { notFlushed } from "./confirmation.ts";
import { RedisControl } from "./control.ts";
import type { MessageLog } from "../messages/port.ts";
import { messageLogDefaults } from "../messages/settings.ts";
import { Archiver } from "./archiver.ts";
import { MessageKeys } from "./message_keys.ts";
import { RedisGroups } from "./groups.ts";
import { RedisMessages, type RedisMessagesOptions } from "./messages.ts";
import { LogMirror } from "./mirror.ts";
import { prepareBus, type Preparation } from "./prepare.ts";
import { RedisProgress } from "./progress.ts";
import { RedisReader } from "./reader.ts";
import type { Durability } from "./server_facts.ts";
import { Servers } from "./servers.ts";
import { type BusLogin, serversUser } from "./user_file.ts";

export interface RedisBusOptions {
  /** `redis://host:port[,host:port…]`, `rediss://…` or `redis+unix:///path`; see address.ts. */
  readonly url: string;
  /** The user as whom to log in, see user_file.ts; without it, whoever the URL names. */
  readonly login?: BusLogin | undefined;
  /** Begins every key, so that servers may be shared. Default `ransomeye`. */
  readonly prefix?: string;
  readonly durability: Durability;
  /** Goes on although a server is less durable than asked, or does not tell: the operator's word. */
  readonly unverified?: boolean;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const prefixDefault = "ransomeye";

/** @throws BusError BUS_NOT_DURABLE, BUS_NOT_PREPARED, BUS_HISTORY_DIVERGED, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openRedisAppender(options: RedisBusOptions): Promise<FrameAppender> {
  const place = await open(options);
  const appender = appenderAt(place, options);
  return {
    generation: place.generation,
    partitions: place.partitions,
    append: (part, frames, how) => appender.append(part, frames, how),
    openEpoch: (request) => appender.openEpoch(request),
    headsOf: (producers) => appender.headsOf(producers),
    pressure: (question) => appender.pressure(question),
    report: (report) => appender.report(report),
    close: () => appender.close().finally(() => place.servers.close()),
  };
}

/** What a consumer does: read the log, share its partitions. Throws as `openRedisAppender`. */
export async function openRedisConsumer(options: RedisBusOptions): Promise<FrameReader & Groups & StoredProgress> {
  const place = await open(options);
  const consumer = consumerAt(place, options.telemetry);
  const progress = new RedisProgress(place);
  return {
    ...consumer,
    noteStored: (group, positions, heads) => progress.noteStored(group, positions, heads),
    close: async () => place.servers.close(),
  };
}

/** Everything, for one process that is gate and consumer at once. Throws as `openRedisAppender`. */
export async function openRedisBus(options: RedisBusOptions): Promise<Bus> {
  const place = await open(options);
  const appender = appenderAt(place, options);
  return {
    ...consumerAt(place, options.telemetry),
    append: (part, frames, how) => appender.append(part, frames, how),
    openEpoch: (request) => appender.openEpoch(request),
    headsOf: (producers) => appender.headsOf(producers),
    pressure: (question) => appender.pressure(question),
    report: (report) => appender.report(report),
    close: () => appender.close().finally(() => place.servers.close()),
  };
}

export interface RedisMessageLogOptions extends RedisBusOptions, Partial<RedisMessagesOptions> {
  /** Only the keeper: copies what is published into the archive, before anything is trimmed. */
  readonly archives?: {
    /** How long dead letters stay there. */
    readonly keptMs: number;
  };
}

/** Message streams on the same servers; they need no preparation. @throws BusError BUS_NOT_DURABLE, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openRedisMessages(options: RedisMessageLogOptions): Promise<MessageLog> {
  const servers = await connect(options);
  const keys = new MessageKeys(options.prefix ?? prefixDefault);
  const { archive, archives, clock, telemetry } = options;
  // Of the roles that have users of their own the keeper alone may, and says so.
  const how = { ...messageLogDefaults, trims: options.login === undefined, ...options };
  const archiver =
    archive === undefined || archives === undefined
      ? undefined
      : new Archiver(servers, keys, { archive, ...archives, keepMsMax: how.keepMsMax, clock, telemetry });
  const messages = new RedisMessages(servers, keys, how, archiver);
  return Object.assign(messages, { close: async () => servers.close() });
}

/** What the keeper and the registry hold; `close` gives the connections up. */
export interface RedisControls extends BusControl {
  readonly generation: string;
  readonly partitions: number;
  readonly mirror: LogMirror;
  /** Memory of the fullest server: bytes used, and its bound (0: none). */
  memory(): Promise<{ readonly usedBytes: number; readonly bytesMax: number }>;
  /** The last entry received before a time, or the low mark; null before the first entry ever. */
  seek(part: number, receivedUs: number): Promise<Position | null>;
  close(): void;
}

/** Makes the bus where there is none, and opens its controls. @throws BusError as `openRedisAppender`, but for BUS_NOT_PREPARED */
export async function prepareRedisBus(options: RedisBusOptions & Preparation): Promise<RedisControls> {
  const servers = await connect(options);
  try {
    return controlsOf(await prepareBus(servers, options.prefix ?? prefixDefault, options), options.telemetry);
  } catch (error) {
    const failure = await unfitOr(servers, error);
    servers.close();
    throw failure;
  }
}

/** The keeper's is the first change of a start, so it is the first to learn that replicas keep nothing on their disks. */
async function unfitOr(servers: Servers, error: unknown): Promise<unknown> {
  if (!hasCode(error, "BUS_OUTCOME_UNKNOWN") || (await servers.check().catch(() => null)) !== notFlushed) return error;
  return new BusError("BUS_NOT_DURABLE", error.message, { cause: error, fields: { settings: "appendonly, appendfsync" } });
}

/** The controls of a bus that stands. Throws as `openRedisAppender`. */
export async function openRedisControl(options: RedisBusOptions): Promise<RedisControls> {
  return controlsOf(await open(options), options.telemetry);
}

function controlsOf(place: BusPlace, telemetry: Telemetry): RedisControls {
  const control = new RedisControl(place);
  const reader = new RedisReader({ ...place, telemetry });
  return {
    generation: place.generation,
    partitions: place.partitions,
    mirror: new LogMirror(place),
    memory: () => place.servers.memory(),
    seek: (part, receivedUs) => reader.seek(part, receivedUs),
    setRegistry: (state) => control.setRegistry(state),
    pause: (reason) => control.pause(reason),
    trim: (part, off) => control.trim(part, off),
    rewind: (group, part, position) => control.rewind(group, part, position),
    close: () => place.servers.close(),
  };
}

async function connect({ url, login, prefix, durability, unverified, clock, telemetry }: RedisBusOptions): Promise<Servers> {
  const user = login === undefined ? undefined : serversUser(prefix ?? prefixDefault, login, durability.level);
  const servers = new Servers({ url, user, durability, unverified: unverified ?? false, clock, telemetry });
  try {
    await servers.open();
  } catch (error) {
    servers.close();
    throw error;
  }
  return servers;
}

async function open(options: RedisBusOptions): Promise<BusPlace> {
  const servers = await connect(options);
  try {
    const place = await findBus(servers, options.prefix ?? prefixDefault);
    options.telemetry.emit(busOpened, { adapter: "redis_streams", generation: place.generation, partitions: place.partitions });
    return place;
  } catch (error) {
    servers.close();
    throw error;
  }
}

function appenderAt(place: BusPlace, { clock, telemetry }: RedisBusOptions): RedisAppender {
  return new RedisAppender({ ...place, backlogs: new Backlogs(place, clock), clock, telemetry });
}

function consumerAt(place: BusPlace, telemetry: Telemetry): FrameReader & Groups {
  const reader = new RedisReader({ ...place, telemetry });
  const groups = new RedisGroups(place);
  return {
    generation: place.generation,
    partitions: place.partitions,
    tails: () => reader.tails(),
    read: (part, after, bounds) => reader.read(part, after, bounds),
    checkPosition: (position) => reader.checkPosition(position),
    seek: (part, receivedUs) => reader.seek(part, receivedUs),
    acquire: (group, member, wanted) => groups.acquire(group, member, wanted),
    renew: (leases, leaseMs) => groups.renew(leases, leaseMs),
    release: (leases) => groups.release(leases),
    commit: (lease, position) => groups.commit(lease, position),
    lag: (group) => groups.lag(group),
    close: () => reader.close(),
  };
}
