/**
 * Step 4 of 7: rate limiting.
 *
 * Why: one producer's flood may not become everybody's delay, nor one kind's, nor may all together be more than the gate was sized for.
 * Enforces: token buckets, in bytes and in events, per producer, per kind of producer and for the whole gate. Input: the cost of a verified frame. Output: the
 *   buckets after it, which may be in debt. Failure behaviour: none; a bucket cannot refuse. Backpressure: who is without tokens gets no new
 *   credit, and is told THROTTLED with the bucket's name and the time at which tokens return (ING-6).
 * Forbids: dropping or refusing an event because of its rate, and any clock of its own.
 */
import { invariant } from "ransomeye-kernel";

/** What a frame costs: its bytes (header, signature, payload) and its events. */
export interface Cost {
  readonly bytes: number;
  readonly events: number;
}

/** What a producer may send per second on average, and how much at once. */
export interface RateLimit {
  readonly bytesPerSecondMax: number;
  readonly eventsPerSecondMax: number;
  /** At least two of the largest frames, or a producer could never earn the credit for one. */
  readonly burstBytesMax: number;
  readonly burstEventsMax: number;
}

/** Tokens left; negative while the producer is in debt. Frozen: every change is a new value. */
export interface Bucket {
  readonly bytes: number;
  readonly events: number;
  readonly atMs: number;
}

/** A full bucket. */
export function fullBucket(limit: RateLimit, nowMs: number): Bucket {
  return Object.freeze({ bytes: limit.burstBytesMax, events: limit.burstEventsMax, atMs: nowMs });
}

/** The bucket at `nowMs`: refilled for the time that has passed, never above its capacity. */
export function refill(bucket: Bucket, limit: RateLimit, nowMs: number): Bucket {
  const seconds = Math.max(0, nowMs - bucket.atMs) / 1000;
  if (seconds === 0) return bucket;
  return Object.freeze({
    bytes: Math.min(limit.burstBytesMax, bucket.bytes + seconds * limit.bytesPerSecondMax),
    events: Math.min(limit.burstEventsMax, bucket.events + seconds * limit.eventsPerSecondMax),
    atMs: nowMs,
  });
}

/** Takes the cost of an admitted frame; the bucket may go into debt, because what credit allowed is never dropped. */
export function spend(bucket: Bucket, cost: Cost): Bucket {
  return Object.freeze({ bytes: bucket.bytes - cost.bytes, events: bucket.events - cost.events, atMs: bucket.atMs });
}

/** How much more credit the bucket covers beside `outstanding`, the credit granted but not used yet. Never negative. */
export function covered(bucket: Bucket, outstanding: Cost): Cost {
  return {
    bytes: Math.max(0, Math.floor(bucket.bytes - outstanding.bytes)),
    events: Math.max(0, Math.floor(bucket.events - outstanding.events)),
  };
}

/** Milliseconds until the bucket covers `cost` beside `outstanding`; 0 when it does. */
export function waitMs(bucket: Bucket, limit: RateLimit, outstanding: Cost, cost: Cost): number {
  const bytes = (cost.bytes + outstanding.bytes - bucket.bytes) / limit.bytesPerSecondMax;
  const events = (cost.events + outstanding.events - bucket.events) / limit.eventsPerSecondMax;
  return Math.max(0, Math.ceil(Math.max(bytes, events) * 1000));
}

