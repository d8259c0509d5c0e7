/**
 * Step 4 of 7: rate limiting.
 *
 * Why: one producer's flood may not become everybody's delay.
 * Enforces: a token bucket per producer, in bytes and in events. Input: the cost of a verified frame. Output: the bucket after it, which
 *   may be in debt. Failure behaviour: none; a bucket cannot refuse. Backpressure: a producer without tokens gets no new credit, and is
 *   told THROTTLED with the time at which tokens return (ING-6).
 * Forbids: dropping or refusing an event because of its rate, and any clock of its own.
 */

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
