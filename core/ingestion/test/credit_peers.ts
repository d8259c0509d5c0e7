/**
 * Why: how credit is shared shows only in who waits, holds and sends over many rounds.
 * Enforces: a session as the desk sees it, and a producer that sends what credit covers and asks for the rest.
 * Forbids: sockets and clocks.
 */
import type { ProducerKind } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import { grant, openAccount } from "../src/buffer.ts";
import { type Cost, fullBucket, SharedRates } from "../src/rate_limit.ts";
import type { Session } from "../src/session_state.ts";

export const frameBytes = 1000;
export const frameEvents = 40;
export const rate = { bytesPerSecondMax: 100_000, eventsPerSecondMax: 1000, burstBytesMax: 100_000, burstEventsMax: 1000 };
export const settings = {
  frameCostBytesMax: frameBytes,
  frameEventsMax: frameEvents,
  sessionFloorBytes: 100,
  sessionFloorEvents: 4,
  sessionCreditBytesMax: 10 * frameBytes,
  sessionCreditEventsMax: 10_000,
  creditUnusedMsMax: 120_000,
  rate,
  kinds: { linux: { weight: 1, rate }, dpi: { weight: 1, rate } },
} as GatewaySettings;

/** What of a session is not the same in every test. */
interface SessionFacts {
  readonly id?: number;
  readonly phase?: string;
  readonly kind?: string;
  /** What it said that its next frame costs. */
  readonly nextFrameBytes?: number;
}

/** A streaming session that holds unused credit and wants more. */
export function session(held: Cost, want: Cost, facts: SessionFacts = {}): Session {
  const { id = 1, phase = "streaming", kind = "linux", nextFrameBytes = 0 } = facts;
  const account = grant(openAccount(settings.sessionFloorBytes), held);
  const creditDue = { spentBytesTotal: 0, sinceMs: 0 };
  return { id, phase, identity: { kind }, account, want, nextFrameBytes, creditDue, bucket: fullBucket(rate, 0) } as unknown as Session;
}

type Rate = typeof rate;

export const ratesOf = (total: Rate = rate, linux: Rate = rate): SharedRates<ProducerKind> =>
  new SharedRates(total, { dpi: { rate }, linux: { rate: linux }, windows: { rate }, honeypot: { rate } }, 0);

/** A producer whose frames come one after the other: it asks for what waits by then, and does not know yet what comes next. */
export class Peer {
  readonly #id: number;
  readonly #frames: Cost[];
  /** Whether it tells what its next frame costs. */
  readonly #tells: boolean;
  #known: number;
  credit: Cost = { bytes: 0, events: 0 };
  sent = 0;
  #want: Cost = { bytes: 0, events: 0 };

  constructor(
    id: number,
    frames: readonly Cost[],
    { tells = false, known = 1 }: { readonly tells?: boolean; readonly known?: number } = {},
  ) {
    this.#id = id;
    this.#frames = [...frames];
    this.#tells = tells;
    this.#known = known;
  }

  get left(): readonly Cost[] {
    return this.#frames;
  }

  get done(): boolean {
    return this.#frames.length === 0;
  }

  session(): Session {
    const [nextFrame] = this.#tells ? this.#frames : [];
    return session(this.credit, this.#want, { id: this.#id, ...(nextFrame === undefined ? {} : { nextFrameBytes: nextFrame.bytes }) });
  }

  granted(cost: Cost): void {
    this.credit = { bytes: this.credit.bytes + cost.bytes, events: this.credit.events + cost.events };
    this.#want = { bytes: Math.max(0, this.#want.bytes - cost.bytes), events: Math.max(0, this.#want.events - cost.events) };
  }

  /** Sends what credit covers, and asks for the rest of what it knows of. */
  speak(): void {
    for (
      let next = this.#frames[0];
      next !== undefined && next.bytes <= this.credit.bytes && next.events <= this.credit.events;
      next = this.#frames[0]
    ) {
      this.#frames.shift();
      this.sent += 1;
      this.credit = { bytes: this.credit.bytes - next.bytes, events: this.credit.events - next.events };
    }
    const known = this.#frames.slice(0, this.#known);
    this.#known += 1;
    const sum = (of: keyof Cost): number => known.reduce((total, one) => total + one[of], 0);
    this.#want = { bytes: Math.max(0, sum("bytes") - this.credit.bytes), events: Math.max(0, sum("events") - this.credit.events) };
  }
}