/** Rates of producers that have left, until they are full again: leaving and coming back refills nothing. */
export class LeftRates {
  readonly #limit: RateLimit;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  leave(producer: string, bucket: Bucket): void {
    this.#buckets.set(producer, bucket);
  }

  /** What a producer that is back had left; undefined is a full bucket. */
  take(producer: string): Bucket | undefined {
    const bucket = this.#buckets.get(producer);
    this.#buckets.delete(producer);
    return bucket;
  }

  forget(nowMs: number): void {
    for (const [producer, bucket] of this.#buckets) {
      const now = refill(bucket, this.#limit, nowMs);
      if (now.bytes >= this.#limit.burstBytesMax && now.events >= this.#limit.burstEventsMax) this.#buckets.delete(producer);
    }
  }
}

/** What a session's account says about rates: credit that it holds beyond its floor, and what it has spent so far. */
export interface RateUse {
  readonly unused: Cost;
  readonly spentTotal: Cost;
}

const noUse: RateUse = Object.freeze({ unused: { bytes: 0, events: 0 }, spentTotal: { bytes: 0, events: 0 } });

/** Claims up to this many events may take the last that there are. */
const smallClaimEventsMax = 64;
/** Of a bucket that many share, what comes in so much time is for small claims. A bucket holds a second's worth, and two of the largest frames at least. */
const keptMs = 250;

interface Share {
  readonly limit: RateLimit;
  bucket: Bucket;
  unusedBytes: number;
  unusedEvents: number;
}

/**
 * Buckets that many sessions share: one for each kind of producer and one for the whole gate. What credit allowed is spent, into debt if need be; what
 * sessions hold and have not used is kept in mind, so that together they never hold more than the bucket covers.
 */
export class SharedRates<Kind extends string> {
  readonly #total: Share;
  readonly #kinds: ReadonlyMap<Kind, Share>;

  constructor(total: RateLimit, kinds: Readonly<Record<Kind, { readonly rate: RateLimit }>>, nowMs: number) {
    const share = (limit: RateLimit): Share => ({ limit, bucket: fullBucket(limit, nowMs), unusedBytes: 0, unusedEvents: 0 });
    this.#total = share(total);
    this.#kinds = new Map(Object.entries<{ readonly rate: RateLimit }>(kinds).map(([kind, { rate }]) => [kind as Kind, share(rate)]));
  }

  /** Follows one session's account from its old value to its new one; undefined is a session that does not exist. */
  move(kind: Kind, before: RateUse | undefined, after: RateUse | undefined): void {
    const was = before ?? noUse;
    const is = after ?? { ...noUse, spentTotal: was.spentTotal };
    const spent: Cost = { bytes: is.spentTotal.bytes - was.spentTotal.bytes, events: is.spentTotal.events - was.spentTotal.events };
    for (const share of [this.#total, this.#of(kind)]) {
      if (spent.bytes > 0 || spent.events > 0) share.bucket = spend(share.bucket, spent);
      share.unusedBytes += is.unused.bytes - was.unused.bytes;
      share.unusedEvents += is.unused.events - was.unused.events;
    }
  }

  refill(nowMs: number): void {
    for (const share of [this.#total, ...this.#kinds.values()]) share.bucket = refill(share.bucket, share.limit, nowMs);
  }

  /** More credit that the whole gate's bucket covers, for a claim of so many events. */
  total(claimedEvents = 0): Cost {
    return room(this.#total, claimedEvents);
  }

  /** More credit that the kind's bucket covers, for a claim of so many events. */
  of(kind: Kind, claimedEvents = 0): Cost {
    return room(this.#of(kind), claimedEvents);
  }

  /** Milliseconds until the kind's and the gate's bucket both cover `cost` more. */
  waitMs(kind: Kind, cost: Cost): number {
    const wait = (share: Share): number =>
      waitMs(share.bucket, share.limit, { bytes: share.unusedBytes, events: share.unusedEvents + keptEvents(share, cost.events) }, cost);
    return Math.max(wait(this.#total), wait(this.#of(kind)));
  }

  #of(kind: Kind): Share {
    const share = this.#kinds.get(kind);
    invariant(share !== undefined, "every kind of producer has a rate");
    return share;
  }
}

function room(share: Share, claimedEvents: number): Cost {
  return covered(share.bucket, { bytes: share.unusedBytes, events: share.unusedEvents + keptEvents(share, claimedEvents) });
}

/** What a large claim leaves in a bucket that many share: emptied by one, it would keep waiting those who ask for a few events each. */
function keptEvents({ limit }: Share, claimedEvents: number): number {
  return claimedEvents > smallClaimEventsMax ? Math.floor((limit.eventsPerSecondMax * keptMs) / 1000) : 0;
}
