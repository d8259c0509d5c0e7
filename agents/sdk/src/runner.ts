/**
 * Why: the shell around the producer's heart: it turns what happens to spool, session and timers into signals, and effects into what they do.
 * Enforces: one signal at a time, effects in order; the intent to open an epoch is on disk before the question is asked; the state file is written
 *   before a segment that it stands for is deleted; a receipt that does not verify is not a signal.
 * Forbids: decisions. What is sent, settled and forgotten is decided in `producer_machine.ts`.
 */
import { fullJitterMs, invariant, limits, type Timer } from "ransomeye-kernel";
import { frameHash, protocolVersions, type ServerMessage } from "ransomeye-ingestion/protocol";
import { BatchSigner } from "./batch_signer.ts";
import type { Sealed } from "./batcher.ts";
import { type SdkCode, SdkError } from "./codes.ts";
import { Credentials } from "./credentials.ts";
import { batchKeyTaken, producerAlarmed, producerStopped, sessionEnded, sessionOpened, spoolStalled } from "./events.ts";
import type { ProducerIdentity } from "./identity.ts";
import type { Effect, MachineStats, SealedBatch, Signal } from "./machine_types.ts";
import { LossWriter } from "./loss_writer.ts";
import { schemaVersion } from "./options.ts";
import { ProducerMachine } from "./producer_machine.ts";
import { ReceiptTrust } from "./receipt_trust.ts";
import type { RunnerContext, RunnerListener } from "./runner_types.ts";
import { Session } from "./session.ts";
import type { Spool, SpooledFrame } from "./spool.ts";
import type { OpenedSpool } from "./spool_open.ts";
import { StateKeeper } from "./state_keeper.ts";

/** Runs one machine. */
export class Runner {
  readonly #context: RunnerContext;
  readonly #listener: RunnerListener;
  readonly #credentials: Credentials;
  readonly #opened: OpenedSpool;
  readonly #machine: ProducerMachine;
  readonly #trust: ReceiptTrust;
  readonly #keeper: StateKeeper;
  /** Where calls go whose lines find no room. */
  readonly losses: LossWriter;
  readonly #signer: BatchSigner;
  readonly #signals: Signal[] = [];
  #stepping = false;
  #session: Session | undefined;
  #sessionNonce: Buffer = Buffer.alloc(0);
  /** The last frame filled the transport's buffer. */
  #blocked = false;
  #reconnect: Timer | undefined;
  #wake: Timer | undefined;
  #callOpen = false;
  #stalled: SdkCode | undefined;
  #stopped: SdkError | undefined;
  #away: string | undefined;
  /** The batch that an `append` effect without payload of its own is about. */
  #handed: Sealed | undefined;
  #handedIndex = 0;

