/**
 * The gate as a whole: all sessions, one buffer, one dispatcher. Pure but for its own memory.
 *
 * Why: fairness, bounds and pressure concern all sessions at once; here they meet, without a socket or a clock, so that the simulation can
 *   run thousands of histories through what the process runs.
 * Enforces: every account change passes the buffer ledger, whose bound is asserted; a session is opened only where its floor has room; one
 *   session per producer, the newest; a producer's standing is checked again at every change of the registry.
 * Forbids: I/O, timers, randomness of its own: signals come in, effects go out, in one order.
 */
import { fullJitterMs } from "ransomeye-kernel";
import type { GatewaySettings } from "../config/validation.ts";
import { INGEST_CODES } from "../errors/ingest_errors.ts";
import { comeBackNever } from "../protocol/lib.ts";
import { Alarms } from "./alarms.ts";
import { idleWindowBytes, windowBytes } from "./backpressure.ts";
import { BufferLedger, outstanding, release } from "./buffer.ts";
import { CreditDesk } from "./credit_desk.ts";
import { Dispatcher } from "./dispatcher.ts";
import * as events from "./events.ts";
import { type GateEffect, type GateFigures, type GatePorts, type GateSignal, type Moment, note, spoken } from "./gate_signals.ts";
import { Linger, Pressure, waitingEvents } from "./pressure.ts";
import { LeftRates } from "./rate_limit.ts";
import { Transmissions } from "./refusals.ts";
import { headOfNobody, openSession, step } from "./session.ts";
import { become, type Session, type SessionContext, type SessionEffect, type SessionSignal, type Settled } from "./session_state.ts";

interface Entry {
  session: Session;
  windowBytes: number;
}

const second = 1000;
/** Reason of the throttling of one producer beyond its rate. */
const overRate = "rate";
/** Share of the sessions that one tick ends while the registry is stale: the gate empties within a minute, not at once. */
const stalePaceRatio = 0.02;

/** All sessions of one gateway process. */
export class Gate {
  readonly #settings: GatewaySettings;
  readonly #ports: GatePorts;
  readonly #ledger: BufferLedger;
  readonly #desk: CreditDesk;
  readonly #dispatcher: Dispatcher;
  readonly #entries = new Map<number, Entry>();
  /** The live session of each producer. */
  readonly #live = new Map<string, number>();
  readonly #leftRates: LeftRates;
  readonly #headsWanted = new Set<string>();
  readonly #alarms = new Alarms();
  readonly #pressure = new Pressure();
  readonly #linger: Linger;
  #headsReading = false;
  #secondMs = 0;
  #storedPollMs = 0;
  #registryStale = false;
  #draining = false;
  #at: Moment = { nowMs: 0, nowUs: 0 };
  #effects: GateEffect[] = [];
  readonly transmissions: Transmissions = new Transmissions();

  constructor(settings: GatewaySettings, ports: GatePorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#ledger = new BufferLedger(settings.bufferBytesMax);
    this.#desk = new CreditDesk(settings);
    this.#leftRates = new LeftRates(settings.rate);
    this.#dispatcher = new Dispatcher(settings);
    this.#linger = new Linger(settings);
  }

  /** One step. The effects are to be carried out in their order. */
  step(signal: GateSignal, at: Moment): readonly GateEffect[] {
    this.#at = at;
    this.#effects = [];
    this.#take(signal);
    this.#press();
    this.#share();
    this.#dispatch();
    this.#askHeads();
    return this.#effects;
  }

  /** The session's state; for tests and the simulation's oracle. */
  session(id: number): Session | undefined {
    return this.#entries.get(id)?.session;
  }

  figures(): GateFigures {
    return {
      sessions: this.#live.size,
      reservedBytes: this.#ledger.reservedBytes,
      reservedBytesPeak: this.#ledger.reservedBytesPeak,
      heldBytes: this.#ledger.heldBytes,
      bufferBytesMax: this.#ledger.bytesMax,
      lingerMs: this.#linger.ms,
      state: this.#pressure.now.state,
      framesUnanswered: this.#dispatcher.frames,
    };
  }

