/**
 * The gateway as a running thing: heart, listener and bus, joined.
 *
 * Why: the heart decides and does nothing; here its effects become writes, appends and timers, and what happens becomes signals.
 * Enforces: signals are taken one at a time, effects in their order; every answer of the bus comes back as a signal, also a failed one; a
 *   drain ends when nothing is unanswered, or at its bound.
 * Forbids: decisions, files, and a database credential.
 */
import type { KeyObject } from "node:crypto";
import { type Clock, invariant, type Lifetime, limits, parseAddress, type Random, RansomeyeError, sleep, type Telemetry, type Timer } from "ransomeye-kernel";
import type { AppendOutcome, FrameAppender } from "ransomeye-pipeline";
import { type GatewayConfig, gatewaySettings } from "../config/validation.ts";
import { IngestError } from "../errors/ingest_errors.ts";
import { rawPublicKey, type ReceiptFields, signReceipt, validatePayload } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import { signatureChecks } from "../security/signature.ts";
import type { Checks } from "../security/trust_enforcement.ts";
import { outstanding } from "./buffer.ts";
import { type Batch, toAppend } from "./dispatcher.ts";
import * as events from "./events.ts";
import { Gate, type GateFigures } from "./gate.ts";
import type { GateEffect, GateSignal, Moment } from "./gate_signals.ts";
import type { PeerStream } from "./peer_stream.ts";
import type { ProducerDirectory } from "./ports.ts";
import { listen } from "./server.ts";
import type { TlsMaterial } from "./tls.ts";

/** What a gateway is started with. */
export interface GatewayOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string | { readonly host: string; readonly port: number };
  readonly tls: TlsMaterial;
  /** Ed25519 private key that signs receipts. */
  readonly receiptKey: KeyObject;
  readonly trustDomain: string;
  readonly gatewayId: string;
  readonly frameLog: FrameAppender;
  readonly registry: ProducerDirectory;
  readonly config: { readonly gateway: Omit<GatewayConfig, "trustDomain"> };
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
}

/** A running gateway. */
export interface Gateway {
  readonly address: { readonly host: string; readonly port: number };
  /** Ends all sessions in order: frames in flight are answered first, within a bound. */
  drain(): Promise<void>;
  /** Ends everything now. */
  destroy(): void;
  figures(): GateFigures;
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
export const realChecks: Checks = Object.freeze({ ...signatureChecks, validate: (payload: Buffer, count: number) => validatePayload(payload, count) });

/** Starts a gateway. Rejects with INGEST_CONFIG_INVALID or INGEST_LISTEN_FAILED. Registers its end with the lifetime. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { frameLog, registry, clock, random, telemetry, lifetime, gatewayId } = options;
  const settings = gatewaySettings(gatewayId, { ...options.config.gateway, trustDomain: options.trustDomain });
  const gate = new Gate(settings, {
    directory: registry,
    checks: realChecks,
    random,
    receiptPublicKey: rawPublicKey(options.receiptKey),
    seal: (producer: string, receipt: ReceiptFields) => signReceipt(producer, receipt, options.receiptKey),
  });
  const streams = new Map<number, PeerStream>();
  const incarnation = random.uuid();
  const startedUs = clock.nowUs();
  const timers = new Set<Timer>();
  const waiting: GateSignal[] = [];
  let running = false;
  let closed = false;
  let nextSession = 1;
  let driftToldMs = Number.NEGATIVE_INFINITY;

  const moment = (): Moment => ({ nowMs: clock.monotonicMs(), nowUs: clock.nowUs() });

  /** Takes one signal after the other; effects may cause signals, which wait their turn. */
  function signal(next: GateSignal): void {
    waiting.push(next);
    if (running) return;
    running = true;
    try {
      for (let taken = waiting.shift(); taken !== undefined; taken = waiting.shift()) {
        for (const effect of gate.step(taken, moment())) carryOut(effect);
      }
    } finally {
      running = false;
    }
  }

