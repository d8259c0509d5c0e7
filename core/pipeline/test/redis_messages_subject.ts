/**
 * Why it exists: message streams on real Redis servers as a contract subject; each has keys of its own.
 */
import { setTimeout } from "node:timers/promises";
import { type RecordingTelemetry, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { StreamName } from "../src/messages/message.ts";
import { messageLogDefaults } from "../src/messages/settings.ts";
import { Archiver } from "../src/redis_streams/archiver.ts";
import { MessageKeys } from "../src/redis_streams/message_keys.ts";
import { RedisMessages } from "../src/redis_streams/messages.ts";
import { Servers } from "../src/redis_streams/servers.ts";
import type { MessageSubject } from "./message_subject.ts";
import { type BusLogin, serversUser } from "../src/redis_streams/user_file.ts";
import type { BusRole } from "../src/redis_streams/user_rights.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { MemoryArchive } from "./memory_archive.ts";
import { local } from "./redis_subject.ts";
import { type ContractServers, ownPrefix } from "../src/testing.ts";

let prefixes = 0;

export type MakeUsers = (prefix: string) => Promise<(role: BusRole) => BusLogin>;

export async function openRedisMessages(
  { url, durability }: Pick<ContractServers, "url" | "durability">,
  options: Partial<typeof messageLogDefaults>,
  users?: MakeUsers,
): Promise<MessageSubject> {
  const prefix = `${ownPrefix}.m${++prefixes}`;
  const loginOf = await users?.(prefix);
  const open = async (role?: BusRole): Promise<Servers> => {
    const login = role === undefined ? undefined : loginOf?.(role);
    const user = login === undefined ? undefined : serversUser(prefix, login, durability.level);
    const servers = new Servers({ url, durability, clock: systemClock, user });
    await servers.open();
    opened.push(servers);
    return servers;
  };
  const opened: Servers[] = [];
  const keys = new MessageKeys(prefix);
  const logAs = async (role: BusRole): Promise<RedisMessages> =>
    new RedisMessages(await open(role), keys, { ...messageLogDefaults, trims: loginOf === undefined || role === "keeper", ...options });
  /** Publishing and trimming are the keeper's, the rest a consumer's. */
  const openLog = async (): Promise<MessageLog> => {
    const consumer = await logAs("consumer");
    if (loginOf === undefined) return consumer;
    const keeper = await logAs("keeper");
    return {
      streams: consumer.streams,
      takesInOrder: consumer.takesInOrder,
      publish: (messages) => keeper.publish(messages),
      trim: (stream) => keeper.trim(stream),
      createGroup: (stream, group, start) => consumer.createGroup(stream, group, start),
      take: (stream, group, member, how) => consumer.take(stream, group, member, how),
      extend: (refs, leaseMs) => consumer.extend(refs, leaseMs),
      settle: (delivery, settlement) => consumer.settle(delivery, settlement),
      bury: (delivery, letter) => consumer.bury(delivery, letter),
      groups: (stream) => consumer.groups(stream),
      rewind: (stream, group, publishedUs) => consumer.rewind(stream, group, publishedUs),
      read: (stream, priority, afterOff, max) => consumer.read(stream, priority, afterOff, max),
      close: () => consumer.close(),
    };
  };
  const servers = await open();
  return {
    log: await openLog(),
    other: await openLog(),
    pass: (ms) => setTimeout(ms),
    removeByHand: async (stream, priority, upToOff) => {
      await servers.change(keys.place, [{ command: ["XTRIM", keys.log(stream, priority), "MINID", `${upToOff + 1}-0`] }]);
    },
    close: async () => {
      for (const one of opened) one.close();
    },
  };
}

export interface ArchivedSubject extends MessageSubject {
  readonly archive: MemoryArchive;
  readonly telemetry: RecordingTelemetry;
  readonly keys: MessageKeys;
  readonly servers: Servers;
  /** Copies into the archive and takes out of the servers' memory all but `hotLeft` entries; removes nothing from the stream. */
  readonly spill: (stream?: StreamName) => Promise<void>;
  /** A log without an archive. */
  readonly blind: MessageLog;
}

const forever = Number.MAX_SAFE_INTEGER / 1_000_000;

/** Streams with an archive; before every step of `log` and `other` all but `hotLeft` entries have left the servers' memory for it, unless `hotLeft` is null. */
export async function openArchivedMessages(
  url: string,
  options: Partial<typeof messageLogDefaults> = {},
  hotLeft: number | null = 2,
): Promise<ArchivedSubject> {
  const keys = new MessageKeys(`m${process.pid}.${++prefixes}`);
  const servers = new Servers({ url, durability: local, clock: systemClock });
  await servers.open();
  const [archive, telemetry] = [new MemoryArchive(), recordingTelemetry()];
  const archiver = (keepMsMax: number): Archiver =>
    new Archiver(servers, keys, { archive, keepMsMax, keptMs: forever, clock: systemClock, telemetry });
  const how = { ...messageLogDefaults, trims: true, ...options };
  const endless = {
    entriesMax: Number.MAX_SAFE_INTEGER,
    keepMsMax: forever,
    groupDeadMs: forever,
    entriesHotMax: Math.ceil((hotLeft ?? 0) / 0.8),
    bytesMax: Number.MAX_SAFE_INTEGER,
    bytesHotMax: Number.MAX_SAFE_INTEGER,
  };
  const spiller = new RedisMessages(servers, keys, { ...how, ...endless }, archiver(forever));
  const spill = async (stream: StreamName = StreamName.attacks): Promise<void> => void (await spiller.trim(stream));
  const first = <Args extends unknown[], T>(work: (...args: Args) => Promise<T>): ((...args: Args) => Promise<T>) => {
    if (hotLeft === null) return work;
    return async (...args) => {
      await spill();
      await spill(StreamName.deadLetter);
      return work(...args);
    };
  };
  const openLog = (): MessageLog => {
    const log = new RedisMessages(servers, keys, { ...how, archive }, archiver(how.keepMsMax));
    return {
      streams: log.streams,
      takesInOrder: log.takesInOrder,
      publish: first((messages) => log.publish(messages)),
      trim: first((stream) => log.trim(stream)),
      createGroup: first((stream, group, start) => log.createGroup(stream, group, start)),
      take: first((stream, group, member, taking) => log.take(stream, group, member, taking)),
      extend: first((refs, leaseMs) => log.extend(refs, leaseMs)),
      settle: first((delivery, settlement) => log.settle(delivery, settlement)),
      bury: first((delivery, letter) => log.bury(delivery, letter)),
      groups: first((stream) => log.groups(stream)),
      rewind: first((stream, group, publishedUs) => log.rewind(stream, group, publishedUs)),
      read: first((stream, priority, afterOff, max) => log.read(stream, priority, afterOff, max)),
      close: () => log.close(),
    };
  };
  return {
    ...{ archive, telemetry, keys, servers, spill, log: openLog(), other: openLog() },
    blind: new RedisMessages(servers, keys, { ...how, trims: false }),
    pass: (ms) => setTimeout(ms),
    removeByHand: async (stream, priority, upToOff) => {
      await servers.change(keys.place, [{ command: ["XTRIM", keys.log(stream, priority), "MINID", `${upToOff + 1}-0`] }]);
      archive.rows = archive.rows.filter((row) => row.stream !== stream || row.priority !== priority || row.off > upToOff);
    },
    close: async () => servers.close(),
  };
}
