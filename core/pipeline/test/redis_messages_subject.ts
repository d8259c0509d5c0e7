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
import { local } from "./redis_subject.ts";

let prefixes = 0;

export async function openRedisMessages(url: string, options: Partial<typeof messageLogDefaults>): Promise<MessageSubject> {
  const prefix = `m${process.pid}.${++prefixes}`;
  const open = async (): Promise<Servers> => {
    const servers = new Servers({ url, durability: local, clock: systemClock });
    await servers.open();
    return servers;
  };
  const [servers, others] = [await open(), await open()];
  const keys = new MessageKeys(prefix);
  return {
    log: new RedisMessages(servers, prefix, { ...messageLogDefaults, trims: true, ...options }),
    other: new RedisMessages(others, prefix, { ...messageLogDefaults, trims: true, ...options }),
    pass: (ms) => setTimeout(ms),
    removeByHand: async (stream, priority, upToOff) => {
      await servers.change(keys.place, [{ command: ["XTRIM", keys.log(stream, priority), "MINID", `${upToOff + 1}-0`] }]);
    },
    close: async () => {
      servers.close();
      others.close();
    },
  };
}