  function carryOut(effect: GateEffect): void {
    switch (effect.kind) {
      case "send":
        return streams.get(effect.session)?.send(effect.message);
      case "end":
        streams.get(effect.session)?.end(effect.code, effect.comeBackAfterMs);
        streams.delete(effect.session);
        return;
      case "ping":
        return streams.get(effect.session)?.ping();
      case "window":
        return streams.get(effect.session)?.window(effect.bytes);
      case "append":
        return append(effect.batch, effect.registryVersion);
      case "openEpoch":
        frameLog.openEpoch(effect.request).then(
          (outcome) => signal({ kind: "epochAnswered", session: effect.session, outcome }),
          (error: unknown) => signal({ kind: "epochFailed", session: effect.session, code: codeOf(error) }),
        );
        return;
      case "readHeads":
        frameLog.headsOf(effect.producers).then(
          (heads) => signal({ kind: "headsRead", asked: effect.producers, heads }),
          (error: unknown) => signal({ kind: "headsFailed", asked: effect.producers, code: codeOf(error) }),
        );
        return;
      case "note":
        return telemetry.emit(effect.event, effect.fields);
    }
  }

  function append({ id, part, entries }: Batch, registryVersion: number): void {
    const startedMs = clock.monotonicMs();
    const frames = entries.map(({ frame }) => toAppend(frame));
    frameLog.append(part, frames, { gateway: gatewayId, registryVersion }).then(
      (outcomes) => {
        invariant(outcomes.length === frames.length, "the bus answers every frame");
        const tookMs = clock.monotonicMs() - startedMs;
        telemetry.emit(events.framesAppended, { part, frames: frames.length, seconds: tookMs / 1000 });
        watchClock(outcomes, tookMs);
        signal({ kind: "appended", batch: id, outcomes });
      },
      (error: unknown) => signal({ kind: "appendFailed", batch: id, code: codeOf(error) }),
    );
  }

  /** the bus stamps received times; a gateway whose clock differs much tells producers the wrong time. */
  function watchClock(outcomes: readonly AppendOutcome[], tookMs: number): void {
    const accepted = outcomes.find((outcome) => outcome.kind === "accepted");
    if (accepted === undefined || clock.monotonicMs() - driftToldMs < driftAgainMs) return;
    const driftMs = Math.abs(clock.nowUs() - accepted.receivedUs) / 1000 - tookMs;
    if (driftMs <= clockDriftMsMax) return;
    driftToldMs = clock.monotonicMs();
    telemetry.emit(events.clockDrifted, { drift_ms: Math.round(driftMs) });
  }

  function opened(stream: PeerStream, identity: Identity): void {
    const session = nextSession++;
    streams.set(session, stream);
    stream.open({
      message: (message) => signal({ kind: "message", session, message }),
      broken: (code) => signal({ kind: "broken", session, code }),
      lost: () => signal({ kind: "lost", session }),
      ponged: () => signal({ kind: "ponged", session }),
      creditBytes(): number {
        const account = gate.session(session)?.account;
        return account === undefined ? 0 : outstanding(account).bytes;
      },
    });
    signal({ kind: "opened", session, identity, nonce: random.bytes(nonceBytes) });
  }

  /** Calls `work` every `ms` milliseconds until the gateway is closed. */
  function every(ms: number, work: () => void): void {
    const timer = clock.setTimer(ms, () => {
      timers.delete(timer);
      if (closed) return;
      work();
      every(ms, work);
    });
    timers.add(timer);
  }

  const putCounters = (ended: boolean): Promise<void> =>
    frameLog.putCounters({ gateway: gatewayId, incarnation, startedUs, counters: gate.transmissions.totals(), ended }).catch((error: unknown) => {
      telemetry.emit(events.busUnreadable, { what: "counters", code: codeOf(error) });
    });

