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
import { INGEST_CODES, type IngestCode } from "../errors/ingest_errors.ts";
import { comeBackNever } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import { Alarms } from "./alarms.ts";
import { CreditDesk, type RateReason } from "./credit_desk.ts";
import { Dispatcher } from "./dispatcher.ts";
import * as events from "./events.ts";
import { type GateEffect, type GateFigures, type GatePorts, type GateSignal, type Moment, note, spoken } from "./gate_signals.ts";
import { HeadQueue } from "./head_queue.ts";
import { Linger, waitingEvents } from "./linger.ts";
import { Pressure, Ramp } from "./pressure.ts";
import { Quarantine } from "./quarantine.ts";
import { LeftRates } from "./rate_limit.ts";
import { Transmissions } from "./refusals.ts";
import { RegistryWatch } from "./registry_watch.ts";
import { headOfNobody, openSession, step } from "./session.ts";
import { type Entry, SessionBook } from "./session_book.ts";
import { settledBySession, takeBack } from "./session_settle.ts";
import { ThrottleNews } from "./throttle_news.ts";
import type { Session, SessionContext, SessionEffect, SessionSignal } from "./session_state.ts";

const second = 1000;
/** Reasons that throttle some sessions while the gate is open. */
const rateReasons: ReadonlySet<string> = new Set<RateReason>(["rate", "kind_rate", "total_rate"]);

/** All sessions of one gateway process. */
export class Gate {
  readonly #settings: GatewaySettings;
  readonly #ports: GatePorts;
  readonly #book: SessionBook;
  readonly #desk: CreditDesk;
  readonly #dispatcher: Dispatcher;
  readonly #leftRates: LeftRates;
  readonly #heads: HeadQueue;
  readonly #alarms = new Alarms();
  readonly quarantine: Quarantine;
  readonly #pressure: Pressure;
  readonly #ramp: Ramp;
  readonly #news: ThrottleNews;
  readonly #linger: Linger;
  #secondMs = 0;
  readonly #registry: RegistryWatch;
  #draining = false;
  #at: Moment = { nowMs: 0, nowUs: 0 };
  #effects: GateEffect[] = [];
  readonly transmissions: Transmissions = new Transmissions();

  constructor(settings: GatewaySettings, ports: GatePorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#book = new SessionBook(settings);
    this.#desk = new CreditDesk(settings);
    this.#leftRates = new LeftRates(settings.rate);
    this.#dispatcher = new Dispatcher(settings);
    this.#linger = new Linger(settings);
    this.#heads = new HeadQueue(settings);
    this.#registry = new RegistryWatch(settings);
    this.quarantine = new Quarantine(settings);
    this.#pressure = new Pressure(settings);
    this.#ramp = new Ramp(settings);
    this.#news = new ThrottleNews(settings);
  }

  /** One step. The effects are to be carried out in their order. */
  step(signal: GateSignal, at: Moment): readonly GateEffect[] {
    this.#at = at;
    this.#effects = [];
    this.#take(signal);
    this.#press();
    this.#share();
    this.#tell();
    this.#dispatch();
    this.#askHeads();
    return this.#effects;
  }

  /** The session's state; for tests and the simulation's oracle. */
  session(id: number): Session | undefined {
    return this.#book.session(id);
  }

