/**
 * Findings about producers that an operator must see.
 *
 * Why: equivocation, fencing and epochs without end are signs of a stolen key or a cloned machine; a producer that repeats them must not fill the log.
 * Enforces: one ERROR line per producer and minute, further ones counted; memory bounded.
 * Forbids: silence: what is not a line of its own is still a count.
 */
import * as events from "./events.ts";
import { type GateEffect, note } from "./gate_signals.ts";
import type { Finding } from "./session_state.ts";

const alarmAgainMs = 60_000;
const producersMax = 10_000;

/** Remembers whom it has reported lately. */
export class Alarms {
  readonly #reportedMs = new Map<string, number>();

  report(producer: string, finding: Finding, nowMs: number): GateEffect {
    if (finding.what === "epochs_limited") return note(events.epochsLimited, { producer, epoch: finding.epoch });
    const { what, link } = finding;
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