  function housekeep(): void {
    frameLog.pressure().then(
      (pressure) => signal({ kind: "pressure", pressure }),
      (error: unknown) => telemetry.emit(events.busUnreadable, { what: "pressure", code: codeOf(error) }),
    );
    void putCounters(false);
    const figures = gate.figures();
    telemetry.set(events.sessionsGauge, figures.sessions);
    telemetry.set(events.reservedGauge, figures.reservedBytes);
    telemetry.set(events.peakGauge, figures.reservedBytesPeak);
    telemetry.set(events.heldGauge, figures.heldBytes);
    telemetry.set(events.boundGauge, figures.bufferBytesMax);
    telemetry.set(events.lingerGauge, figures.lingerMs);
  }

  const listener = await listen(
    {
      listen: addressOf(options.listen),
      tls: options.tls,
      trustDomain: settings.trustDomain,
      registryFreshMsMax: settings.registryFreshMsMax,
      connectionsMax: settings.sessionsMax + Math.ceil(settings.sessionsMax / 10),
      handshakeMsMax: settings.helloMsMax,
      streamMsMax: settings.helloMsMax,
      bounds: {
        messageBytesMax: limits.messageBytesMax,
        wordsBytesMax: settings.sessionFloorBytes,
        outboundBytesMax: limits.messageBytesMax,
        lingerMsMax: lastWordsMsMax / 2,
      },
      directory: registry,
      clock,
    },
    { opened, turnedAway: (code, producer) => signal({ kind: "turnedAway", code, producer }) },
  );
  const stopFollowing = registry.onChange(({ producers }) => signal({ kind: "directory", producers }));
  every(tickMs, () => signal({ kind: "tick", registryAgeMs: registry.ageMs() }));
  every(housekeepingMs, housekeep);

  let ending: Promise<void> | undefined;

  async function drainAll(): Promise<void> {
    listener.stop();
    signal({ kind: "drain" });
    await waitUntil(() => gate.figures().framesUnanswered === 0, drainMsMax);
    // Our last words are on their way; a peer that does not read them is cut at the bound.
    await waitUntil(() => listener.connections === 0, lastWordsMsMax);
    close();
    await putCounters(true);
  }

  async function waitUntil(holds: () => boolean, msMax: number): Promise<void> {
    const untilMs = clock.monotonicMs() + msMax;
    while (!holds() && clock.monotonicMs() < untilMs && !closed) await sleep(clock, drainPollMs);
  }

  function close(): void {
    if (closed) return;
    closed = true;
    const { sessions, framesUnanswered } = gate.figures();
    telemetry.emit(events.gatewayDrained, { sessions, unanswered_frames: framesUnanswered });
    stopFollowing();
    for (const timer of timers) timer.cancel();
    listener.destroy();
  }

  const gateway: Gateway = {
    address: { host: listener.host, port: listener.port },
    drain: () => (ending ??= drainAll()),
    destroy: close,
    figures: () => gate.figures(),
  };
  lifetime.defer("gateway", (mode) => (mode === "drain" ? gateway.drain() : gateway.destroy()), drainMsMax + lastWordsMsMax + 1000);
  const { host, port } = gateway.address;
  telemetry.emit(events.gatewayListening, { address: `${host}:${port}`, sessions_max: settings.sessionsMax, buffer_bytes_max: settings.bufferBytesMax });
  return gateway;
}

function addressOf(listen: GatewayOptions["listen"]): { readonly host: string; readonly port: number } {
  const address = typeof listen === "string" ? parseAddress(listen) : listen;
  if (address === undefined) throw new IngestError("INGEST_CONFIG_INVALID", "gateway.listen is not host:port");
  return address;
}

/** The code of an error of ours; anything else is told by its class only. */
function codeOf(error: unknown): string {
  return error instanceof RansomeyeError ? error.code : error instanceof Error ? error.name : "unknown";
}
