/**
 * Why: a fleet that enrolled in one hour must not renew in one hour, and a certificate must not end because one attempt failed.
 * Enforces: renewal between 7/12 and 8/12 of the lifetime, spread evenly; a third of the lifetime is left for failed attempts, which back off with full
 *   jitter; days left are told at 30, 14 and 7, each once.
 * Forbids: I/O and clocks.
 */
import { fullJitterMs, type Random } from "ransomeye-kernel";

/** A certificate's dates, microseconds since 1970. */
export interface Validity {
  readonly notBeforeUs: number;
  readonly notAfterUs: number;
}

const dayUs = 86_400_000_000;
const warnDays: readonly number[] = [30, 14, 7];
const retryBaseMs = 60_000;
const retryCapMs = 6 * 3_600_000;

/** When to renew; `unit` is a random number from 0 to 1, drawn once a certificate. */
export function renewAtUs({ notBeforeUs, notAfterUs }: Validity, unit: number): number {
  return notBeforeUs + Math.floor(((notAfterUs - notBeforeUs) * (7 + unit)) / 12);
}

/** How long to wait after failed attempts. */
export function renewRetryMs(random: Random, failures: number): number {
  return retryBaseMs + fullJitterMs(random, Math.min(failures, 16), retryBaseMs, retryCapMs);
}

/** Whole days until the end; negative behind it. */
export function daysLeft({ notAfterUs }: Validity, nowUs: number): number {
  return Math.floor((notAfterUs - nowUs) / dayUs);
}

/** The threshold that `days` has reached and that was not told yet; `told`: the lowest that was. */
export function warningDue(days: number, told: number): number | undefined {
  const reached = warnDays.filter((threshold) => days <= threshold).at(-1);
  return reached !== undefined && reached < told ? reached : undefined;
}
