/**
 * Why it exists: what to drop and when to pause are rules, not I/O.
 * Enforces: the oldest day first, today never; pausing and resuming have room between them, so that they do not alternate.
 * Forbids: I/O, clocks.
 */
import type { DaySize } from "ransomeye-db";
import type { DiskFacts } from "ransomeye-kernel";

const dayUs = 86_400_000_000;
/** Going on needs this much more free disk than the floor. */
const resumeMargin = 1.1;

/** Days to drop, oldest first, each with the rule that asks for it. Days to come (made ahead) and today's stay. */
export function daysToDrop(
  sizes: readonly Pick<DaySize, "day" | "bytes">[],
  rule: { readonly bytesMax: number; readonly daysMax: number; readonly nowUs: number },
): { readonly day: string; readonly reason: "age" | "bytes" }[] {
  const today = Math.floor(rule.nowUs / dayUs);
  const oldestFirst = [...sizes].sort((a, b) => (a.day < b.day ? -1 : 1));
  let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const drop: { day: string; reason: "age" | "bytes" }[] = [];
  for (const { day, bytes } of oldestFirst) {
    const age = today - Math.floor((Date.parse(`${day}T00:00:00Z`) * 1000) / dayUs);
    if (age <= 0) break;
    const reason = age > rule.daysMax ? "age" : total > rule.bytesMax ? "bytes" : undefined;
    if (reason === undefined) break;
    drop.push({ day, reason });
    total -= bytes;
  }
  return drop;
}

/** Whether the disk is too full to take more. `paused` is whether we have paused for that already. */
export function diskVerdict(
  facts: DiskFacts,
  floor: { readonly freeBytesMin: number; readonly freeRatioMin: number },
  paused: boolean,
): "pause" | "resume" | "keep" {
  const least = Math.max(floor.freeBytesMin, facts.totalBytes * floor.freeRatioMin);
  if (facts.freeBytes < least) return paused ? "keep" : "pause";
  return paused && facts.freeBytes >= least * resumeMargin ? "resume" : "keep";
}
