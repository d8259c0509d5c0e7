/**
 * Who waits for credit, and what the next round of sharing gives.
 *
 * Why: with thousands of sessions a round must cost a bounded time, and nobody may be forgotten between rounds.
 * Enforces: a queue in turn order; a round looks at a bounded number of sessions; whoever is still in want goes to the end. A producer
 *   beyond its rate waits aside until the next tick, so that it delays nobody else. Events take no room: who holds room and lacks the events to use it
 *   gets them though room is short, and nobody gets room without events to use it; else all room could end up with those who can use none of it. For the
 *   same reason only single frames are given of the last room that a largest frame needs, and where no claim fits whole, a session that already holds room gets the bytes that its next frame lacks: it gives back more than it takes.
 *   Before what it holds counts as unused, its turn comes first.
 * Forbids: credit beyond demand, rate, the session's cap, or the pool.
 */
import type { ProducerKind } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import { type Claim, shareCredit } from "./backpressure.ts";
import { outstanding } from "./buffer.ts";
import { overdueMs } from "./credit_use.ts";
import {
  holdsRoom,
  idleBytes,
  lacksEventsFor,
  frameBytesOf,
  quantumBytes,
  usefulEvents,
  usefulGrant,
  wholeFrames,
  wishOf,
} from "./credit_wish.ts";
import { covered, refill, type SharedRates, waitMs, type Cost } from "./rate_limit.ts";
import { producerKinds } from "../protocol/lib.ts";
import type { Session } from "./session_state.ts";

/** Sessions looked at in one round. */
const claimsPerRoundMax = 256;

/** Shortages with less time than this between them are one. */
const shortageGapMs = 10_000;

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

/** Events that shared rates still allow in this round, as they are given away. */
class EventsLeft {
  readonly #rates: SharedRates<ProducerKind>;
  readonly #given = new Map<ProducerKind, number>();
  #givenTotal = 0;

  constructor(rates: SharedRates<ProducerKind>) {
    this.#rates = rates;
  }

  /** As many of `events` as there are; of what is kept for small claims at most `useful`, where that is one. */
  take(kind: ProducerKind, useful: number, events: number): number {
    const ofKind = this.#given.get(kind) ?? 0;
    const coveredOf = (claim: number): number =>
      Math.min(claim, this.#rates.of(kind, claim).events - ofKind, this.#rates.total(claim).events - this.#givenTotal);
    const given = Math.max(0, coveredOf(useful), coveredOf(events));
    this.#given.set(kind, ofKind + given);
    this.#givenTotal += given;
    return given;
  }
}

/** A round on its way. */
interface Sharing {
  readonly sessionOf: (id: number) => Session | undefined;
  readonly supply: Supply;
  readonly nowMs: number;
  readonly eventsLeft: EventsLeft;
  readonly overRate: OverRate[];
}

/** A claim with what its session needs beside bytes. */
interface Need extends Claim {
  readonly kind: ProducerKind;
  /** Bytes with which it could send its next frame, whatever it is, where it holds room already; else 0. */
  readonly lackingBytes: number;
  /** Of a bound what makes whole frames, with what it holds. */
  readonly wholeWithin: (boundBytes: number) => number;
  /** Bytes and events without which it could not send its next frame. */
  readonly usefulBytes: number;
  readonly usefulEvents: number;
  readonly eventsMax: number;
}

/** The queue of those who wait. Deterministic. */
export class CreditDesk {
  readonly #settings: GatewaySettings;
  /** Set order is turn order. */
  readonly #waiting = new Set<number>();
  /** Those who hold room and lack events to use it; they may wait for more room as well. */
  readonly #locked = new Set<number>();
  /** Of those who wait, the ones that hold room already; others may wait before them. */
  readonly #holding = new Set<number>();
  /** Of those who wait, the ones that have held room for half of the time after which it counts as unused: what they lack for a frame comes first. */
  readonly #urgent = new Set<number>();
  readonly #overRate = new Set<number>();
  /** Room from which on another round could give anything, where the last has ended for want of more; a tick asks anyway. */
  #againAtBytes = Number.NEGATIVE_INFINITY;
  #isShort = false;
  /** When sessions last had to wait for what others held. */
  #shortage = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
  }

  /** Whether there is anybody for whom a round could do something, now or after a tick. */
  get isIdle(): boolean {
    return this.#waiting.size + this.#locked.size + this.#overRate.size === 0;
  }

  /** Whether sessions wait for room that the last round did not have. */
  get isShort(): boolean {
    return this.#isShort && this.#waiting.size > 0;
  }

  /** Until when there was enough for everybody: now, or the moment from which on sessions have had to wait for what others held. */
  enoughUntilMs(nowMs: number): number {
    return nowMs - this.#shortage.untilMs > shortageGapMs ? nowMs : this.#shortage.sinceMs;
  }