  constructor(context: RunnerContext, opened: OpenedSpool, listener: RunnerListener) {
    const { identity } = context;
    this.#context = context;
    this.#credentials = new Credentials(context);
    this.#listener = listener;
    this.#opened = opened;
    this.#signer = new BatchSigner(identity.producer, identity.batchKey);
    const policy = { declares: context.options.whenFull === "declare", ageUsMax: context.options.spoolAgeMsMax * 1000 };
    this.#machine = new ProducerMachine(identity.producer, this.#signer.keyId, schemaVersion, opened.machine, opened.entries, policy);
    this.#trust = new ReceiptTrust(identity.producer, identity.receiptKeys ?? [], opened.state?.receiptKeys ?? {});
    const place = { directory: context.spoolDir, producer: identity.producer };
    this.#keeper = new StateKeeper(
      place,
      opened,
      this.#trust,
      () => this.#machine.state,
      (error) => this.#spoolFailed(error),
    );
    const heart = { lossVersion: () => this.#machine.lossVersion, signal: (signal: Signal) => this.signal(signal) };
    this.losses = new LossWriter(context, this.#keeper, heart);
  }

  get stats(): MachineStats {
    return this.#machine.stats;
  }

  get cursor(): string | undefined {
    return this.#keeper.cursor;
  }

  get stalled(): SdkCode | undefined {
    return this.#stalled;
  }

  /** Why there is no session; undefined while there is one, and before the first attempt. */
  get away(): string | undefined {
    return this.#away;
  }

  get stopped(): SdkError | undefined {
    return this.#stopped;
  }

  linkOf(index: number): ReturnType<ProducerMachine["linkOf"]> {
    return this.#machine.linkOf(index);
  }

  /** Hands a sealed frame over; returns its index. */
  append(sealed: Sealed, pendingEvents: number): number {
    invariant(!this.#stepping, "a frame is handed over within a step");
    this.#handed = sealed;
    this.signal({ kind: "batch", batch: sealed.batch, pendingEvents, more: sealed.more });
    return this.#handedIndex;
  }

  /** Feeds one signal; the effects are carried out before it returns, unless it is called from within one. */
  signal(signal: Signal): void {
    this.#signals.push(signal);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#signals.shift(); next !== undefined; next = this.#signals.shift()) {
        const { clock } = this.#context;
        for (const effect of this.#machine.step(next, { ms: clock.monotonicMs(), us: clock.nowUs() })) this.#run(effect);
      }
    } finally {
      this.#stepping = false;
    }
  }

  /** The spool's words, to be given to `openSpool` before there is a runner. */
  spoolBatches(through: number): void {
    this.#stalled = undefined;
    this.#keeper.durable(through);
    this.signal({ kind: "durable", through });
    this.#listener.spooled(through);
  }

  spoolLinks(links: readonly { readonly index: number; readonly header: Buffer }[]): void {
    this.#stalled = undefined;
    this.signal({ kind: "signed", links: links.map(({ index, header }) => ({ index, hash: frameHash(header) })) });
  }

  spoolStalled(error: SdkError): void {
    this.#stalled = error.code;
    this.#context.telemetry.emit(spoolStalled, { ...this.#who, code: error.code, detail: error.message });
  }

  /** The end: nothing that the spool holds is lost, but this runner does no more. */
  stop(error: SdkError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = error;
    if (error.code !== "SDK_CLOSED")
      this.#context.telemetry.emit(producerStopped, { ...this.#who, code: error.code, detail: error.message });
    this.signal({ kind: "close" });
    this.#reconnect?.cancel();
    this.#wake?.cancel();
    this.losses.fail(error);
    this.#listener.stopped(error);
  }

  /** From the next connection on, this certificate is shown and these authorities are believed; from the next frame on, this batch key signs. */
  renewed(identity: ProducerIdentity): void {
    invariant(!this.#stepping, "an identity changes within a step");
    this.#credentials.renewed(identity);
    if (!this.#signer.use(identity.batchKey)) return;
    const { keyId } = this.#signer;
    this.signal({ kind: "key", keyId });
    this.#context.telemetry.emit(batchKeyTaken, { ...this.#who, key_id: keyId });
  }

  /** Writes the state file with what is true now. */
  saveState(): Promise<void> {
    return this.#keeper.save();
  }

  get #spool(): Spool {
    return this.#opened.spool;
  }

  get #who(): { readonly producer: string } {
    return { producer: this.#context.identity.producer };
  }

  #run(effect: Effect): void {
    switch (effect.kind) {
      case "append":
        this.#append(effect);
        return;
      case "sign":
        this.#spool.appendLinks(effect.links.map(({ index, header }) => ({ index, signed: this.#signer.sign(header) })));
        return;
      case "send":
        void this.#send(effect.index);
        return;
      case "settle":
        this.#listener.settled(effect);
        this.#listener.progressed();
        return;
      case "declare":
        this.losses.declare(effect);
        return;
      case "forget":
        if (this.#spool.forget(effect.indexes)) this.#keeper.removeFree(() => this.#listener.progressed());
        this.#listener.progressed();
        return;
      case "connect":
        this.#scheduleConnect(effect.attempt, effect.afterMs);
        return;
      case "hello":
        this.#session?.send({
          ...effect,
          protocolVersions,
          schemaVersions: [schemaVersion],
          agent: this.#context.options.agent,
          clockUs: this.#context.clock.nowUs(),
          keyId: Buffer.from(this.#signer.keyId, "hex"),
        });
        return;
      case "openEpoch":
        void this.#openEpoch(effect.expectedEpoch);
        return;
      case "demand":
        this.#session?.send(effect);
        return;
      case "linger":
        this.#listener.linger(effect.ms);
        return;
      case "wake":
        this.#wake?.cancel();
        this.#wake = this.#context.clock.setTimer(effect.afterMs, () => this.signal({ kind: "tick" }));
        return;
      case "disconnect":
        this.#disconnect(effect.code, effect.detail);
        return;
      case "alarm":
        this.#alarm(effect.code, effect.detail);
        return;
      case "stop":
        this.stop(new SdkError(effect.code, effect.detail));
        return;
    }
  }

  #append(effect: Extract<Effect, { kind: "append" }>): void {
    const { batch, index, createdUs, payload: ownPayload } = effect;
    const sealed = ownPayload === undefined ? this.#handed : undefined;
    if (sealed !== undefined) {
      this.#callOpen = sealed.more;
      this.#handedIndex = index;
      this.#handed = undefined;
      if (sealed.cursor !== undefined) this.#keeper.cursorComes({ index, cursor: sealed.cursor });
    }
    const { payloadBytes: _, ...facts }: SealedBatch = batch;
    const payload = ownPayload ?? sealed?.payload ?? Buffer.alloc(0);
    // A batch that the machine makes within an open call belongs to it, for all that recovery can tell.
    const record = {
      ...facts,
      type: "batch" as const,
      index,
      createdUs,
      payloadBytes: payload.length,
      more: this.#callOpen,
      cursor: sealed?.cursor,
    };
    this.#spool.appendBatch({ ...record, signed: effect.header === undefined ? undefined : this.#signer.sign(effect.header) }, payload);
  }

