/**
 * Producers that are refused for a while because they flood the gate (ING-8).
 *
 * Why: credit bounds what an honest producer can do; one that ignores it, breaks the protocol or comes back faster than it can be served costs CPU that
 *   the others need, however often its session is ended.
 * Enforces: strikes per producer, by what only misbehaviour explains; one is forgiven each second; at the bound the producer is closed, refused for a while
 *   that doubles with each time in a day, alarmed and shown. It hears so in words a few times; if it still comes, it is to be cut at the door. Memory is bounded:
 *   whoever has no strikes is forgotten.
 * Forbids: strikes for what an honest producer can come to: a lost connection, a duplicate, a gap, a standing that the registry took away.
 */
import type { QuarantinedProducer } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import type { IngestCode } from "../errors/ingest_errors.ts";
import type { Moment } from "./gate_signals.ts";

/** What an offence weighs. Ten protocol breaks within seconds are no accident; a hundred connections in a minute are not either. */
const strikesByCode: Readonly<Partial<Record<IngestCode, number>>> = Object.freeze({
  INGEST_CREDIT_EXCEEDED: 10,
  INGEST_MESSAGE_MALFORMED: 10,
  INGEST_MESSAGE_TOO_LARGE: 10,
  INGEST_PROTOCOL_VIOLATION: 10,
  INGEST_HEADER_MALFORMED: 10,
  INGEST_FRAME_TOO_LARGE: 10,
  INGEST_PRODUCER_MISMATCH: 10,
  INGEST_KEY_UNKNOWN: 10,
  INGEST_SIGNATURE_INVALID: 10,
  INGEST_PAYLOAD_MISMATCH: 10,
  INGEST_EPOCH_SIGNATURE: 10,
  INGEST_SESSION_REPLAYED: 10,
  INGEST_EQUIVOCATION: 10,
  INGEST_TRANSPORT_FLOOD: 20,
  INGEST_WORDS_FLOOD: 20,
  INGEST_SLOW_READER: 5,
  INGEST_SLOW_WRITER: 5,
  INGEST_CREDIT_UNUSED: 5,
  INGEST_HELLO_TIMEOUT: 5,
  INGEST_REQUESTS_MAX: 5,
  // What a new session weighs: no offence, but each costs a handshake, and nobody needs one a second for minutes.
  INGEST_RECONNECT_FLOOD: 2,
});

const forgivenPerSecond = 1;
const dayMs = 86_400_000;
/** Refusals in words, each with the time to come back: one for who heeds it, and a few for who is started anew meanwhile. */
const wordsMax = 3;
/** Producers that are remembered at once; beyond it the gate has other troubles, and the oldest is forgotten. */
const producersMax = 65_536;

interface Conduct {
  strikes: number;
  atMs: number;
  /** Times that it has been quarantined, and when last. */
  times: number;
  lastMs: number;
  untilMs: number;
  /** Refusals in words since then. */
  told: number;
  listed: QuarantinedProducer | undefined;
}

/** The book of strikes. Deterministic. */
export class Quarantine {
  readonly #settings: Pick<GatewaySettings, "strikesMax" | "quarantineMsMin" | "quarantineMsMax">;
  readonly #conducts = new Map<string, Conduct>();

  constructor(settings: Pick<GatewaySettings, "strikesMax" | "quarantineMsMin" | "quarantineMsMax">) {
    this.#settings = settings;
  }

  /** Whole milliseconds that a producer is still refused; 0 when it is not. */
  remainingMs(producer: string, nowMs: number): number {
    return Math.max(0, Math.ceil((this.#conducts.get(producer)?.untilMs ?? 0) - nowMs));
  }

  /** A quarantined producer came, and was told when to come back. */
  told(producer: string): void {
    const conduct = this.#conducts.get(producer);
    if (conduct !== undefined) conduct.told += 1;
  }

  /** Whether a producer has been told often enough that it is quarantined. */
  bars(producer: string, nowMs: number): boolean {
    return this.remainingMs(producer, nowMs) > 0 && (this.#conducts.get(producer)?.told ?? 0) >= wordsMax;
  }

  /** Notes an offence, or by INGEST_RECONNECT_FLOOD a new session. Returns the quarantine that begins with it, or undefined. */
  note(producer: string, code: IngestCode, at: Moment): QuarantinedProducer | undefined {
    const strikes = strikesByCode[code] ?? 0;
    if (strikes === 0 || this.remainingMs(producer, at.nowMs) > 0) return undefined;
    const conduct = this.#conductOf(producer, at.nowMs);
    conduct.strikes += strikes;
    if (conduct.strikes < this.#settings.strikesMax) return undefined;
    const times = at.nowMs - conduct.lastMs > dayMs ? 1 : conduct.times + 1;
    const ms = Math.min(this.#settings.quarantineMsMax, this.#settings.quarantineMsMin * 2 ** Math.min(times - 1, 30));
    const listed = { producer, code, sinceUs: at.nowUs, untilUs: at.nowUs + ms * 1000 };
    Object.assign(conduct, { strikes: 0, times, lastMs: at.nowMs, untilMs: at.nowMs + ms, told: 0, listed } satisfies Partial<Conduct>);
    return listed;
  }

  /** Everybody who is refused now. */
  list(nowMs: number): readonly QuarantinedProducer[] {
    const list: QuarantinedProducer[] = [];
    for (const { listed, untilMs } of this.#conducts.values()) if (listed !== undefined && untilMs > nowMs) list.push(listed);
    return list;
  }

  /** Forgets whoever has nothing against him any more. */
  forget(nowMs: number): void {
    for (const [producer, conduct] of this.#conducts) {
      const forgiven = (nowMs - conduct.atMs) / 1000 >= conduct.strikes / forgivenPerSecond;
      if (forgiven && nowMs >= conduct.untilMs && (conduct.times === 0 || nowMs - conduct.lastMs > dayMs)) this.#conducts.delete(producer);
    }
  }

  #conductOf(producer: string, nowMs: number): Conduct {
    const found = this.#conducts.get(producer);
    if (found !== undefined) {
      found.strikes = Math.max(0, found.strikes - ((nowMs - found.atMs) / 1000) * forgivenPerSecond);
      found.atMs = nowMs;
      return found;
    }
    if (this.#conducts.size >= producersMax) {
      const [oldest] = this.#conducts.keys();
      if (oldest !== undefined) this.#conducts.delete(oldest);
    }
    const conduct: Conduct = { strikes: 0, atMs: nowMs, times: 0, lastMs: 0, untilMs: 0, told: 0, listed: undefined };
    this.#conducts.set(producer, conduct);
    return conduct;
  }
}