  figures(): GateFigures {
    const { ledger, size } = this.#book;
    return {
      sessions: size,
      reservedBytes: ledger.reservedBytes,
      reservedBytesPeak: ledger.reservedBytesPeak,
      heldBytes: ledger.heldBytes,
      bufferBytesMax: ledger.bytesMax,
      lingerMs: this.#linger.ms,
      state: this.#pressure.now.state,
      reason: this.#pressure.now.reason,
      framesUnanswered: this.#dispatcher.frames,
      inFlightBytesMax: this.#pressure.inFlightBytes(this.#at.nowMs),
      quarantined: this.quarantine.list(this.#at.nowMs),
    };
  }

  #take(signal: GateSignal): void {
    switch (signal.kind) {
      case "opened":
        return this.#opened(signal);
      case "turnedAway":
        return this.#refused(signal.code, signal.producer);
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
        this.#heads.answered();
        for (const producer of signal.asked)
          this.#toProducer(producer, { kind: "headRead", head: signal.heads.get(producer) ?? headOfNobody });
        return;
      case "headsFailed":
        this.#heads.answered();
        this.#effects.push(note(events.busUnreadable, { what: "heads", code: signal.code }));
        for (const producer of signal.asked) this.#toProducer(producer, { kind: "busFailed" });
        return;
      case "epochAnswered":
        return this.#to(signal.session, { kind: "epochAnswered", outcome: signal.outcome });
      case "epochFailed":
        this.#effects.push(note(events.busUnreadable, { what: "epoch", code: signal.code }));
        return this.#to(signal.session, { kind: "busFailed" });
      case "directory":
        if (signal.producers === "all") this.#toAll({ kind: "standing" });
        else for (const producer of signal.producers) this.#toProducer(producer, { kind: "standing" });
        return;
      case "pressure":
        return this.#pressure.heard(signal.pressure, signal.askedMs);
      case "tick":
        return this.#tick(signal);
      case "drain":
        this.#draining = true;
        return this.#toAll({ kind: "drain" });
      case "shed":
        return this.#toAll({ kind: "drain" }, signal.sessions);
    }
  }

  #opened({ session: id, identity, nonce }: Extract<GateSignal, { kind: "opened" }>): void {
    const { producer, kind } = identity;
    const older = this.#book.liveOf(producer);
    if (older !== undefined) this.#to(older, { kind: "replaced" });
    this.#strike("INGEST_RECONNECT_FLOOD", producer);
    const quarantinedMs = this.quarantine.remainingMs(producer, this.#at.nowMs);
    const code = this.#closedTo(quarantinedMs);
    if (code !== undefined) {
      if (code === "INGEST_QUARANTINED") this.quarantine.told(producer);
      this.transmissions.refuse(code, producer);
      this.#effects.push({ kind: "end", session: id, code, comeBackAfterMs: quarantinedMs + this.#comeBackMs() });
      return;
    }
    this.#book.add(openSession(id, identity, nonce, this.#leftRates.take(producer), this.#context(identity)));
    this.#effects.push(note(events.sessionOpened, { producer, kind, session: id }));
  }

  /** Why nobody, or this producer, is let in now. */
  #closedTo(quarantinedMs: number): IngestCode | undefined {
    if (this.#draining) return "INGEST_DRAINING";
    if (quarantinedMs > 0) return "INGEST_QUARANTINED";
    return this.#book.size >= this.#settings.sessionsMax ? "INGEST_SESSIONS_MAX" : undefined;
  }

  #to(id: number, signal: SessionSignal): void {
    const entry = this.#book.get(id);
    if (entry === undefined) return;
    const before = entry.session;
    const { session, effects } = step(before, signal, this.#context(before.identity));
    if (signal.kind === "frame") this.#linger.frame(before.account, session.account);
    this.#keep(entry, session);
    for (const effect of effects) this.#carry(entry, effect);
    if (entry.session.phase === "ended") this.#retire(entry);
    else {
      this.#desk.note(entry.session, this.#at.nowMs);
      this.#heads.note(entry.session);
      if (signal.kind === "frame" || signal.kind === "demand") this.#news.spoke(entry.session, this.#pressure.now);
    }
  }

  #toAll(signal: SessionSignal, sessionsMax = Number.MAX_SAFE_INTEGER): void {
    for (const id of this.#book.liveIds().slice(0, sessionsMax)) this.#to(id, signal);
  }

