// Why: events that are lost are an alarm, and a group may hold a thousand declarations of loss.
// Enforces: one report for each reason, with all of its events and one producer as example; reasons from the closed set, whatever a payload said.
// Forbids: I/O, and counting what was stored before.

import { isGapReason } from "ransomeye-ingestion/protocol";
import type { Gap } from "./tables.ts";

export interface Loss {
  readonly reason: string;
  readonly events: number;
  readonly producer: string;
}

/** What the gaps of a stored group tell, by reason. */
export function lossesOf(gaps: readonly Gap[]): Loss[] {
  const losses = new Map<string, Loss>();
  for (const gap of gaps) {
    const reason = isGapReason(gap.reason) ? gap.reason : "foreign";
    const before = losses.get(reason);
    losses.set(reason, { reason, events: (before?.events ?? 0) + gap.count, producer: before?.producer ?? gap.producer });
  }
  return [...losses.values()];
}
