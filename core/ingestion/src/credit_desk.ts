/**
 * Who waits for credit, and what the next round of sharing gives.
 *
 * Why: with thousands of sessions a round must cost a bounded time, and nobody may be forgotten between rounds.
 * Enforces: a queue in turn order; a round looks at a bounded number of sessions; whoever is still in want goes to the end. A producer
 *   beyond its rate waits aside until the next tick, so that it delays nobody else.
 * Forbids: credit beyond demand, rate, the session's cap, or the pool.
 */
import type { GatewaySettings } from "../config/validation.ts";
import { type Claim, shareCredit } from "./backpressure.ts";
import { outstanding } from "./buffer.ts";
import { covered, refill, waitMs, type Cost } from "./rate_limit.ts";
import type { Session } from "./session_state.ts";

/** Sessions looked at in one round. */
const claimsPerRoundMax = 256;

/** What a round decided. */
export interface Round {
  readonly grants: readonly { readonly session: number; readonly cost: Cost }[];
  /** Sessions whose rate allows nothing now, and when it will. */
  readonly overRate: readonly { readonly session: number; readonly retryAfterMs: number }[];
}

const noRound: Round = Object.freeze({ grants: [], overRate: [] });

/** What a session would take now: its demand, and at least its floor when half of that is used up. */
export function wishOf(session: Session, settings: GatewaySettings): Cost {
  if (session.phase !== "streaming") return { bytes: 0, events: 0 };
  const free = outstanding(session.account);
  const floorLack = free.bytes < settings.sessionFloorBytes / 2 ? settings.sessionFloorBytes - free.bytes - session.account.heldBytes : 0;
  const eventsLack = free.events < settings.sessionFloorEvents / 2 ? settings.sessionFloorEvents - free.events : 0;
  return { bytes: Math.max(session.want.bytes, floorLack, 0), events: Math.max(session.want.events, eventsLack) };
}

/**
 * The least that helps. A grant that does not reach one whole frame would only tie up room: a frame that is signed cannot be cut. Of events a
 * session needs no more than one frame can hold: large events use up bytes first, and what it has left of the other must not count as want,
 * or a producer that holds its whole rate in events would never get the bytes to use them.
 */
function usefulGrant(wish: Cost, free: Cost, { frameCostBytesMax, frameEventsMax }: GatewaySettings): Cost {
  const events = Math.min(wish.events, Math.max(0, frameEventsMax - free.events));
  const onlyEvents = events > 0 && free.bytes >= frameCostBytesMax;
  return { bytes: onlyEvents ? 0 : Math.min(wish.bytes, frameCostBytesMax), events };
}

/** The queue of those who wait. Deterministic. */
export class CreditDesk {
  readonly #settings: GatewaySettings;
  /** Set order is turn order. */
  readonly #waiting = new Set<number>();
  readonly #overRate = new Set<number>();
  /** Free room at which the last round ended for want of more. Until a frame's room has come back, or time has passed, another would end alike. */
  #shortAtBytes: number | undefined;

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
  }

  get waiting(): number {
    return this.#waiting.size + this.#overRate.size;
  }

  /** Notes a session whose state has changed. Returns whether it now waits in the queue. */
  note(session: Session): boolean {
    const wish = wishOf(session, this.#settings);
    if (wish.bytes === 0 && wish.events === 0) {
      this.forget(session.id);
      return false;
    }
    if (this.#overRate.has(session.id)) return false;
    this.#waiting.add(session.id);
    return true;
  }

  forget(session: number): void {
    this.#waiting.delete(session);
    this.#overRate.delete(session);
  }

  /** Time has passed: rates have tokens again. */
  refresh(): void {
    for (const session of this.#overRate) this.#waiting.add(session);
    this.#overRate.clear();
    this.#shortAtBytes = undefined;
  }

  /** Shares `poolBytes` among the sessions whose turn it is. `throttled` halves nobody's floor, but keeps each to two frames at once. */
  round(sessionOf: (id: number) => Session | undefined, poolBytes: number, throttled: boolean, nowMs: number): Round {
    const { frameCostBytesMax, rate, sessionCreditBytesMax, sessionCreditEventsMax } = this.#settings;
    if (this.#shortAtBytes !== undefined && poolBytes < this.#shortAtBytes + frameCostBytesMax) return noRound;
    const capBytes = throttled ? 2 * frameCostBytesMax : sessionCreditBytesMax;
    const claims: Claim[] = [];
    const eventsOf = new Map<number, number>();
    const overRate: { session: number; retryAfterMs: number }[] = [];
    let looked = 0;
    for (const id of this.#waiting) {
      if (looked >= claimsPerRoundMax) break;
      looked += 1;
      const session = sessionOf(id);
      const wish = session === undefined ? undefined : wishOf(session, this.#settings);
      if (session === undefined || wish === undefined || (wish.bytes === 0 && wish.events === 0)) {
        this.#waiting.delete(id);
        continue;
      }
      const free = outstanding(session.account);
      const usedBytes = free.bytes + session.account.heldBytes;
      const room = capBytes - usedBytes;
      const useful = usefulGrant(wish, free, this.#settings);
      if (room < useful.bytes) {
        this.#waiting.delete(id);
        continue;
      }
      const bucket = refill(session.bucket, rate, nowMs);
      const allowed = covered(bucket, free);
      if (allowed.bytes < useful.bytes || allowed.events < useful.events) {
        this.#waiting.delete(id);
        this.#overRate.add(id);
        overRate.push({ session: id, retryAfterMs: waitMs(bucket, rate, free, useful) });
        continue;
      }
      const wantBytes = useful.bytes === 0 ? 0 : Math.min(wish.bytes, room, allowed.bytes);
      claims.push({ session: id, wantBytes, usedBytes, floorBytes: session.account.floorBytes });
      eventsOf.set(id, Math.max(0, Math.min(wish.events, allowed.events, sessionCreditEventsMax - free.events)));
    }
    const shares = shareCredit(claims, poolBytes, frameCostBytesMax);
    const grants: { session: number; cost: Cost }[] = [];
    let leftBytes = poolBytes;
    let short = false;
    for (const { session, wantBytes } of claims) {
      const bytes = shares.get(session) ?? 0;
      leftBytes -= bytes;
      short ||= bytes < wantBytes;
      const events = bytes > 0 || wantBytes === 0 ? (eventsOf.get(session) ?? 0) : 0;
      if (bytes === 0 && events === 0) continue;
      this.#waiting.delete(session);
      grants.push({ session, cost: { bytes, events } });
    }
    this.#shortAtBytes = short ? leftBytes : undefined;
    return { grants, overRate };
  }
}
