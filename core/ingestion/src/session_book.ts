/**
 * All sessions of one gate, and what they hold together.
 *
 * Why: buffer, shared rates and receive windows follow every change of every account; one place makes each change, so that no sum can drift.
 * Enforces: one live session per producer; an account moves through the buffer's ledger and the shared rates alike; an ended session keeps its entry
 *   until the bus has answered all its frames.
 * Forbids: deciding anything about a session.
 */
import type { ProducerKind } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import { idleWindowBytes, windowBytes } from "./backpressure.ts";
import { type Account, BufferLedger, outstanding } from "./buffer.ts";
import { type RateUse, SharedRates } from "./rate_limit.ts";
import type { Session } from "./session_state.ts";

/** Live sessions are looked at in turn, each once in so many steps of time: five seconds, for their deadlines are tens of seconds away. */
const slots = 50;
const slotMs = 100;

/** A session and its receive window. */
export interface Entry {
  session: Session;
  windowBytes: number;
}

/** The book. */
export class SessionBook {
  readonly ledger: BufferLedger;
  readonly rates: SharedRates<ProducerKind>;
  readonly #settings: GatewaySettings;
  readonly #entries = new Map<number, Entry>();
  /** The live session of each producer. */
  readonly #live = new Map<string, number>();
  /** Live sessions by the step of time in which they are looked at. */
  readonly #slots: readonly Set<number>[] = Array.from({ length: slots }, () => new Set());
  #slot = 0;

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
    this.ledger = new BufferLedger(settings.bufferBytesMax);
    this.rates = new SharedRates(settings.totalRate, settings.kinds, 0);
  }

  /** Live sessions. */
  get size(): number {
    return this.#live.size;
  }

  /** Room reserved beyond the floors of live sessions: what was granted on demand, and what is held. */
  get beyondFloorsBytes(): number {
    return this.ledger.reservedBytes - this.#live.size * this.#settings.sessionFloorBytes;
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  get(id: number): Entry | undefined {
    return this.#entries.get(id);
  }

  session(id: number): Session | undefined {
    return this.#entries.get(id)?.session;
  }

  liveOf(producer: string): number | undefined {
    return this.#live.get(producer);
  }

  /** A copy: sessions may end while one goes through them. */
  liveIds(): readonly number[] {
    return [...this.#live.values()];
  }

  /** Sessions to look at now: a part of them at a time, for thousands at once would keep everybody else waiting. */
  due(nowMs: number): readonly number[] {
    const slot = Math.floor(nowMs / slotMs);
    const ids: number[] = [];
    for (let passed = Math.max(this.#slot + 1, slot - slots + 1); passed <= slot; passed += 1) ids.push(...this.#slotOf(passed));
    this.#slot = slot;
    return ids;
  }

  add(session: Session): void {
    this.#entries.set(session.id, { session, windowBytes: idleWindowBytes });
    this.#live.set(session.identity.producer, session.id);
    this.#slotOf(session.id).add(session.id);
    this.#move(session, undefined, session.account);
  }

  /** Stores a session's new state. */
  keep(entry: Entry, session: Session): void {
    const before = entry.session.account;
    entry.session = session;
    if (session.account !== before) this.#move(session, before, session.account);
  }

  /** The receive window that the session's credit allows now, where it is another one than before. */
  widen(entry: Entry, nowMs: number): number | undefined {
    const { phase, account, creditMovedMs } = entry.session;
    if (phase === "ended") return undefined;
    const bytes = windowBytes(outstanding(account).bytes + account.floorBytes, entry.windowBytes, nowMs - creditMovedMs);
    if (bytes === entry.windowBytes) return undefined;
    entry.windowBytes = bytes;
    return bytes;
  }

  /** An ended session. Returns whether it was its producer's live one. */
  retire({ session }: Entry): boolean {
    const { id, identity, account } = session;
    this.#slotOf(id).delete(id);
    const wasLive = this.#live.get(identity.producer) === id;
    if (wasLive) this.#live.delete(identity.producer);
    if (session.inFlight === 0 && this.#entries.delete(id)) this.#move(session, account, undefined);
    return wasLive;
  }

  #slotOf(number: number): Set<number> {
    return this.#slots[number % slots] as Set<number>;
  }

  #move({ identity }: Session, before: Account | undefined, after: Account | undefined): void {
    this.ledger.move(before, after);
    this.rates.move(identity.kind, this.#useOf(before), this.#useOf(after));
  }

  /** What an account says about rates: floors are everybody's and do not count. */
  #useOf(account: Account | undefined): RateUse | undefined {
    if (account === undefined) return undefined;
    const { bytes, events } = outstanding(account);
    const floorEvents = account.floorBytes === 0 ? 0 : this.#settings.sessionFloorEvents;
    return {
      unused: { bytes: Math.max(0, bytes - account.floorBytes), events: Math.max(0, events - floorEvents) },
      spentTotal: { bytes: account.spentBytesTotal, events: account.spentEventsTotal },
    };
  }
}
