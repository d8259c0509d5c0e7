/**
 * Why it exists: message streams on real Redis servers as a contract subject; each has keys of its own.
 */
import { setTimeout } from "node:timers/promises";
import { systemClock } from "ransomeye-kernel";
import { messageLogDefaults } from "../src/messages/settings.ts";
import { MessageKeys } from "../src/redis_streams/message_keys.ts";
import { RedisMessages } from "../src/redis_streams/messages.ts";
import { Servers } from "../src/redis_streams/servers.ts";
import type { MessageSubject } from "./message_contract.ts";
import { type BusLogin, serversUser } from "../src/redis_streams/user_file.ts";
import type { BusRole } from "../src/redis_streams/user_rights.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { local } from "./redis_subject.ts";

let prefixes = 0;

export type MakeUsers = (prefix: string) => Promise<(role: BusRole) => BusLogin>;

export async function openRedisMessages(
  url: string,
  options: Partial<typeof messageLogDefaults>,
  users?: MakeUsers,
): Promise<MessageSubject> {
  const prefix = `m${process.pid}.${++prefixes}`;
  const loginOf = await users?.(prefix);
  const open = async (role?: BusRole): Promise<Servers> => {
    const login = role === undefined ? undefined : loginOf?.(role);
    const user = login === undefined ? undefined : serversUser(prefix, login, "local");
    const servers = new Servers({ url, durability: local, clock: systemClock, user });
    await servers.open();
    opened.push(servers);
    return servers;
  };
  const opened: Servers[] = [];
  const logAs = async (role: BusRole): Promise<RedisMessages> =>
    new RedisMessages(await open(role), prefix, { ...messageLogDefaults, trims: loginOf === undefined || role === "keeper", ...options });
  /** Publishing and trimming are the keeper's, the rest a consumer's. */
  const openLog = async (): Promise<MessageLog> => {
    const consumer = await logAs("consumer");
    if (loginOf === undefined) return consumer;
    const keeper = await logAs("keeper");
    return {
      streams: consumer.streams,
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
  const keys = new MessageKeys(prefix);
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