  async #send(index: number): Promise<void> {
    const session = this.#session;
    let frame: SpooledFrame;
    try {
      const read = this.#spool.read(index);
      frame = read instanceof Promise ? await read : read;
    } catch (error) {
      // A frame of an earlier session may have arrived after all, and be stored and forgotten while it was read to be sent again.
      if (this.#machine.has(index)) this.#spoolFailed(error);
      else if (session === this.#session) this.signal({ kind: "sent" });
      return;
    }
    if (session === undefined || session !== this.#session) return;
    this.#spool.release(index);
    if (session.send({ kind: "frame", ...frame })) this.signal({ kind: "sent" });
    else this.#blocked = true;
  }

  async #openEpoch(expectedEpoch: number): Promise<void> {
    const session = this.#session;
    const nonce = this.#sessionNonce;
    try {
      await this.saveState();
    } catch {
      return;
    }
    if (session === undefined || session !== this.#session) return;
    session.send({ kind: "openEpoch", expectedEpoch, ...this.#signer.opening(expectedEpoch, nonce) });
  }

  #scheduleConnect(attempt: number, afterMs: number): void {
    const { clock, random, options } = this.#context;
    const jitter = attempt === 0 ? 0 : fullJitterMs(random, attempt - 1, options.backoffBaseMs, options.backoffCapMs);
    this.#reconnect?.cancel();
    this.#reconnect = clock.setTimer(Math.min(afterMs + jitter, comeBackMsMax), () => this.#connect());
  }

  #connect(): void {
    const { gateway, options, clock } = this.#context;
    const own = (then: () => void): void => {
      if (session === this.#session) then();
    };
    let session: Session | undefined;
    this.#blocked = false;
    try {
      session = new Session(
        { ...gateway, ...this.#credentials.forSession, connectMs: options.connectMs, pingMs: options.pingMs, clock },
        {
          connected: () => own(() => this.signal({ kind: "connected" })),
          message: (message) => own(() => this.#message(message)),
          writable: () => own(() => this.#writable()),
          closed: (code, detail) => own(() => this.#closed(code, detail)),
        },
      );
    } catch (error) {
      this.#closed("SDK_CONNECT_FAILED", error instanceof Error ? error.message : String(error));
      return;
    }
    this.#session = session;
  }

  /** Room again: of interest only where a frame, and not some small message, had filled the transport. */
  #writable(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.signal({ kind: "sent" });
  }

  #message(message: ServerMessage): void {
    if (message.kind === "welcome") {
      const trust = this.#trust.welcome(message);
      if (trust instanceof SdkError) {
        this.#alarm(trust.code, trust.message);
        this.#disconnect(trust.code, trust.message);
        return;
      }
      this.#sessionNonce = Buffer.from(message.sessionNonce);
      if (trust.pinned) void this.saveState();
    } else if (message.kind === "receipt") {
      if (!this.#trust.believes(message)) {
        this.#disconnect("SDK_RECEIPT_INVALID", "a receipt's signature does not verify");
        return;
      }
      this.#keeper.receipted(message);
    }
    this.signal({ kind: "message", message });
    if (message.kind !== "welcome") return;
    this.#away = undefined;
    this.#context.telemetry.emit(sessionOpened, { ...this.#who, gateway: message.gateway.slice(0, 64), epoch: message.head.epoch });
  }

  #disconnect(code: SdkCode, detail: string): void {
    const session = this.#session;
    if (session === undefined) return;
    const polite = code === "SDK_CLOSED" || code === "SDK_DISCONNECTED";
    if (code === "SDK_CLOSED") session.send({ kind: "goodbye", code, message: detail, comeBackAfterMs: 0 });
    session.close(polite);
    this.#closed(code, detail);
  }

  #closed(code: SdkCode, detail: string): void {
    this.#session = undefined;
    this.#away = `${code}: ${detail}`.slice(0, limits.logTextBytesMax);
    this.#credentials.ended(code);
    this.signal({ kind: "disconnected", code, detail });
  }

  #alarm(code: SdkCode, detail: string): void {
    const text = detail.slice(0, limits.logTextBytesMax);
    const definition = alarming.has(code) ? producerAlarmed : sessionEnded;
    this.#context.telemetry.emit(definition, { ...this.#who, code, detail: text });
  }

  #spoolFailed(error: unknown): void {
    this.stop(error instanceof SdkError ? error : new SdkError("SDK_SPOOL_FAILED", "the spool cannot be used", { cause: error }));
  }
}

/** The longest that a gateway may keep a producer away, whatever it says. */
const comeBackMsMax = 86_400_000;

/** Codes that mean data at risk or somebody false at the other end; the others are the network's ordinary life. */
const alarming: ReadonlySet<SdkCode> = new Set<SdkCode>([
  "SDK_HISTORY_DIVERGED",
  "SDK_RECEIPT_INVALID",
  "SDK_RECEIPT_KEY_CHANGED",
  "SDK_SERVER_IDENTITY",
]);
