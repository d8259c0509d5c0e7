/**
 * Whether a producer uses what it was granted (BP-20).
 *
 * Why: credit is room that nobody else gets. A few producers that hold all they can and use next to none of it would keep a whole fleet waiting.
 * Enforces: of what was granted beyond the floor all, or half of a largest frame, is spent within a bound. A grant on top or a small frame now and then
 *   buys no time; a slow line that carries one full frame after the other has all it needs. The bound runs while somebody waits for what others hold: a producer
 *   that asked for more than it needs in the end, and has fallen silent, harms nobody. It runs from the end of a pause, and from when events came for which a
 *   session had to wait: while nobody gets what he lacks for his next frame, that the rest lies idle is the gate's doing.
 * Forbids: clocks, a history of grants, and judging what lies below the floor.
 */
import type { GatewaySettings } from "../config/validation.ts";
import type { Account } from "./buffer.ts";

/** What is to be spent, in all since the session began, and since when that is asked. */
export interface CreditDue {
  readonly spentBytesTotal: number;
  readonly sinceMs: number;
}

/** Share of the largest frame that is use enough: what cannot be cut smaller leaves a frame fuller than this. */
const useRatio = 0.5;

type Bounds = Pick<GatewaySettings, "sessionFloorBytes" | "frameCostBytesMax">;

/** A session at one moment. */
export interface CreditMoment {
  readonly nowMs: number;
  /** Whether it waits for events without which it cannot use the room that it holds. */
  readonly lacksEvents: boolean;
}

/** What is due from now on: as before until it is spent, then the next of what was granted. The same object where nothing changes. */
export function nextDue(due: CreditDue, account: Account, bounds: Bounds, { nowMs, lacksEvents }: CreditMoment): CreditDue {
  const { grantedBytesTotal, spentBytesTotal } = account;
  if (spentBytesTotal < due.spentBytesTotal) return lacksEvents ? Object.freeze({ ...due, sinceMs: nowMs }) : due;
  const next = Math.min(grantedBytesTotal - bounds.sessionFloorBytes, spentBytesTotal + bounds.frameCostBytesMax * useRatio);
  return next <= spentBytesTotal ? due : Object.freeze({ spentBytesTotal: next, sinceMs: nowMs });
}

/** For how long what is due has not been spent, counted from when that began to matter; 0 where it has. */
export function overdueMs(due: CreditDue, account: Account, excusedUntilMs: number, nowMs: number): number {
  return account.spentBytesTotal >= due.spentBytesTotal ? 0 : nowMs - Math.max(due.sinceMs, excusedUntilMs);
}
