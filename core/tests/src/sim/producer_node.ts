/**
 * Why: the shell around a producer's real machine, with the world's disk, wire and clock in the place of files, sockets and timers.
 * Enforces: effects in order; a crash loses the process and what its disk had not synced; recovery is the SDK's own.
 * Forbids: decisions of its own.
 */
import { fullJitterMs } from "ransomeye-kernel";
import { type ServerMessage, frameHash, openEpochBytes, payloadHash, protocolVersions, schemaVersions } from "ransomeye-ingestion/protocol";
import type { ProducerKind } from "ransomeye-pipeline";
import {
  type BatchRecord,
  type Effect,
  type LinkRecord,
  type SealedBatch,
  type Signal,
  ProducerMachine,
  freshMachineState,
  recoverChain,
} from "ransomeye-sdk";
import { type Segment, SimDisk } from "./disk.ts";
import type { GateNode } from "./gate_node.ts";
import { type SimKey, sign } from "./keys.ts";
import type { Oracle } from "./oracle.ts";
import { Life, type Scheduler, pick } from "./scheduler.ts";
import { Wire, type WireFaults } from "./wire.ts";

export interface ProducerNodeOptions {
  readonly scheduler: Scheduler;
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly key: SimKey;
  readonly faults: WireFaults;
  readonly oracle: Oracle;
  gates(): readonly GateNode[];
}

const schemaVersion = schemaVersions[0] ?? 1;

export class ProducerNode {
  readonly #options: ProducerNodeOptions;
  readonly disk: SimDisk;
  #life: Life;
  #machine: ProducerMachine;
  #wire: Wire | undefined;
  #nonce: Buffer = Buffer.alloc(0);
  #signals: Signal[] = [];
  #stepping = false;
  /** The payload of the batch that is being handed over, and whether its call goes on. */
  #handed: { readonly payload: Buffer; readonly more: boolean } | undefined;
  #callOpen = false;
  #saving = 0;
  /** What the process holds in memory of its batches and their newest signatures: a frame may be sent from there, as from the spool's cache. */
  readonly #payloads = new Map<number, { readonly record: BatchRecord; readonly payload: Buffer }>();
  readonly #signed = new Map<number, { readonly header: Buffer; readonly signature: Buffer }>();

  constructor(options: ProducerNodeOptions) {
    this.#options = options;
    this.disk = new SimDisk(options.scheduler);
    this.#life = new Life(options.scheduler);
    this.#machine = this.#boot();
  }

  get id(): string {
    return this.#options.producer;
  }

  get life(): Life {
    return this.#life;
  }

  get stats(): ProducerMachine["stats"] {
    return this.#machine.stats;
  }

