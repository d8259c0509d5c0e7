/**
 * Why: the heart is tested as the simulation will drive it: signals in, effects out, a model of bus and producers around it.
 * Enforces: nothing of its own but honest bookkeeping; the bus's verdicts are those of the real append machine in the memory bus.
 * Forbids: sockets, clocks, randomness beyond the seed.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { type Clock, type Random, seededRandom } from "ransomeye-kernel";
import { type BusPressure, type EpochEnd, type MemoryBus, openMemoryBus, type ProducerKind } from "ransomeye-pipeline";
import { type GatewayConfig, gatewaySettings } from "../config/validation.ts";
import * as protocol from "../protocol/lib.ts";
import { toAppend } from "../src/dispatcher.ts";
import { Gate } from "../src/gate.ts";
import type { GateEffect, GateSignal } from "../src/gate_signals.ts";
import { realChecks } from "../src/main.ts";
import type { DirectoryEntry } from "../src/ports.ts";
import type { Identity } from "../security/identity.ts";

const mib = 1024 * 1024;
const anyKind = { weight: 1, rateEventsPerSecondMax: 10_000_000, rateBytesPerSecondMax: 4096 * mib };

export const modelConfig: GatewayConfig = {
  trustDomain: "model",
  bufferBytesMax: 8 * mib,
  sessionsMax: 64,
  lingerMs: 20,
  appendConnections: 4,
  registryFreshMsMax: 5000,
  registryStaleMsMax: 60_000,
  rateEventsPerSecondMax: 1_000_000,
  rateBytesPerSecondMax: 1024 * mib,
  totalRateEventsPerSecondMax: 10_000_000,
  totalRateBytesPerSecondMax: 4096 * mib,
  appendMsMax: 5000,
  busBacklogFramesMax: 100_000,
  engineLagMsMax: 30_000,
  quarantineMsMin: 60_000,
  quarantineMsMax: 3_600_000,
  kinds: { dpi: anyKind, linux: anyKind, windows: anyKind, honeypot: anyKind },
};

export function modelKey(random: Random): KeyObject {
  return createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), random.bytes(32)]),
    format: "der",
    type: "pkcs8",
  });
}

/** One producer: what it signs, and what it was told. */
export class ModelProducer {
  readonly identity: Identity;
  readonly entry: DirectoryEntry;
  readonly key: KeyObject;
  readonly keyId: string;
  readonly heard: protocol.ServerMessage[] = [];
  session = 0;
  epoch = 0;
  seq = 0;
  prev: EpochEnd = { epoch: 0, seq: 0, hash: protocol.zeroHash };
  nonce: Buffer = Buffer.alloc(0);
  ended: string | undefined;
  comeBackAfterMs = 0;

  constructor(random: Random, kind: ProducerKind = "linux") {
    this.key = modelKey(random);
    const publicKey = protocol.rawPublicKey(this.key);
    this.keyId = protocol.keyIdOf(publicKey);
    this.identity = { producer: random.uuid(), kind, trustDomain: "model", fingerprint: "00", notAfterUs: Number.MAX_SAFE_INTEGER };
    this.entry = { producer: this.identity.producer, kind, status: "active", keys: new Map([[this.keyId, { publicKey }]]) };
  }

  /** The next frame; the chain goes on behind it. */
  frame(count: number, lineBytes = 8): Extract<protocol.ClientMessage, { kind: "frame" }> {
    const payload = Buffer.from(`{"a":"${"x".repeat(lineBytes)}"}\n`.repeat(count));
    const header = protocol.encodeHeader({
      producer: this.identity.producer,
      keyId: this.keyId,
      kind: "events",
      codec: 0,
      schemaVersion: 1,
      mappingVersion: 0,
      epoch: this.epoch,
      firstSeq: this.seq + 1,
      count,
      offered: this.seq + count,
      prevEpoch: this.prev.epoch,
      prevSeq: this.prev.seq,
      prevHash: this.prev.hash,
      payloadHash: protocol.payloadHash(payload),
      payloadBytes: payload.length,
    });
    this.seq += count;
    this.prev = { epoch: this.epoch, seq: this.seq, hash: protocol.frameHash(header) };
    return { kind: "frame", header, signature: protocol.signHeader(header, this.key), payload };
  }

  /** What it was told and did not take back: credit in bytes. */
  get creditBytesTotal(): number {
    let total = 0;
    for (const message of this.heard) {
      if (message.kind === "welcome") total = message.creditBytesTotal;
      if (message.kind === "credit") total = message.bytesTotal;
    }
    return total;
  }
}

/** The one life of the model's gate. */
export const modelIncarnation = "00000000-0000-4000-8000-00000000000a";