  #take(signal: GateSignal): void {
    switch (signal.kind) {
      case "opened":
        return this.#opened(signal);
      case "turnedAway":
        return this.transmissions.refuse(signal.code, signal.producer);
      case "message":
        return this.#to(signal.session, spoken(signal.message));
      case "ponged":
      case "lost":
        return this.#to(signal.session, { kind: signal.kind });
      case "broken":
        return this.#to(signal.session, { kind: "broken", code: signal.code });
      case "appended":
        return this.#appended(signal);
      case "appendFailed":
        return this.#appendFailed(signal);
      case "headsRead":
        this.#headsReading = false;
        for (const producer of signal.asked)
          this.#toProducer(producer, { kind: "headRead", head: signal.heads.get(producer) ?? headOfNobody });
        return;
      case "headsFailed":
        this.#headsReading = false;
        this.#effects.push(note(events.busUnreadable, { what: "heads", code: signal.code }));
        for (const producer of signal.asked) this.#toProducer(producer, { kind: "busFailed" });
        return;
      case "epochAnswered":
        return this.#to(signal.session, { kind: "epochAnswered", outcome: signal.outcome });
      case "epochFailed":
        this.#effects.push(note(events.busUnreadable, { what: "epoch", code: signal.code }));
        return this.#to(signal.session, { kind: "busFailed" });
      case "directory":
        for (const producer of signal.producers === "all" ? [...this.#live.keys()] : signal.producers)
          this.#toProducer(producer, { kind: "standing" });
        return;
      case "pressure":
        return this.#pressure.heard(signal.pressure);
      case "tick":
        return this.#tick(signal);
      case "drain":
        this.#draining = true;
        for (const id of [...this.#live.values()]) this.#to(id, { kind: "drain" });
        return;
    }
  }

  #opened({ session: id, identity, nonce }: Extract<GateSignal, { kind: "opened" }>): void {
    const { producer, kind } = identity;
    const older = this.#live.get(producer);
    if (older !== undefined) this.#to(older, { kind: "replaced" });
    const code = this.#draining ? "INGEST_DRAINING" : this.#live.size >= this.#settings.sessionsMax ? "INGEST_SESSIONS_MAX" : undefined;
    if (code !== undefined) {
      this.transmissions.refuse(code, producer);
      this.#effects.push({ kind: "end", session: id, code, comeBackAfterMs: this.#comeBackMs() });
      return;
    }
    const session = openSession(id, identity, nonce, this.#leftRates.take(producer), this.#context(producer));
    this.#entries.set(id, { session, windowBytes: idleWindowBytes });
    this.#live.set(producer, id);
    this.#ledger.move(undefined, session.account);
    this.#effects.push(note(events.sessionOpened, { producer, kind, session: id }));
  }

  #to(id: number, signal: SessionSignal): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const before = entry.session;
    const { session, effects } = step(before, signal, this.#context(before.identity.producer));
    if (signal.kind === "frame") this.#linger.frame(before.account, session.account);
    this.#keep(entry, session);
    for (const effect of effects) this.#carry(entry, effect);
    if (entry.session.phase === "ended") this.#retire(entry);
    else this.#desk.note(entry.session);
  }

  /** Stores a new state; ledger and window follow the account. */
  #keep(entry: Entry, session: Session): void {
    const before = entry.session;
    entry.session = session;
    if (session.account === before.account) return;
    this.#ledger.move(before.account, session.account);
    this.#widen(entry);
  }

  #widen(entry: Entry): void {
    const { id, phase, account, creditMovedMs } = entry.session;
    const bytes = windowBytes(outstanding(account).bytes + account.floorBytes, entry.windowBytes, this.#at.nowMs - creditMovedMs);
    if (bytes === entry.windowBytes || phase === "ended") return;
    entry.windowBytes = bytes;
    this.#effects.push({ kind: "window", session: id, bytes });
  }

  #carry(entry: Entry, effect: SessionEffect): void {
    const { id, identity } = entry.session;
    const { producer, kind } = identity;
    switch (effect.kind) {
      case "send":
        this.#effects.push({ kind: "send", session: id, message: effect.message });
        return;
      case "end": {
        const code = effect.code;
        const never = code !== undefined && INGEST_CODES[code].answer === "stop";
        const comeBackAfterMs = never ? comeBackNever : (effect.comeBackAfterMs ?? (code === undefined ? 0 : this.#comeBackMs()));
        this.#effects.push({ kind: "end", session: id, code, comeBackAfterMs });
        this.#effects.push(note(events.sessionEnded, { producer, session: id, code: code ?? "ok" }));
        return;
      }
      case "dispatch":
        this.#dispatcher.enqueue(effect.part, { session: id, frame: effect.frame, lineage: effect.lineage });
        return;
      case "readHead":
        this.#headsWanted.add(producer);
        return;
      case "openEpoch":
        this.#effects.push({ kind: "openEpoch", session: id, request: effect.request });
        return;
      case "ping":
        this.#effects.push({ kind: "ping", session: id });
        return;
      case "discard":
        for (const { frame } of this.#dispatcher.discard(id)) {
          const { session } = entry;
          this.#keep(
            entry,
            become(session, { inFlight: session.inFlight - 1, account: release(session.account, frame.cost.bytes) }).session,
          );
        }
        return;
      case "refused":
        this.transmissions.refuse(effect.code, producer);
        return;
      case "alarm":
        this.#effects.push(this.#alarms.report(producer, effect, this.#at.nowMs));
        return;
      case "count":
        if (effect.what === "duplicate") return this.transmissions.duplicate(effect.frames, effect.events, producer);
        this.transmissions.accept(effect.frames, effect.events);
        this.#effects.push(
          note(events.framesAccepted, { producer, frames: effect.frames }),
          note(events.eventsAccepted, { kind, events: effect.events }),
          note(events.bytesAccepted, { bytes: effect.bytes }),
        );
        if (effect.invalid > 0) this.#effects.push(note(events.eventsInvalid, { producer, events: effect.invalid }));
        return;
    }
  }

  /** An ended session keeps its entry until the bus has answered all its frames. */
  #retire({ session }: Entry): void {
    const { id, identity, bucket } = session;
    this.#desk.forget(id);
    if (this.#live.get(identity.producer) === id) {
      this.#live.delete(identity.producer);
      this.#leftRates.leave(identity.producer, bucket);
    }
    if (session.inFlight > 0 || !this.#entries.delete(id)) return;
    this.#ledger.move(session.account, undefined);
  }

  #appended({ batch, outcomes }: Extract<GateSignal, { kind: "appended" }>): void {
    const { appendRetryMsMin } = this.#settings;
    const { part, answered, blocked, failures } = this.#dispatcher.settle(batch, outcomes, this.#at.nowMs, appendRetryMsMin);
    if (failures > 0) this.#effects.push(note(events.appendRecovered, { part, failures }));
    this.#pressure.answered(part, blocked?.reason);
    if (blocked !== undefined) this.#effects.push(note(events.busBlocked, { part, reason: blocked.reason, frames: blocked.frames }));
    const bySession = new Map<number, Settled[]>();
    for (const { entry, outcome } of answered) {
      const results = bySession.get(entry.session) ?? [];
      results.push({ frame: entry.frame, lineage: entry.lineage, outcome });
      bySession.set(entry.session, results);
    }
    for (const [id, results] of bySession) this.#to(id, { kind: "settled", results });
  }

