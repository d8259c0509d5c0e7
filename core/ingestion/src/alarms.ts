/**
 * Findings about producers that an operator must see.
 *
 * Why: equivocation and fencing are signs of a stolen key or a cloned machine; a producer that repeats them must not fill the log.
 * Enforces: one ERROR line per producer and minute, further ones counted; memory bounded.
 * Forbids: silence: what is not a line of its own is still a count.
 */
import type { FrameLink } from "ransomeye-pipeline";
import * as events from "./events.ts";
import { type GateEffect, note } from "./gate_signals.ts";

const alarmAgainMs = 60_000;
const producersMax = 10_000;

/** What was found about a producer's frame. */
export interface Finding {
  readonly what: "equivocation" | "fenced";
  readonly link: FrameLink;
}

/** Remembers whom it has reported lately. */
export class Alarms {
  readonly #reportedMs = new Map<string, number>();

  report(producer: string, { what, link }: Finding, nowMs: number): GateEffect {
    if (what === "fenced") return note(events.producerFenced, { producer, epoch: link.epoch, first_seq: link.firstSeq });
    const before = this.#reportedMs.get(producer);
    const lately = before !== undefined && nowMs - before < alarmAgainMs;
    if (lately || this.#reportedMs.size >= producersMax) return note(events.equivocationRepeated, { producer });
    this.#reportedMs.set(producer, nowMs);
    const fields = { producer, epoch: link.epoch, first_seq: link.firstSeq, frame_hash: link.hash.toString("hex"), key_id: link.keyId };
    return note(events.equivocationFound, fields);
  }

  forget(nowMs: number): void {
    for (const [producer, reportedMs] of this.#reportedMs) if (nowMs - reportedMs >= alarmAgainMs) this.#reportedMs.delete(producer);
  }
}
