/**
 * Why it exists: what to drop, when to pause and when to fold the ledger are rules, not I/O.
 * Enforces: the oldest day first, today never, and none that a legal hold keeps; pausing and resuming have room between them, so that they do not alternate.
 * Forbids: I/O, clocks.
 */
import type { DaySize } from "ransomeye-db";
import type { DiskFacts } from "ransomeye-kernel";

const dayUs = 86_400_000_000;
/** Going on needs this much more free disk than the floor. */
const resumeMargin = 1.1;

/**
 * Days to drop, oldest first, each with the rule that asks for it. Days to come (made ahead) and today's stay, and so do days that holds keep: these stand beside the bound
 * on bytes, for else a hold on the past would cost the newest days.
 */
export function daysToDrop(
  sizes: readonly Pick<DaySize, "day" | "bytes" | "holds">[],
  rule: { readonly bytesMax: number; readonly daysMax: number; readonly nowUs: number },
): { readonly day: string; readonly reason: "age" | "bytes" }[] {
  const today = Math.floor(rule.nowUs / dayUs);
  const oldestFirst = [...sizes].sort((a, b) => (a.day < b.day ? -1 : 1));
  let total = sizes.reduce((sum, { bytes, holds }) => sum + (holds.length > 0 ? 0 : bytes), 0);
  const drop: { day: string; reason: "age" | "bytes" }[] = [];
  for (const { day, bytes, holds } of oldestFirst) {
    const age = today - Math.floor((Date.parse(`${day}T00:00:00Z`) * 1000) / dayUs);
    if (age <= 0) break;
    if (holds.length > 0) continue;
    const reason = age > rule.daysMax ? "age" : total > rule.bytesMax ? "bytes" : undefined;
    if (reason === undefined) break;
    drop.push({ day, reason });
    total -= bytes;
  }
  return drop;
}

/** What must stay free, whichever is more. */
export interface DiskFloor {
  readonly freeBytesMin: number;
  readonly freeRatioMin: number;
}

/** Bytes that must stay free. */
export function diskFloor(facts: DiskFacts, floor: DiskFloor): number {
  return Math.max(floor.freeBytesMin, facts.totalBytes * floor.freeRatioMin);
}

/** Whether the disk is too full to take more. `paused` is whether we have paused for that already. */
export function diskVerdict(facts: DiskFacts, floor: DiskFloor, paused: boolean): "pause" | "resume" | "keep" {
  const least = diskFloor(facts, floor);
  if (facts.freeBytes < least) return paused ? "keep" : "pause";
  return paused && facts.freeBytes >= least * resumeMargin ? "resume" : "keep";
}