  /** Stores a new state; the window follows account and time. */
  #keep(entry: Entry, session: Session): void {
    this.#book.keep(entry, session);
    const bytes = this.#book.widen(entry, this.#at.nowMs);
    if (bytes !== undefined) this.#effects.push({ kind: "window", session: entry.session.id, bytes });
  }

  /** Counts a refusal; what only misbehaviour explains is remembered against the producer, and closes it out when it is too much. */
  #refused(code: IngestCode, producer: string | undefined): void {
    this.transmissions.refuse(code, producer);
    if (producer !== undefined) this.#strike(code, producer);
  }

  #strike(code: IngestCode, producer: string): void {
    const begun = this.quarantine.note(producer, code, this.#at);
    if (begun === undefined) return;
    const seconds = Math.round((begun.untilUs - begun.sinceUs) / 1e6);
    this.#effects.push(note(events.producerQuarantined, { producer, code, seconds }));
    this.#toProducer(producer, { kind: "broken", code: "INGEST_QUARANTINED" });
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
        return this.#heads.want(producer);
      case "openEpoch":
        this.#effects.push({ kind: "openEpoch", session: id, request: effect.request });
        return;
      case "ping":
        this.#effects.push({ kind: "ping", session: id });
        return;
      case "discard":
        for (const { frame } of this.#dispatcher.discard(id)) this.#keep(entry, takeBack(entry.session, frame));
        return;
      case "refused":
        return this.#refused(effect.code, producer);
      case "alarm":
        this.#effects.push(this.#alarms.report(producer, effect.finding, this.#at.nowMs));
        return;
      case "duplicate":
        return this.transmissions.duplicate(effect.code, effect.frames, effect.events, producer);
      case "accepted":
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
  #retire(entry: Entry): void {
    const { id, identity, bucket } = entry.session;
    this.#desk.forget(id);
    if (!this.#book.retire(entry)) return;
    this.#heads.forget(identity.producer);
    this.#leftRates.leave(identity.producer, bucket);
  }

  #appended({ batch, outcomes }: Extract<GateSignal, { kind: "appended" }>): void {
    const { appendRetryMsMin } = this.#settings;
    const { part, tookMs, answered, blocked, failures } = this.#dispatcher.settle(batch, outcomes, this.#at.nowMs, appendRetryMsMin);
    if (failures > 0) this.#effects.push(note(events.appendRecovered, { part, failures }));
    this.#pressure.answered(part, tookMs, blocked?.reason);
    if (blocked !== undefined) this.#effects.push(note(events.busBlocked, { part, reason: blocked.reason, frames: blocked.frames }));
    for (const [id, results] of settledBySession(answered)) this.#to(id, { kind: "settled", results });
  }

  #appendFailed({ batch, code }: Extract<GateSignal, { kind: "appendFailed" }>): void {
    const { appendRetryMsMin, appendRetryMsMax } = this.#settings;
    const wait = (failures: number): number =>
      appendRetryMsMin + fullJitterMs(this.#ports.random, failures, appendRetryMsMin, appendRetryMsMax);
    const { part, frames, failures } = this.#dispatcher.fail(batch, this.#at.nowMs, wait);
    this.#pressure.failed(part, failures);
    this.#effects.push(note(events.appendFailed, { part, frames, failures, code }));
  }

  #tick({ registryAgeMs, peersWait }: Extract<GateSignal, { kind: "tick" }>): void {
    const { nowMs } = this.#at;
    this.#linger.tick(peersWait === true);
    this.#desk.refresh();
    this.#news.refresh();
    this.#heads.poll(nowMs);
    this.#checkRegistry(registryAgeMs);
    for (const id of this.#book.due(nowMs)) this.#to(id, { kind: "tick" });
    if (nowMs - this.#secondMs < second) return;
    const seconds = this.#secondMs === 0 ? 1 : (nowMs - this.#secondMs) / second;
    this.#secondMs = nowMs;
    this.#linger.update(seconds, waitingEvents(this.#book.entries(), this.#settings.sessionFloorEvents));
    for (const { code, step: at, count, producer } of this.transmissions.flush()) {
      this.#effects.push(note(events.transmissionsRefused, { step: at, code, count, producer }));
    }
    this.#leftRates.forget(nowMs);
    this.#alarms.forget(nowMs);
    this.quarantine.forget(nowMs);
  }

  #checkRegistry(ageMs: number): void {
    const { end, said } = this.#registry.check(ageMs, this.#book.size);
    this.#effects.push(...said);
    if (end > 0) this.#toAll({ kind: "registryStale" }, end);
  }

  /** The state that producers are told, from the buffer's level, the bus and the engine. */
  #press(): void {
    const { heldBytes, bytesMax } = this.#book.ledger;
    const { nowMs } = this.#at;
    const levels = { heldBytes, oldestAppendMs: this.#dispatcher.oldestMs(nowMs), waiting: this.#dispatcher.waiting };
    if (!this.#pressure.update(levels, nowMs)) return;
    const { state, reason } = this.#pressure.now;
    this.#effects.push(note(events.pressureChanged, { state, reason, level: Math.round((heldBytes / bytesMax) * 1000) / 1000 }));
    this.#news.changed(this.#book.entries());
  }

  #tell(): void {
    for (const id of this.#news.take()) this.#to(id, { kind: "throttled", throttling: this.#pressure.now });
  }

  /** Hands out credit: never what floors of sessions yet to come need, nothing while paused, and after a pause a little more each second. */
  #share(): void {
    const { state } = this.#pressure.now;
    const { nowMs } = this.#at;
    const { ledger, rates, size, beyondFloorsBytes } = this.#book;
    const rampBytes = this.#ramp.bytes(state, nowMs);
    if (state === "paused" || this.#desk.isIdle) return;
    const floorsToCome = Math.max(0, this.#settings.sessionsMax - size) * this.#settings.sessionFloorBytes;
    const poolBytes = Math.min(ledger.freeBytes - floorsToCome, rampBytes - beyondFloorsBytes);
    rates.refill(nowMs);
    const supply = { poolBytes, throttled: state === "throttled", rates };
    const round = this.#desk.round((id) => this.#book.session(id), supply, nowMs);
    for (const { session: id, cost } of round.grants) {
      const told = this.#book.session(id)?.told;
      if (rateReasons.has(told?.reason ?? "")) this.#to(id, { kind: "throttled", throttling: this.#pressure.now });
      this.#to(id, { kind: "granted", cost });
    }
    for (const { session: id, reason, retryAfterMs } of round.overRate) {
      if (state === "open") this.#to(id, { kind: "throttled", throttling: { state: "throttled", reason, retryAfterMs } });
    }
  }

  #dispatch(): void {
    const { nowMs } = this.#at;
    for (const batch of this.#dispatcher.take(nowMs, this.#pressure.inFlightBytes(nowMs), this.#desk.isShort)) {
      this.#effects.push({ kind: "append", batch, registryVersion: this.#ports.directory.version });
    }
  }

  #askHeads(): void {
    const producers = this.#heads.take();
    if (producers !== undefined) this.#effects.push({ kind: "readHeads", producers });
  }

  #toProducer(producer: string, signal: SessionSignal): void {
    const id = this.#book.liveOf(producer);
    if (id !== undefined) this.#to(id, signal);
  }

  /** Spread over a time that grows with the number of sessions, so that a fleet does not come back as one wave. */
  #comeBackMs(): number {
    return Math.round(this.#ports.random.float() * Math.max(this.#settings.comeBackSpreadMs, this.#book.size));
  }

  #context({ producer, kind }: Identity): SessionContext {
    // Every field by its name: this is made for every signal, and a spread object costs more than the step that it is made for.
    return {
      nowMs: this.#at.nowMs,
      nowUs: this.#at.nowUs,
      settings: this.#settings,
      incarnation: this.#ports.incarnation,
      checks: this.#ports.checks,
      entry: this.#ports.directory.lookup(producer),
      registryVersion: this.#ports.directory.version,
      lingerMs: this.#linger.msFor(this.#settings.kinds[kind].weight),
      pressure: this.#pressure.now,
      creditExcusedUntilMs: Math.max(this.#pressure.pausedUntilMs(this.#at.nowMs), this.#desk.enoughUntilMs(this.#at.nowMs)),
      receiptPublicKey: this.#ports.receiptPublicKey,
      seal: this.#ports.seal,
    };
  }
}
