/**
 * The message contract in memory.
 */
import { openMemoryMessages } from "../src/messages/memory_messages.ts";
import { messageContract } from "./message_contract.ts";
import { ManualClock } from "./subject.ts";

messageContract("memory", async (options = {}) => {
  const clock = new ManualClock();
  const log = openMemoryMessages({ clock, ...options });
  return {
    log,
    other: log,
    pass: async (ms) => clock.moveMs(ms),
    removeByHand: async (stream, priority, upToOff) => log.removeByHand(stream, priority, upToOff),
    close: () => log.close(),
  };
});