  get isIdle(): boolean {
    return this.disk.isIdle && this.#saving === 0;
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** kill -9 and, after a while, a new process on the same spool (or on an empty one). */
  crash(downMs: number, losesSpool: boolean): void {
    const { scheduler, oracle } = this.#options;
    this.#life.kill();
    this.#wire?.cut();
    this.#wire = undefined;
    this.disk.crash();
    if (losesSpool) this.disk.lose();
    oracle.producerCrashed(this.id, this.#keptLines(), losesSpool);
    scheduler.in(downMs, `producer ${this.id.slice(-2)} starts again`, () => {
      this.#life = new Life(scheduler);
      this.#machine = this.#boot();
    });
  }

  /** The application hands over one call: batches of lines, durable together. */
  handOver(batches: readonly (readonly string[])[]): void {
    if (!this.#life.alive) return;
    for (const [i, lines] of batches.entries()) {
      const payload = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const batch: SealedBatch = {
        kind: "events",
        count: lines.length,
        payloadBytes: payload.length,
        payloadHash: payloadHash(payload),
        schemaVersion,
        mappingVersion: 1,
      };
      this.#handed = { payload, more: i < batches.length - 1 };
      this.#signal({ kind: "batch", batch, pendingEvents: 0 });
    }
  }

  #boot(): ProducerMachine {
    const records = this.disk.records;
    const batches = records.map(({ record }) => record).filter((record): record is BatchRecord => record.type === "batch");
    const links = records.map(({ record }) => record).filter((record): record is LinkRecord => record.type === "link");
    const { chain, entries } = recoverChain(this.disk.state, batches, links);
    const nextIndex = batches.reduce((next, batch) => Math.max(next, batch.index + 1), this.disk.state?.nextIndex ?? 1);
    this.#payloads.clear();
    this.#signed.clear();
    this.#signals = [];
    this.#stepping = false;
    this.#callOpen = false;
    this.#saving = 0;
    const machine = new ProducerMachine(
      this.id,
      this.#options.key.keyId,
      schemaVersion,
      { ...(this.disk.state ?? freshMachineState), chain, nextIndex },
      entries,
    );
    this.#life.in(0, "", () => this.#signal({ kind: "start" }));
    return machine;
  }

  #signal(signal: Signal): void {
    this.#signals.push(signal);
    if (this.#stepping) return;
    this.#stepping = true;
    const { scheduler } = this.#options;
    for (let next = this.#signals.shift(); next !== undefined; next = this.#signals.shift()) {
      for (const effect of this.#machine.step(next, { ms: scheduler.nowMs, us: scheduler.nowUs })) this.#run(effect);
    }
    this.#stepping = false;
  }

  #run(effect: Effect): void {
    const { scheduler, oracle } = this.#options;
    switch (effect.kind) {
      case "append":
        return this.#append(effect);
      case "sign":
        return this.#write(
          effect.links.map(({ index, header }) => ({ record: { type: "link" as const, index, signed: this.#sign(header) } })),
        );
      case "send":
        return this.#send(effect.index);
      case "settle":
        return oracle.settled(this.id, effect.frames, effect.answer, (index) => this.#linesOf(index));
      case "forget":
        if (this.disk.forget(effect.indexes)) this.#save((free) => this.disk.remove(free));
        return;
      case "connect":
        return this.#connect(effect.afterMs + (effect.attempt === 0 ? 0 : fullJitterMs(scheduler.random, effect.attempt - 1, 50, 2000)));
      case "hello":
        this.#wire?.up({
          ...effect,
          protocolVersions,
          schemaVersions: [schemaVersion],
          agent: "simulation",
          clockUs: scheduler.nowUs,
          keyId: Buffer.from(this.#options.key.keyId, "hex"),
        });
        return;
      case "openEpoch":
        return this.#openEpoch(effect.expectedEpoch);
      case "demand":
        this.#wire?.up(effect);
        return;
      case "wake":
        this.#life.in(effect.afterMs, "", () => this.#signal({ kind: "tick" }));
        return;
      case "disconnect":
        return this.#disconnect(effect.code, effect.detail);
      case "stop":
        return oracle.producerStopped(this.id, effect.code, effect.detail);
      case "alarm":
        scheduler.note(`producer ${this.id.slice(-2)}: ${effect.code} ${effect.detail}`);
        return;
      // Simulated producers wait for room; losses have a model of their own in the SDK.
      case "declare":
      case "linger":
        return;
    }
  }

  #append(effect: Extract<Effect, { kind: "append" }>): void {
    const own = effect.payload;
    const handed = own === undefined ? this.#handed : undefined;
    if (handed !== undefined) {
      this.#callOpen = handed.more;
      this.#handed = undefined;
    }
    const payload = own ?? handed?.payload ?? Buffer.alloc(0);
    const record: BatchRecord = {
      ...effect.batch,
      type: "batch",
      index: effect.index,
      createdUs: effect.createdUs,
      more: this.#callOpen,
      cursor: undefined,
      signed: effect.header === undefined ? undefined : this.#sign(effect.header),
    };
    this.#payloads.set(effect.index, { record, payload });
    this.#write([{ record, payload }]);
  }

  #write(records: Parameters<SimDisk["append"]>[1]): void {
    for (const one of records) if (one.record.type === "link") this.#signed.set(one.record.index, one.record.signed);
    this.disk.append(this.#life, records, {
      batches: (through) => {
        this.#signal({ kind: "durable", through });
        this.#options.oracle.spooled(this.id, this.#keptLines());
      },
      links: (links) =>
        this.#signal({ kind: "signed", links: links.map(({ index, signed }) => ({ index, hash: frameHash(signed.header) })) }),
    });
  }

  #send(index: number): void {
    const wire = this.#wire;
    const found = this.#find(index);
    if (wire === undefined || found === undefined) return;
    wire.up({ kind: "frame", header: found.signed.header, signature: found.signed.signature, payload: found.payload });
    this.#life.in(0.1, "", () => {
      if (this.#wire === wire) this.#signal({ kind: "sent" });
    });
  }

