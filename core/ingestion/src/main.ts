/**
 * The gateway as a running thing: heart, listener and bus, joined.
 *
 * Why: the heart decides and does nothing; here its effects become writes, appends and timers, and what happens becomes signals.
 * Enforces: signals are taken one at a time, effects in their order; every answer of the bus comes back as a signal, also a failed one; a
 *   drain ends when nothing is unanswered, or at its bound.
 * Forbids: decisions, files, and a database credential.
 */
import type { KeyObject } from "node:crypto";
import {
  type Clock,
  type Lifetime,
  limits,
  parseAddress,
  type Random,
  RansomeyeError,
  sleep,
  type Telemetry,
  type Timer,
} from "ransomeye-kernel";
import type { AppendOutcome, FrameAppender } from "ransomeye-pipeline";
import { type HandshakeConfig, transportSettings } from "../config/transport.ts";
import { type GatewayConfig, type GatewaySettings, gatewaySettings } from "../config/validation.ts";
import { IngestError } from "../errors/ingest_errors.ts";
import { type EventSchema, rawPublicKey, type ReceiptFields, signReceipt, validatePayload } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import { signatureChecks } from "../security/signature.ts";
import type { Checks } from "../security/trust_enforcement.ts";
import { outstanding } from "./buffer.ts";
import { CloneWatch, suspicionOf } from "./clone_watch.ts";
import { type Batch, toAppend } from "./dispatcher.ts";
import * as events from "./events.ts";
import type { Door, ListenAt } from "./door.ts";
import { Gate } from "./gate.ts";
import type { GateEffect, GateFigures, GateSignal } from "./gate_signals.ts";
import type { PeerEvents, PeerStream } from "./peer_stream.ts";
import type { CloneSuspicion, ProducerDirectory } from "./ports.ts";
import { type Listener, listen } from "./server.ts";
import type { TlsMaterial } from "./tls.ts";
import { Turns } from "./turns.ts";

/** What a gateway is started with. */
export interface GatewayOptions {
  /** `host:port` (port 0 takes a free one), or a port that is shared with other gateways. */
  readonly listen: string | ListenAt;
  readonly tls: TlsMaterial;
  /** Ed25519 private key that signs receipts. */
  readonly receiptKey: KeyObject;
  readonly gatewayId: string;
  readonly frameLog: FrameAppender;
  readonly registry: ProducerDirectory;
  readonly config: GatewayConfig & HandshakeConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
  /** This process has as many connections as its share of a port allows. */
  readonly onFull?: () => void;
}

/** A running gateway. */
export interface Gateway {
  readonly address: { readonly host: string; readonly port: number };
  /** Ends all sessions in order: frames in flight are answered first, within a bound. */
  drain(): Promise<void>;
  /** Ends some sessions in the same way, so that they come back to another gateway of this port. */
  shed(sessions: number): void;
  /** Ends everything now. */
  destroy(): void;
  figures(): GateFigures;
  /** Takes over other TLS material; open sessions live on. Throws what cannot be used, and keeps what it had. */
  reload(tls: TlsMaterial): void;
  /** Connections in whatever state, and whether further ones are taken. */
  door(): Pick<Door, "connections" | "accepting">;
}

const tickMs = 100;
const drainMsMax = 10_000;
const lastWordsMsMax = 1500;
const drainPollMs = 20;
const housekeepingMs = 1000;
const clockDriftMsMax = 2000;
const driftAgainMs = 60_000;
const nonceBytes = 32;

/** The real computations of steps 2 and 3. */
export const realChecks: Checks = Object.freeze({
  ...signatureChecks,
  validate: (payload: Buffer, count: number, schema: EventSchema) => validatePayload(payload, count, schema),
});

