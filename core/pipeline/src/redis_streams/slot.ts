/**
 * Why it exists: a script's keys have to lie on one server, so whoever makes keys or sends calls asks for their slot.
 * Enforces: the client's own computation, the one by which it chooses a server.
 * Forbids: a second table of checksums.
 */
import { Command } from "ioredis";

/** One of a cluster's 16384 slots. */
export function slotOf(key: string): number {
  return new Command("GET", [key]).getSlot();
}