  /** A frame by its index: newest link, batch from memory or disk. */
  #find(index: number): { readonly signed: { readonly header: Buffer; readonly signature: Buffer }; readonly payload: Buffer } | undefined {
    let batch = this.#payloads.get(index);
    let signed = this.#signed.get(index);
    for (const one of this.disk.records) {
      if (one.record.index !== index) continue;
      if (one.record.type === "batch") batch ??= { record: one.record, payload: (one as { payload: Buffer }).payload };
      else if (!this.#signed.has(index)) signed = one.record.signed;
    }
    signed ??= batch?.record.signed;
    return batch === undefined || signed === undefined ? undefined : { signed, payload: batch.payload };
  }

  #linesOf(index: number): readonly string[] {
    const payload =
      this.#payloads.get(index)?.payload ??
      this.disk.records
        .map((one) => ("payload" in one && one.record.index === index ? one.payload : undefined))
        .find((one) => one !== undefined);
    return payload === undefined ? [] : payload.toString().split("\n").slice(0, -1);
  }

  /** Lines of every batch of events that is on the disk. */
  #keptLines(): readonly string[] {
    return this.disk.records.flatMap((one) =>
      "payload" in one && one.record.kind === "events" ? one.payload.toString().split("\n").slice(0, -1) : [],
    );
  }

  #sign(header: Buffer): { readonly header: Buffer; readonly signature: Buffer } {
    return { header, signature: sign(this.#options.key.secret, header) };
  }

  #save(then: (free: readonly Segment[]) => void): void {
    this.#saving += 1;
    const life = this.#life;
    this.disk.saveState(
      life,
      () => this.#machine.state,
      (free) => {
        this.#saving -= 1;
        then(free);
      },
    );
  }

  #openEpoch(expectedEpoch: number): void {
    const wire = this.#wire;
    const nonce = this.#nonce;
    this.#save(() => {
      if (wire === undefined || wire !== this.#wire) return;
      const signature = sign(this.#options.key.secret, openEpochBytes(this.id, expectedEpoch, nonce));
      wire.up({ kind: "openEpoch", expectedEpoch, keyId: Buffer.from(this.#options.key.keyId, "hex"), signature, sessionNonce: nonce });
    });
  }

  #connect(afterMs: number): void {
    const { scheduler, faults } = this.#options;
    this.#life.in(afterMs, "", () => {
      const gates = this.#options.gates().filter((gate) => gate.life.alive);
      if (gates.length === 0) {
        this.#life.in(5, "", () => this.#signal({ kind: "disconnected", code: "SDK_CONNECT_FAILED", detail: "refused" }));
        return;
      }
      const life = this.#life;
      const wire: Wire = new Wire(scheduler, faults, {
        life,
        hear: (message) => {
          if (this.#wire === wire) this.#hear(message);
        },
        closed: () => {
          if (this.#wire !== wire) return;
          this.#wire = undefined;
          this.#signal({ kind: "disconnected", code: "SDK_DISCONNECTED", detail: "the wire was cut" });
        },
      });
      this.#wire = wire;
      const gate = pick(scheduler.random, gates);
      life.in(scheduler.random.float() * faults.delayMsMax, "", () => {
        gate.accept(wire, this.id);
        if (this.#wire === wire) this.#signal({ kind: "connected" });
      });
    });
  }

  #hear(message: ServerMessage): void {
    if (message.kind === "welcome") this.#nonce = message.sessionNonce;
    this.#signal({ kind: "message", message });
  }

  #disconnect(code: Extract<Effect, { kind: "disconnect" }>["code"], detail: string): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    this.#wire = undefined;
    wire.cut();
    this.#signal({ kind: "disconnected", code, detail });
  }
}