  /** Notes a session whose state has changed. Returns whether it now waits in the queue. */
  note(session: Session, nowMs: number): boolean {
    const wish = wishOf(session, this.#settings);
    if (wish.bytes === 0 && wish.events === 0) {
      this.forget(session.id);
      return false;
    }
    if (this.#overRate.has(session.id)) return false;
    this.#waiting.add(session.id);
    if (this.#isUrgent(session, nowMs)) this.#urgent.add(session.id);
    else this.#urgent.delete(session.id);
    if (!holdsRoom(session, this.#settings)) return true;
    if (wish.bytes > 0) this.#holding.add(session.id);
    if (usefulEvents(wish, outstanding(session.account), this.#settings) > 0) this.#locked.add(session.id);
    return true;
  }

  /** Whether a session lacks bytes for its next frame, and soon what it holds will count as unused. */
  #isUrgent(session: Session, nowMs: number): boolean {
    const { account, creditDue } = session;
    if (outstanding(account).bytes >= frameBytesOf(session, this.#settings)) return false;
    return overdueMs(creditDue, account, this.enoughUntilMs(nowMs), nowMs) > this.#settings.creditUnusedMsMax / 2;
  }

  forget(session: number): void {
    this.#waiting.delete(session);
    this.#locked.delete(session);
    this.#holding.delete(session);
    this.#urgent.delete(session);
    this.#overRate.delete(session);
  }

  /** Time has passed: rates have tokens again. */
  refresh(): void {
    for (const session of this.#overRate) {
      this.#waiting.add(session);
      this.#locked.add(session);
      this.#holding.add(session);
    }
    this.#overRate.clear();
    this.#againAtBytes = Number.NEGATIVE_INFINITY;
  }

  /** Shares the supply among the sessions whose turn it is. */
  round(sessionOf: (id: number) => Session | undefined, supply: Supply, nowMs: number): Round {
    const canShareRoom = supply.poolBytes >= this.#againAtBytes;
    if (this.#locked.size === 0 && !canShareRoom) return noRound;
    const eventsLeft = new EventsLeft(supply.rates);
    const sharing: Sharing = { sessionOf, supply, nowMs, eventsLeft, overRate: [] };
    const costs = canShareRoom ? this.#shareRoom(sharing) : new Map<number, Cost>();
    this.#unlock(sharing, costs);
    return { grants: [...costs].map(([session, cost]) => ({ session, cost })), overRate: sharing.overRate };
  }

  /** Events for those who hold room that they cannot use without, and were given nothing in their turn. */
  #unlock(sharing: Sharing, costs: Map<number, Cost>): void {
    let looked = 0;
    for (const id of this.#locked) {
      if (looked >= claimsPerRoundMax) break;
      looked += 1;
      const session = costs.has(id) ? undefined : sharing.sessionOf(id);
      const events = session === undefined ? 0 : lacksEventsFor(session, this.#settings);
      if (session === undefined || events === 0) {
        this.#locked.delete(id);
        continue;
      }
      const free = outstanding(session.account);
      const allowed = this.#allowed(session, free, { bytes: 0, events }, sharing);
      if (allowed === undefined) continue;
      const given = sharing.eventsLeft.take(session.identity.kind, events, this.#eventsMax(wishOf(session, this.#settings), free, allowed));
      if (given === 0) continue;
      this.#locked.delete(id);
      costs.set(id, { bytes: 0, events: given });
    }
  }

  /** Room, and the events that go with it. */
  #shareRoom(sharing: Sharing): Map<number, Cost> {
    const { frameCostBytesMax } = this.#settings;
    const { poolBytes, rates } = sharing.supply;
    const costs = new Map<number, Cost>();
    const needs = this.#needs(sharing);
    const roomBytes = new Map(producerKinds.map((kind) => [kind as string, rates.of(kind).bytes]));
    const shares = shareCredit(needs, Math.min(poolBytes, rates.total().bytes), roomBytes);
    let leftBytes = poolBytes;
    let short = false;
    const give = (need: Need, bytes: number): boolean => {
      const events = bytes > 0 || need.wantBytes === 0 ? sharing.eventsLeft.take(need.kind, need.usefulEvents, need.eventsMax) : 0;
      if (events === 0 && (bytes === 0 || need.usefulEvents > 0)) return false;
      leftBytes -= bytes;
      this.#waiting.delete(need.session);
      this.#urgent.delete(need.session);
      costs.set(need.session, { bytes, events });
      return true;
    };
    for (const need of needs) {
      const share = shares.get(need.session) ?? 0;
      // Of more than one frame something may be left over that is too little for the one after them. So much is never given that such rests could be all there
      // is: room for a frame of the largest size stays, for one of those who hold them.
      const ample = Math.max(0, leftBytes - frameCostBytesMax);
      const bytes = share <= ample ? share : Math.max(Math.min(share, need.usefulBytes), need.wholeWithin(ample));
      short ||= bytes < need.wantBytes;
      give(need, bytes);
    }
    if (short) this.#missed(sharing.nowMs);
    // Else a rate in bytes is what they wait for.
    this.#isShort = short && leftBytes < frameCostBytesMax;
    this.#againAtBytes = this.#isShort ? leftBytes + frameCostBytesMax : Number.NEGATIVE_INFINITY;
    const holder = costs.size === 0 ? this.#holderThatFits(sharing) : undefined;
    if (holder !== undefined && give(holder, holder.lackingBytes)) this.#againAtBytes = poolBytes;
    return costs;
  }

  /** One who holds room and could send with what is left of it. Whom it does not help goes to the end, so that in time everyone is looked at. */
  #holderThatFits(sharing: Sharing): Need | undefined {
    const turn = [];
    for (const id of this.#holding) {
      if (turn.length >= claimsPerRoundMax) break;
      turn.push(id);
    }
    for (const id of turn) {
      this.#holding.delete(id);
      const need = this.#needOf(id, sharing);
      if (need === undefined || need.lackingBytes === 0) continue;
      if (need.lackingBytes <= sharing.supply.poolBytes) return need;
      this.#holding.add(id);
    }
    return undefined;
  }

  /** What those whose turn it is need. */
  #needs(sharing: Sharing): Need[] {
    const needs: Need[] = [];
    let looked = 0;
    for (const id of this.#turns()) {
      if (looked >= claimsPerRoundMax) break;
      looked += 1;
      const need = this.#needOf(id, sharing);
      if (need !== undefined) needs.push(need);
      else {
        this.#waiting.delete(id);
        this.#urgent.delete(id);
      }
    }
    return needs;
  }

  /** Those who wait in the order of their turns. */
  *#turns(): Iterable<number> {
    yield* this.#urgent;
    for (const id of this.#waiting) if (!this.#urgent.has(id)) yield id;
  }

  /** What a session needs, as far as its cap and its rates allow; undefined where it needs nothing, or may have nothing now. */
  #needOf(id: number, sharing: Sharing): Need | undefined {
    const { frameCostBytesMax, sessionCreditBytesMax, kinds } = this.#settings;
    const session = sharing.sessionOf(id);
    if (session === undefined) return undefined;
    const { account, identity } = session;
    const wish = wishOf(session, this.#settings);
    if (wish.bytes === 0 && wish.events === 0) return undefined;
    const free = outstanding(account);
    const frameBytes = frameBytesOf(session, this.#settings);
    const useful = usefulGrant(wish, free, frameBytes, this.#settings);
    const usedBytes = free.bytes + account.heldBytes;
    const roomBytes = (sharing.supply.throttled ? 2 * frameCostBytesMax : sessionCreditBytesMax) - usedBytes;
    if (roomBytes < useful.bytes) return undefined;
    const allowed = this.#allowed(session, free, useful, sharing);
    if (allowed === undefined) return undefined;
    const wantBytes = useful.bytes === 0 ? 0 : wholeFrames(wish.bytes, Math.min(roomBytes, allowed.bytes), free, frameBytes);
    return {
      session: id,
      group: identity.kind,
      kind: identity.kind,
      weight: kinds[identity.kind].weight,
      wantBytes,
      lackingBytes: holdsRoom(session, this.#settings) ? Math.min(wantBytes, Math.max(0, frameBytes - free.bytes)) : 0,
      usedBytes,
      idleBytes: idleBytes(free, frameBytes),
      quantumBytes: quantumBytes(frameBytes, this.#settings),
      floorBytes: account.floorBytes,
      wholeWithin: (boundBytes) => (boundBytes < useful.bytes ? 0 : wholeFrames(wantBytes, boundBytes, free, frameBytes)),
      usefulBytes: useful.bytes,
      usefulEvents: useful.events,
      eventsMax: this.#eventsMax(wish, free, allowed),
    };
  }

  #eventsMax(wish: Cost, free: Cost, allowed: Cost): number {
    return Math.max(0, Math.min(wish.events, allowed.events, this.#settings.sessionCreditEventsMax - free.events));
  }

  /** What rates allow a session beyond what it holds; undefined where it has to wait for one of them, aside until the next tick. */
  #allowed(session: Session, free: Cost, useful: Cost, sharing: Sharing): Cost | undefined {
    const { rate } = this.#settings;
    const { id, identity } = session;
    const { rates } = sharing.supply;
    const bucket = refill(session.bucket, rate, sharing.nowMs);
    const allowed = covered(bucket, free);
    const covers = (room: Cost): boolean => room.bytes >= useful.bytes && room.events >= useful.events;
    const aside = (reason: RateReason, retryAfterMs: number): undefined => {
      this.forget(id);
      this.#overRate.add(id);
      sharing.overRate.push({ session: id, reason, retryAfterMs });
    };
    if (!covers(allowed)) return aside("rate", waitMs(bucket, rate, free, useful));
    const retryMs = rates.waitMs(identity.kind, useful);
    const kindCovers = covers(rates.of(identity.kind, useful.events));
    if (kindCovers && covers(rates.total(useful.events))) return allowed;
    this.#missed(sharing.nowMs);
    return aside(kindCovers ? "total_rate" : "kind_rate", retryMs);
  }

  #missed(nowMs: number): void {
    this.#shortage = { sinceMs: this.enoughUntilMs(nowMs), untilMs: nowMs };
  }
}
