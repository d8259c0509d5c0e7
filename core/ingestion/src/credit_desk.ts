/**
 * Who waits for credit, and what the next round of sharing gives.
 *
 * Why: with thousands of sessions a round must cost a bounded time, and nobody may be forgotten between rounds.
 * Enforces: a queue in turn order; a round looks at a bounded number of sessions; whoever is still in want goes to the end. A producer
 *   beyond its rate waits aside until the next tick, so that it delays nobody else.
 * Forbids: credit beyond demand, rate, the session's cap, or the pool.
 */
import type { ProducerKind } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import { type Claim, shareCredit } from "./backpressure.ts";
import { outstanding } from "./buffer.ts";
import { covered, refill, type SharedRates, waitMs, type Cost } from "./rate_limit.ts";
import { producerKinds } from "../protocol/lib.ts";
import type { Session } from "./session_state.ts";

/** Sessions looked at in one round. */
const claimsPerRoundMax = 256;

/** What a round decided. */
export interface Round {
  readonly grants: readonly { readonly session: number; readonly cost: Cost }[];
  /** Sessions that a rate allows nothing now: whose it is, and when it will. */
  readonly overRate: readonly OverRate[];
}

/** Whose rate keeps a session waiting: its own, that of its kind of producer, or the whole gate's. */
export type RateReason = "rate" | "kind_rate" | "total_rate";

/** A session without tokens. */
export interface OverRate {
  readonly session: number;
  readonly reason: RateReason;
  readonly retryAfterMs: number;
}

/** What a round has to give. */
export interface Supply {
  /** Room in the buffer. */
  readonly poolBytes: number;
  /** Keeps each session to two frames at once. */
  readonly throttled: boolean;
  readonly rates: SharedRates<ProducerKind>;
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

  /** Shares the supply among the sessions whose turn it is. */
  round(sessionOf: (id: number) => Session | undefined, { poolBytes, throttled, rates }: Supply, nowMs: number): Round {
    const { frameCostBytesMax, sessionCreditBytesMax, sessionCreditEventsMax, kinds } = this.#settings;
    if (this.#shortAtBytes !== undefined && poolBytes < this.#shortAtBytes + frameCostBytesMax) return noRound;
    const capBytes = throttled ? 2 * frameCostBytesMax : sessionCreditBytesMax;
    const claims: Claim[] = [];
    const eventsOf = new Map<number, number>();
    const overRate: OverRate[] = [];
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
      const { allowed, over } = this.#allowed(session, free, useful, rates, nowMs);
      if (over !== undefined) {
        this.#waiting.delete(id);
        this.#overRate.add(id);
        overRate.push(over);
        continue;
      }
      const { kind } = session.identity;
      const wantBytes = useful.bytes === 0 ? 0 : Math.min(wish.bytes, room, allowed.bytes);
      const { floorBytes } = session.account;
      claims.push({ session: id, group: kind, weight: kinds[kind].weight, wantBytes, usedBytes, floorBytes });
      eventsOf.set(id, Math.max(0, Math.min(wish.events, allowed.events, sessionCreditEventsMax - free.events)));
    }
    const rooms = new Map(producerKinds.map((kind) => [kind as string, rates.of(kind)]));
    const total = rates.total();
    const roomBytes = new Map([...rooms].map(([kind, { bytes }]) => [kind, bytes]));
    const shares = shareCredit(claims, Math.min(poolBytes, total.bytes), roomBytes, frameCostBytesMax);
    const grants: { session: number; cost: Cost }[] = [];
    const leftEvents = new Map([...rooms].map(([kind, { events }]) => [kind, events]));
    let totalEvents = total.events;
    let leftBytes = poolBytes;
    let short = false;
    for (const { session, group, wantBytes } of claims) {
      const bytes = shares.get(session) ?? 0;
      leftBytes -= bytes;
      short ||= bytes < wantBytes;
      const kindEvents = leftEvents.get(group) ?? 0;
      const events = bytes > 0 || wantBytes === 0 ? Math.min(eventsOf.get(session) ?? 0, kindEvents, totalEvents) : 0;
      leftEvents.set(group, kindEvents - events);
      totalEvents -= events;
      if (bytes === 0 && events === 0) continue;
      this.#waiting.delete(session);
      grants.push({ session, cost: { bytes, events } });
    }
    this.#shortAtBytes = short && leftBytes < frameCostBytesMax ? leftBytes : undefined;
    return { grants, overRate };
  }

  /** What rates allow a session beyond what it holds, or which of them it has to wait for. */
  #allowed(
    session: Session,
    free: Cost,
    useful: Cost,
    rates: SharedRates<ProducerKind>,
    nowMs: number,
  ): { readonly allowed: Cost; readonly over: OverRate | undefined } {
    const { rate } = this.#settings;
    const { id, identity } = session;
    const bucket = refill(session.bucket, rate, nowMs);
    const allowed = covered(bucket, free);
    const covers = (room: Cost): boolean => room.bytes >= useful.bytes && room.events >= useful.events;
    const over = (reason: RateReason, retryAfterMs: number): { readonly allowed: Cost; readonly over: OverRate } => ({
      allowed,
      over: { session: id, reason, retryAfterMs },
    });
    if (!covers(allowed)) return over("rate", waitMs(bucket, rate, free, useful));
    const retryMs = rates.waitMs(identity.kind, useful);
    if (!covers(rates.of(identity.kind))) return over("kind_rate", retryMs);
    if (!covers(rates.total())) return over("total_rate", retryMs);
    return { allowed, over: undefined };
  }
}