  #appendFailed({ batch, code }: Extract<GateSignal, { kind: "appendFailed" }>): void {
    const { appendRetryMsMin, appendRetryMsMax } = this.#settings;
    const wait = (failures: number): number =>
      appendRetryMsMin + fullJitterMs(this.#ports.random, failures, appendRetryMsMin, appendRetryMsMax);
    const { part, frames, failures } = this.#dispatcher.fail(batch, this.#at.nowMs, wait);
    this.#pressure.failed(part, failures);
    this.#effects.push(note(events.appendFailed, { part, frames, failures, code }));
  }

  #tick({ registryAgeMs, peersWaited }: Extract<GateSignal, { kind: "tick" }>): void {
    const { nowMs } = this.#at;
    this.#linger.tick(peersWaited === true);
    this.#desk.refresh();
    if (nowMs - this.#storedPollMs >= this.#settings.storedPollMs) {
      this.#storedPollMs = nowMs;
      this.#pollStored();
    }
    this.#checkRegistry(registryAgeMs);
    if (nowMs - this.#secondMs < second) return;
    const seconds = this.#secondMs === 0 ? 1 : (nowMs - this.#secondMs) / second;
    this.#secondMs = nowMs;
    this.#linger.update(seconds, waitingEvents(this.#entries.values(), this.#settings.sessionFloorEvents));
    for (const id of [...this.#live.values()]) {
      this.#to(id, { kind: "tick" });
      const entry = this.#entries.get(id);
      if (entry !== undefined) this.#widen(entry);
    }
    for (const { code, step: at, count, producer } of this.transmissions.flush()) {
      this.#effects.push(note(events.transmissionsRefused, { step: at, code, count, producer }));
    }
    this.#leftRates.forget(nowMs);
    this.#alarms.forget(nowMs);
  }

  /** Asks how far the engine is with those producers whose frames are durable and not yet in rows. */
  #pollStored(): void {
    for (const [producer, id] of this.#live) {
      const session = this.#entries.get(id)?.session;
      if (session?.phase !== "streaming" && session?.phase !== "draining") continue;
      const { durable, stored } = session;
      if (durable.epoch !== stored.epoch || durable.seq !== stored.seq) this.#headsWanted.add(producer);
    }
  }