/** Starts a gateway. Rejects with INGEST_CONFIG_INVALID or INGEST_LISTEN_FAILED. Registers its end with the lifetime. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const running = new RunningGateway(options);
  await running.start(addressOf(options.listen));
  options.lifetime.defer("gateway", (mode) => (mode === "drain" ? running.drain() : running.destroy()), drainMsMax + lastWordsMsMax + 1000);
  return running;
}

class RunningGateway implements Gateway {
  readonly #options: GatewayOptions;
  readonly #settings: GatewaySettings;
  readonly #gate: Gate;
  readonly #streams = new Map<number, PeerStream>();
  readonly #timers = new Set<Timer>();
  readonly #waiting: GateSignal[] = [];
  readonly #clones = new CloneWatch();
  readonly #turns: Turns;
  readonly #incarnation: string;
  readonly #startedUs: number;
  #listener: Listener | undefined;
  #stopFollowing: () => void = () => undefined;
  #stepping = false;
  #closed = false;
  #draining: Promise<void> | undefined;
  #nextSession = 1;
  #driftToldMs = Number.NEGATIVE_INFINITY;

  constructor(options: GatewayOptions) {
    const { receiptKey, gatewayId, random, registry, clock } = options;
    this.#options = options;
    this.#settings = gatewaySettings(gatewayId, options.config);
    this.#turns = new Turns(clock);
    this.#incarnation = random.uuid();
    this.#startedUs = clock.nowUs();
    this.#gate = new Gate(this.#settings, {
      directory: registry,
      checks: realChecks,
      incarnation: this.#incarnation,
      random,
      receiptPublicKey: rawPublicKey(receiptKey),
      seal: (producer: string, receipt: ReceiptFields) => signReceipt(producer, receipt, receiptKey),
    });
  }

  get address(): { readonly host: string; readonly port: number } {
    const { host = "", port = 0 } = this.#listener ?? {};
    return { host, port };
  }

  figures(): GateFigures {
    return this.#gate.figures();
  }

  reload(tls: TlsMaterial): void {
    this.#listener?.reload(tls);
    this.#options.telemetry.emit(events.tlsReloaded, { gateway: this.#options.gatewayId });
  }

  door(): Pick<Door, "connections" | "accepting"> {
    return this.#listener?.door ?? { connections: 0, accepting: false };
  }

  async start(at: ListenAt): Promise<void> {
    const { registry, clock, random, tls, telemetry, config } = this.#options;
    const { trustDomain, registryFreshMsMax, sessionsMax, sessionFloorBytes, bufferBytesMax } = this.#settings;
    const { messageBytesMax } = limits;
    await this.#askPressure();
    // Before the first producer: whoever looks at the gateways sees this process, and not what the one before it said last.
    await this.#report(false);
    const transport = transportSettings(sessionsMax, config);
    const { words, messageMsMax, unreadMsMax } = transport;
    this.#listener = await listen(
      {
        listen: at,
        tls,
        trustDomain,
        registryFreshMsMax,
        transport,
        bounds: {
          messageBytesMax,
          wordsBytesMax: sessionFloorBytes,
          outboundBytesMax: messageBytesMax,
          lingerMsMax: lastWordsMsMax / 2,
          words,
          messageMsMax,
          unreadMsMax,
        },
        directory: registry,
        barred: (producer) => this.#gate.quarantine.bars(producer, clock.monotonicMs()),
        clock,
        random,
      },
      {
        opened: (stream, identity, address) => this.#opened(stream, identity, address),
        turnedAway: (code, producer) => this.#signal({ kind: "turnedAway", code, producer }),
        full: () => this.#options.onFull?.(),
      },
    );
    this.#stopFollowing = registry.onChange(({ producers }) => this.#signal({ kind: "directory", producers }));
    this.#every(tickMs, () => this.#signal({ kind: "tick", registryAgeMs: registry.ageMs(), peersWait: this.#turns.isBehind }));
    this.#every(housekeepingMs, () => this.#housekeep());
    const { host, port } = this.address;
    telemetry.emit(events.gatewayListening, { address: `${host}:${port}`, sessions_max: sessionsMax, buffer_bytes_max: bufferBytesMax });
  }

  drain(): Promise<void> {
    return (this.#draining ??= this.#drainAll());
  }

  shed(sessions: number): void {
    this.#signal({ kind: "shed", sessions });
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sessions, framesUnanswered } = this.#gate.figures();
    this.#options.telemetry.emit(events.gatewayDrained, { sessions, unanswered_frames: framesUnanswered });
    this.#stopFollowing();
    for (const timer of this.#timers) timer.cancel();
    this.#listener?.destroy();
  }

  async #drainAll(): Promise<void> {
    this.#listener?.stop();
    this.#signal({ kind: "drain" });
    await this.#waitUntil(() => this.#gate.figures().framesUnanswered === 0, drainMsMax);
    // Our last words are on their way; a peer that does not read them is cut at the bound.
    await this.#waitUntil(() => this.#listener?.connections === 0, lastWordsMsMax);
    this.destroy();
    await this.#report(true);
  }

  async #waitUntil(holds: () => boolean, msMax: number): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + msMax;
    while (!holds() && clock.monotonicMs() < untilMs && !this.#closed) await sleep(clock, drainPollMs);
  }

  /** Takes one signal after the other; effects may cause signals, which wait their turn. */
  #signal(next: GateSignal): void {
    const { clock } = this.#options;
    this.#waiting.push(next);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let taken = this.#waiting.shift(); taken !== undefined; taken = this.#waiting.shift()) {
        for (const effect of this.#gate.step(taken, { nowMs: clock.monotonicMs(), nowUs: clock.nowUs() })) this.#carryOut(effect);
      }
    } finally {
      this.#stepping = false;
    }
  }

  #carryOut(effect: GateEffect): void {
    const { frameLog, telemetry } = this.#options;
    switch (effect.kind) {
      case "send":
        return this.#streams.get(effect.session)?.send(effect.message);
      case "end":
        this.#streams.get(effect.session)?.end(effect.code, effect.comeBackAfterMs);
        this.#streams.delete(effect.session);
        return;
      case "ping":
        return this.#streams.get(effect.session)?.ping();
      case "window":
        return this.#streams.get(effect.session)?.window(effect.bytes);
      case "append":
        return this.#append(effect.batch, effect.registryVersion);
      case "openEpoch":
        frameLog.openEpoch(effect.request).then(
          (outcome) => this.#signal({ kind: "epochAnswered", session: effect.session, outcome }),
          (error: unknown) => this.#signal({ kind: "epochFailed", session: effect.session, code: codeOf(error) }),
        );
        return;
      case "readHeads":
        frameLog.headsOf(effect.producers).then(
          (heads) => this.#signal({ kind: "headsRead", asked: effect.producers, heads }),
          (error: unknown) => this.#signal({ kind: "headsFailed", asked: effect.producers, code: codeOf(error) }),
        );
        return;
      case "note":
        this.#watchFindings(effect);
        return telemetry.emit(effect.event, effect.fields);
    }
  }

  #append({ id, part, entries }: Batch, registryVersion: number): void {
    const { frameLog, clock, telemetry, gatewayId } = this.#options;
    const startedMs = clock.monotonicMs();
    const frames = entries.map(({ frame }) => toAppend(frame));
    frameLog.append(part, frames, { gateway: gatewayId, incarnation: this.#incarnation, registryVersion }).then(
      (outcomes) => {
        const tookMs = clock.monotonicMs() - startedMs;
        telemetry.emit(events.framesAppended, { part, frames: frames.length, seconds: tookMs / 1000 });
        this.#watchClock(outcomes, tookMs);
        this.#signal({ kind: "appended", batch: id, outcomes });
      },
      (error: unknown) => this.#signal({ kind: "appendFailed", batch: id, code: codeOf(error) }),
    );
  }

  /** the bus stamps received times; a gateway whose clock differs much tells producers the wrong time. */
  #watchClock(outcomes: readonly AppendOutcome[], tookMs: number): void {
    const { clock, telemetry } = this.#options;
    const accepted = outcomes.find((outcome) => outcome.kind === "accepted");
    if (accepted === undefined || clock.monotonicMs() - this.#driftToldMs < driftAgainMs) return;
    const driftMs = Math.abs(clock.nowUs() - accepted.receivedUs) / 1000 - tookMs;
    if (driftMs <= clockDriftMsMax) return;
    this.#driftToldMs = clock.monotonicMs();
    telemetry.emit(events.clockDrifted, { drift_ms: Math.round(driftMs) });
  }

  #opened(stream: PeerStream, identity: Identity, address: string): void {
    this.#suspect(this.#clones.opened(identity.producer, address, this.#options.clock.monotonicMs()));
    const session = this.#nextSession++;
    this.#streams.set(session, stream);
    const peer: PeerEvents = {
      message: (message) => this.#signal({ kind: "message", session, message }),
      broken: (code) => this.#signal({ kind: "broken", session, code }),
      lost: () => this.#signal({ kind: "lost", session }),
      ponged: () => this.#signal({ kind: "ponged", session }),
      creditBytes: () => {
        const account = this.#gate.session(session)?.account;
        return account === undefined ? 0 : outstanding(account).bytes;
      },
    };
    stream.open(peer, this.#turns);
    this.#signal({ kind: "opened", session, identity, nonce: this.#options.random.bytes(nonceBytes) });
  }

  /** what looks like a second machine is for an operator to see, beside the log. */
  #watchFindings(noted: Extract<GateEffect, { kind: "note" }>): void {
    const suspicion = suspicionOf(noted, this.#options.gatewayId);
    if (suspicion !== undefined) this.#suspect(this.#clones.found(suspicion, this.#options.clock.monotonicMs()));
  }

  #suspect(suspicion: CloneSuspicion | undefined): void {
    if (suspicion !== undefined) this.#options.registry.suspect?.(suspicion);
  }

  /** Calls `work` every `ms` milliseconds until the gateway is closed. */
  #every(ms: number, work: () => void): void {
    const timer = this.#options.clock.setTimer(ms, () => {
      this.#timers.delete(timer);
      if (this.#closed) return;
      work();
      this.#every(ms, work);
    });
    this.#timers.add(timer);
  }

  async #report(ended: boolean): Promise<void> {
    const { frameLog, gatewayId: gateway, telemetry } = this.#options;
    const counters = this.#gate.transmissions.totals();
    const { state, reason, sessions, quarantined } = this.#gate.figures();
    const said = { counters, state, reason, sessions, quarantined, ended };
    try {
      await frameLog.report({ gateway, incarnation: this.#incarnation, startedUs: this.#startedUs, ...said });
    } catch (error) {
      telemetry.emit(events.busUnreadable, { what: "report", code: codeOf(error) });
    }
  }

  /** Asks the bus how it stands and renews the lease of its in-flight budget. */
  async #askPressure(): Promise<void> {
    const { frameLog, telemetry, clock, gatewayId: gateway } = this.#options;
    const { appendsMax, appendBytesMax } = this.#settings;
    const askedMs = clock.monotonicMs();
    try {
      const pressure = await frameLog.pressure({ gateway, incarnation: this.#incarnation, wantBytes: appendsMax * appendBytesMax });
      this.#signal({ kind: "pressure", pressure, askedMs });
    } catch (error) {
      telemetry.emit(events.busUnreadable, { what: "pressure", code: codeOf(error) });
    }
  }

  #housekeep(): void {
    const { telemetry } = this.#options;
    void this.#askPressure();
    void this.#report(false);
    const figures = this.#gate.figures();
    telemetry.set(events.sessionsGauge, figures.sessions);
    telemetry.set(events.reservedGauge, figures.reservedBytes);
    telemetry.set(events.peakGauge, figures.reservedBytesPeak);
    telemetry.set(events.heldGauge, figures.heldBytes);
    telemetry.set(events.boundGauge, figures.bufferBytesMax);
    telemetry.set(events.lingerGauge, figures.lingerMs);
    telemetry.set(events.quarantinedGauge, figures.quarantined.length);
    telemetry.set(events.inFlightGauge, figures.inFlightBytesMax);
    telemetry.set(events.connectionsGauge, this.#listener?.connections ?? 0);
    telemetry.set(events.handshakesGauge, this.#listener?.handshakes ?? 0);
  }
}

function addressOf(listen: GatewayOptions["listen"]): ListenAt {
  const address = typeof listen === "string" ? parseAddress(listen) : listen;
  if (address === undefined) throw new IngestError("INGEST_CONFIG_INVALID", "gateway.listen is not host:port");
  return address;
}

/** The code of an error of ours; anything else is told by its class only. */
function codeOf(error: unknown): string {
  return error instanceof RansomeyeError ? error.code : error instanceof Error ? error.name : "unknown";
}
