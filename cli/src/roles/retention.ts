/**
 * Why it exists: the keeper's part of retention: which day goes, and that it goes to its end.
 * Enforces: the oldest day first; one day at a time, and what was begun before anything new; a day that must wait keeps later ones waiting, a held day does not; a clock
 * that jumped forward takes nothing by age for a day.
 * Forbids: detaching: the supervisor does that when it is asked.
 */
import { type DayExpiry, daySizes, expireDay, finishRemoval, type Pool } from "ransomeye-db";
import { type Clock, sleep, type Telemetry } from "ransomeye-kernel";
import { clockJumped, removalWaits, retentionHeld } from "../events.ts";
import { daysToDrop } from "./keeper_rules.ts";

export interface RetentionRules {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly bytesMax: number;
  readonly daysMax: number;
  /** A day is counted and has to be detached. */
  readonly onCounted: () => void;
  readonly signal: AbortSignal;
}

/** A clock that is set forward by more than this makes days old that are not. Whoever set it has a day to notice. */
const jumpUsMax = 86_400_000_000;
const jumpMsWait = 86_400_000;
/** How long a round stays with one day; what is not gone by then is for the next round. */
const removalMsMax = 30_000;
const pollMs = 250;
/** How long a round waits for the sealer, which looks for wishes every five seconds; else a backlog of days would take a minute each. */
const signatureMsMax = 15_000;
const signaturePollMs = 1000;
/** A removal that takes longer is told. */
const removalUsMax = 600_000_000;

export class Retention {
  readonly #o: RetentionRules;
  /** Both clocks, as they were in the round before. */
  #seen: { readonly us: number; readonly ms: number } | undefined;
  #byAgeFromMs = 0;

  constructor(o: RetentionRules) {
    this.#o = o;
  }

  /** Finishes what was begun, then takes every day that the rules let go. */
  async round(): Promise<void> {
    const { pool, clock, telemetry, bytesMax } = this.#o;
    const daysMax = this.#isByAge() ? this.#o.daysMax : Number.MAX_SAFE_INTEGER;
    if (!(await this.#finish())) return;
    for (const { day, reason } of daysToDrop(await daySizes(pool), { bytesMax, daysMax, nowUs: clock.nowUs() })) {
      const expiry = await this.#expire(day, reason);
      if (expiry.kind === "expired" || expiry.kind === "removing") {
        if (!(await this.#finish())) return;
        continue;
      }
      // A hold that has come since the sizes were read.
      if (expiry.kind === "held") continue;
      // A later day must not go before an earlier one: the log is trimmed from its low end.
      if (expiry.kind === "unread" || expiry.waitsTooLong) telemetry.emit(retentionHeld, { day, reason });
      return;
    }
  }

  /** Whether a day's age is what it seems: the wall clock has gone on by what the monotonic one has, or it is a day since it had not. */
  #isByAge(): boolean {
    const { clock, telemetry } = this.#o;
    const now = { us: clock.nowUs(), ms: clock.monotonicMs() };
    const seen = this.#seen ?? now;
    this.#seen = now;
    const jumpedUs = now.us - seen.us - (now.ms - seen.ms) * 1000;
    if (jumpedUs > jumpUsMax) {
      this.#byAgeFromMs = now.ms + jumpMsWait;
      telemetry.emit(clockJumped, { hours: Math.round(jumpedUs / 3_600_000_000) });
    }
    return now.ms >= this.#byAgeFromMs;
  }

  /** Counts a day; stays with it for a while if only the sealer's word is missing. */
  async #expire(day: string, policy: "age" | "bytes"): Promise<DayExpiry> {
    const { clock, signal } = this.#o;
    const untilMs = clock.monotonicMs() + signatureMsMax;
    for (;;) {
      const expiry = await expireDay(this.#o, day, policy);
      if (expiry.kind !== "unsigned" || signal.aborted || clock.monotonicMs() >= untilMs) return expiry;
      await sleep(clock, signaturePollMs, signal).catch(() => undefined);
    }
  }

  /** Whether no day is on its way any more. */
  async #finish(): Promise<boolean> {
    const { clock, telemetry, onCounted, signal } = this.#o;
    const untilMs = clock.monotonicMs() + removalMsMax;
    for (;;) {
      const removal = await finishRemoval(this.#o);
      if (removal === undefined || removal.tablesLeft === 0) return true;
      const { day, countedUs, tablesLeft } = removal;
      if (signal.aborted) return false;
      if (clock.monotonicMs() >= untilMs) {
        const waitsUs = clock.nowUs() - countedUs;
        if (waitsUs > removalUsMax) telemetry.emit(removalWaits, { day, seconds: Math.round(waitsUs / 1_000_000), tables: tablesLeft });
        return false;
      }
      onCounted();
      await sleep(clock, pollMs, signal).catch(() => undefined);
    }
  }
}
