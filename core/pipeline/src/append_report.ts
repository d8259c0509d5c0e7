/**
 * Why it exists: what an append call did is told in the same events by every adapter.
 * Enforces: one count for each verdict, and an ERROR for each producer that has signed a second history.
 * Forbids: anything but telling.
 */
import type { Telemetry } from "ransomeye-kernel";
import type { AppendOutcome, FrameAppend } from "./bus.ts";
import { busAppended, busEquivocation, busFramesJudged } from "./events.ts";

/** One call that has been answered: what was sent, what came of it, and how long it took. */
export interface AnsweredAppend {
  readonly part: number;
  readonly frames: readonly FrameAppend[];
  readonly outcomes: readonly AppendOutcome[];
  readonly bytes: number;
  readonly seconds: number;
}

export function reportAppend(telemetry: Telemetry, { part, frames, outcomes, bytes, seconds }: AnsweredAppend): void {
  telemetry.emit(busAppended, { part, frames: frames.length, bytes, seconds });
  const verdicts = new Map<string, number>();
  for (const [index, outcome] of outcomes.entries()) {
    verdicts.set(outcome.kind, (verdicts.get(outcome.kind) ?? 0) + 1);
    const link = frames[index]?.link;
    if (outcome.kind !== "equivocation" || link === undefined) continue;
    telemetry.emit(busEquivocation, {
      producer: link.producer,
      epoch: link.epoch,
      first_seq: link.firstSeq,
      head_seq: outcome.head.seq,
    });
  }
  for (const [verdict, count] of verdicts) telemetry.emit(busFramesJudged, { verdict, frames: count });
}