/** A gate, a bus, and producers by session. */
export class ModelWorld {
  readonly random: Random;
  readonly bus: MemoryBus;
  readonly gate: Gate;
  readonly producers: Map<number, ModelProducer> = new Map();
  readonly entries: Map<string, DirectoryEntry> = new Map();
  readonly notes: string[] = [];
  /** Effects that the bus has not answered yet; the test decides when. */
  readonly pending: Exclude<GateEffect, { kind: "send" | "end" | "ping" | "window" | "note" }>[] = [];
  /** Monotonic clocks give fractions. */
  nowMs = 1000.37;
  /** What the bus says of itself, each second. */
  busPressure: BusPressure = {
    paused: null,
    retryAfterMs: 1000,
    backlogEntries: 0,
    backlogMs: 0,
    strain: null,
    inFlightBytesMax: 16 * mib,
    leaseMs: 3000,
  };
  #heardMs = 0;
  #nextSession = 1;

  constructor(seed: number, config: Partial<GatewayConfig> = {}) {
    this.random = seededRandom(seed);
    const clock: Clock = {
      nowUs: () => Math.round(this.nowMs * 1000),
      monotonicMs: () => this.nowMs,
      setTimer: () => ({ cancel: () => undefined }),
    };
    this.bus = openMemoryBus({ clock });
    const receiptKey = modelKey(this.random);
    this.gate = new Gate(gatewaySettings("model", { ...modelConfig, ...config }), {
      directory: { version: 1, lookup: (producer) => this.entries.get(producer) },
      checks: realChecks,
      incarnation: modelIncarnation,
      random: this.random,
      receiptPublicKey: protocol.rawPublicKey(receiptKey),
      seal: (producer, receipt) => protocol.signReceipt(producer, receipt, receiptKey),
    });
  }

  producer(kind?: ProducerKind): ModelProducer {
    const producer = new ModelProducer(this.random, kind);
    this.entries.set(producer.identity.producer, producer.entry);
    return producer;
  }

  step(signal: GateSignal): void {
    if (this.nowMs - this.#heardMs >= 1000) {
      this.#heardMs = this.nowMs;
      this.step({ kind: "pressure", pressure: this.busPressure, askedMs: this.nowMs });
    }
    for (const effect of this.gate.step(signal, { nowMs: this.nowMs, nowUs: Math.round(this.nowMs * 1000) })) {
      if (effect.kind === "send") {
        protocol.serverMessage.encode(effect.message);
        this.producers.get(effect.session)?.heard.push(effect.message);
      } else if (effect.kind === "end") {
        protocol.serverMessage.encode({ kind: "goodbye", code: effect.code ?? "", message: "", comeBackAfterMs: effect.comeBackAfterMs });
        const producer = this.producers.get(effect.session);
        if (producer !== undefined) Object.assign(producer, { ended: effect.code ?? "ok", comeBackAfterMs: effect.comeBackAfterMs });
        this.producers.delete(effect.session);
      } else if (effect.kind === "note") this.notes.push(effect.event.name);
      else if (effect.kind !== "ping" && effect.kind !== "window") this.pending.push(effect);
    }
  }

  say(producer: ModelProducer, message: protocol.ClientMessage): void {
    this.step({ kind: "message", session: producer.session, message });
  }

  /** Lets the bus answer one pending request. */
  async answer(): Promise<void> {
    const effect = this.pending.shift();
    if (effect === undefined) return;
    if (effect.kind === "append") {
      const { id, part, entries } = effect.batch;
      const outcomes = await this.bus.append(
        part,
        entries.map(({ frame }) => toAppend(frame)),
        { gateway: "model", incarnation: modelIncarnation, registryVersion: effect.registryVersion },
      );
      this.step({ kind: "appended", batch: id, outcomes });
    } else if (effect.kind === "readHeads") {
      this.step({ kind: "headsRead", asked: effect.producers, heads: await this.bus.headsOf(effect.producers) });
    } else {
      this.step({ kind: "epochAnswered", session: effect.session, outcome: await this.bus.openEpoch(effect.request) });
    }
  }

  async answerAll(): Promise<void> {
    while (this.pending.length > 0) await this.answer();
  }

  /** Hello to first credit, with an open epoch. */
  async join(producer: ModelProducer): Promise<void> {
    producer.session = this.#nextSession++;
    producer.ended = undefined;
    producer.heard.length = 0;
    this.producers.set(producer.session, producer);
    this.step({ kind: "opened", session: producer.session, identity: producer.identity, nonce: this.random.bytes(32) });
    const nothing = {
      nextSeq: 1,
      pendingBytes: 0,
      pendingEvents: 0,
      oldestPendingUs: 0,
      agent: "model",
      clockUs: 0,
      keyId: Buffer.alloc(8),
    };
    this.say(producer, { kind: "hello", protocolVersions: [1], schemaVersions: [1], epoch: producer.epoch, ...nothing });
    await this.answerAll();
    const welcome = producer.heard.find((message) => message.kind === "welcome");
    if (welcome?.kind !== "welcome") return;
    producer.nonce = welcome.sessionNonce;
    if (welcome.head.epoch > 0) return;
    const signature = protocol.ed25519Sign(protocol.openEpochBytes(producer.identity.producer, 0, producer.nonce), producer.key);
    this.say(producer, {
      kind: "openEpoch",
      expectedEpoch: 0,
      keyId: Buffer.from(producer.keyId, "hex"),
      signature,
      sessionNonce: producer.nonce,
    });
    await this.answerAll();
    producer.epoch = 1;
  }
}