  #checkRegistry(registryAgeMs: number): void {
    const stale = registryAgeMs > this.#settings.registryStaleMsMax;
    if (stale && !this.#registryStale)
      this.#effects.push(note(events.registryStale, { age_ms: Math.round(Math.min(registryAgeMs, 1e12)), sessions: this.#live.size }));
    this.#registryStale = stale;
    if (!stale) return;
    const pace = Math.ceil(this.#live.size * stalePaceRatio);
    for (const id of [...this.#live.values()].slice(0, pace)) this.#to(id, { kind: "registryStale" });
  }

  /** The state that producers are told, from the buffer's level and the bus. */
  #press(): void {
    const level = this.#ledger.heldBytes / this.#ledger.bytesMax;
    if (!this.#pressure.update(level)) return;
    const { state, reason } = this.#pressure.now;
    this.#effects.push(note(events.pressureChanged, { state, reason, level: Math.round(level * 1000) / 1000 }));
    for (const id of [...this.#live.values()]) this.#to(id, { kind: "throttled", throttling: this.#pressure.now });
  }

  /** Hands out credit: never what floors of sessions yet to come need, and nothing while paused. */
  #share(): void {
    if (this.#pressure.now.state === "paused" || this.#desk.waiting === 0) return;
    const floorsToCome = Math.max(0, this.#settings.sessionsMax - this.#live.size) * this.#settings.sessionFloorBytes;
    const poolBytes = this.#ledger.freeBytes - floorsToCome;
    const round = this.#desk.round(
      (id) => this.#entries.get(id)?.session,
      poolBytes,
      this.#pressure.now.state === "throttled",
      this.#at.nowMs,
    );
    for (const { session: id, cost } of round.grants) {
      const told = this.#entries.get(id)?.session.told;
      if (told?.reason === overRate) this.#to(id, { kind: "throttled", throttling: this.#pressure.now });
      this.#to(id, { kind: "granted", cost });
    }
    for (const { session: id, retryAfterMs } of round.overRate) {
      if (this.#pressure.now.state === "open")
        this.#to(id, { kind: "throttled", throttling: { state: "throttled", reason: overRate, retryAfterMs } });
    }
  }

  #dispatch(): void {
    for (const batch of this.#dispatcher.take(this.#at.nowMs)) {
      this.#effects.push({ kind: "append", batch, registryVersion: this.#ports.directory.version });
    }
  }

  #askHeads(): void {
    if (this.#headsReading || this.#headsWanted.size === 0) return;
    const producers = [...this.#headsWanted].slice(0, this.#settings.headsPerReadMax);
    for (const producer of producers) this.#headsWanted.delete(producer);
    this.#headsReading = true;
    this.#effects.push({ kind: "readHeads", producers });
  }

  #toProducer(producer: string, signal: SessionSignal): void {
    const id = this.#live.get(producer);
    if (id !== undefined) this.#to(id, signal);
  }

  /** Spread over a time that grows with the number of sessions, so that a fleet does not come back as one wave. */
  #comeBackMs(): number {
    return Math.round(this.#ports.random.float() * Math.max(this.#settings.comeBackSpreadMs, this.#live.size));
  }

  #context(producer: string): SessionContext {
    return {
      nowMs: this.#at.nowMs,
      nowUs: this.#at.nowUs,
      settings: this.#settings,
      checks: this.#ports.checks,
      entry: this.#ports.directory.lookup(producer),
      registryVersion: this.#ports.directory.version,
      lingerMs: this.#linger.ms,
      pressure: this.#pressure.now,
      receiptPublicKey: this.#ports.receiptPublicKey,
      seal: this.#ports.seal,
    };
  }
}
