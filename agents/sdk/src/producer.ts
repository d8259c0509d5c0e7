/**
 * Why: what an application sees of the SDK: lines in, durable places and receipts out.
 * Enforces: bounds on lines and calls; callers wait for room instead of losing anything (promise 5); lines are sealed by size and by the linger that the
 *   gateway tells, and without it where a caller says urgent.
 * Forbids: looking into the lines. An event that is not valid is the gateway's finding, and comes back in the receipt.
 */
import { type Clock, limits, type Random, type Telemetry } from "ransomeye-kernel";
import { Admission } from "./admission.ts";
import { Batcher, type Sealed } from "./batcher.ts";
import { Call, CallBook, type Delivery, type DeliverySummary } from "./calls.ts";
import { type SdkCode, SdkError } from "./codes.ts";
import { framesSettled, spoolBytes, spoolFrames, spoolRecovered } from "./events.ts";
import type { ProducerIdentity } from "./identity.ts";
import { IdentityKeeper } from "./identity_keeper.ts";
import type { Effect, MachineStats } from "./machine_types.ts";
import { type ProducerOptions, type ResolvedOptions, resolveOptions, schemaVersion } from "./options.ts";
import { frameOverheadBytes } from "./send_queue.ts";
import { Runner } from "./runner.ts";
import { SealTimer } from "./seal_timer.ts";
import { type OpenedSpool, openSpool } from "./spool_open.ts";
import { cursorBytesMax } from "./spool_record.ts";

export interface OpenProducer {
  readonly identity: ProducerIdentity;
  readonly gateway: { readonly host: string; readonly port: number };
  /** A directory of this producer's own. */
  readonly spoolDir: string;
  /** Where the identity lies. With it, keys and certificates that are replaced there are taken up; and where the identity knows its registry's address, the certificate is renewed. */
  readonly identityDir?: string;
  readonly options?: ProducerOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export interface SendOptions {
  /** Do not wait for more lines: detections skip the linger. Only where they come in a flood they gather, for a tenth of it at most. */
  readonly urgent?: boolean;
}

export interface SendManyOptions extends SendOptions {
  /** Where the source stands behind these lines; kept atomically with them, told by `cursor()` after a restart. At most 4 KiB. */
  readonly cursor?: string;
  /** Version of the mapping that made these lines, where it is not the producer's. */
  readonly mappingVersion?: number;
}

/** Lines that are safely on this machine's disk. */
export interface Spooled {
  /** 0 while the producer has no epoch or is not yet connected; an epoch may still change. `receipt` tells the final numbers. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly receipt: Promise<DeliverySummary>;
  /** The spool is full and its producer does not wait: the lines are lost, and a declaration of that is on this machine's disk. */
  readonly lost?: true;
}

export interface ProducerStats extends MachineStats {
  readonly spoolBytes: number;
  readonly waitingCalls: number;
  /** Why the spool cannot write at the moment. */
  readonly stalled: SdkCode | undefined;
  /** Why the producer has stopped for good. */
  readonly stopped: SdkCode | undefined;
  /** Why the last session ended, or could not begin, in words; undefined while there is one. */
  readonly away: string | undefined;
}

interface Drain {
  readonly until: "receipt" | "stored";
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/** Opens a producer: recovers its spool, then connects. Rejects where options or spool are unusable; an unreachable gateway is no error. */
export async function openProducer(settings: OpenProducer): Promise<Producer> {
  const options = resolveOptions(settings.options ?? {});
  const { identity, spoolDir, clock, telemetry } = settings;
  // The spool speaks only after something was appended, and only the runner appends.
  const open: { runner?: Runner } = {};
  const opened = await openSpool(
    { directory: spoolDir, producer: identity.producer, bytesMax: options.spoolBytesMax, openFile: options.openFile, clock },
    {
      batches: (through) => open.runner?.spoolBatches(through),
      links: (links) => open.runner?.spoolLinks(links),
      stalled: (error) => open.runner?.spoolStalled(error),
      failed: (error) => open.runner?.stop(error),
    },
  );
  telemetry.emit(spoolRecovered, {
    producer: identity.producer,
    frames: opened.entries.length,
    cut_bytes: opened.cutBytes,
    dropped_batches: opened.droppedBatches,
  });
  try {
    return new Producer(settings, options, opened, (runner) => {
      open.runner = runner;
    });
  } catch (error) {
    // Keys or a certificate that cannot be used: whoever mends them shall find the spool free.
    await opened.spool.close();
    await opened.release();
    throw error;
  }
}

/** A producer; see lib.ts for how to use one. */
export class Producer {
  readonly #settings: OpenProducer;
  readonly #options: ResolvedOptions;
  readonly #opened: OpenedSpool;
  readonly #runner: Runner;
  readonly #batcher: Batcher;
  readonly #calls = new CallBook();
  readonly #admission: Admission;
  readonly #keeper: IdentityKeeper | undefined;
  #drains: Drain[] = [];
  readonly #sealTimer: SealTimer;
  #closing: Promise<void> | undefined;

  /** Use `openProducer`. */
  constructor(settings: OpenProducer, options: ResolvedOptions, opened: OpenedSpool, adopt: (runner: Runner) => void) {
    const { identity, gateway, spoolDir, clock, random, telemetry } = settings;
    const { frameBytesMax, frameEventsMax, mappingVersion } = options;
    this.#settings = settings;
    this.#options = options;
    this.#opened = opened;
    this.#sealTimer = new SealTimer(clock, options.lingerMs, () => this.flush());
    this.#batcher = new Batcher({ frameBytesMax, frameEventsMax, schemaVersion, mappingVersion }, (sealed) => this.#sealed(sealed));
    this.#admission = new Admission((bytes) => this.#hasRoom(bytes, 1));
    this.#keeper = keeperOf(settings, options, (renewed) => this.#runner.renewed(renewed));
    this.#runner = new Runner({ identity, gateway, spoolDir, options, clock, random, telemetry }, opened, {
      settled: (effect) => this.#settled(effect),
      spooled: (through) => this.#calls.spooled(through),
      progressed: () => this.#progressed(),
      linger: (ms) => this.#sealTimer.linger(ms),
      stopped: (error) => this.#stopped(error),
    });
    adopt(this.#runner);
    this.#runner.signal({ kind: "start" });
    this.#keeper?.start();
  }

  /** Sends one event and waits for its receipt. For many events `sendMany` costs far less. */
  async send(line: Buffer | string, options: SendOptions = {}): Promise<Delivery> {
    const call = await this.#admit([typeof line === "string" ? Buffer.from(line, "utf8") : line], options);
    const { ranges, invalid, known, lost } = await call.receipt;
    if (lost !== undefined) return { id: "", known, lost: true };
    const id = `${this.#settings.identity.producer}:${ranges[0]?.epoch ?? 0}:${ranges[0]?.firstSeq ?? 0}`;
    const fault = invalid[0];
    return fault === undefined ? { id, known } : { id, known, invalid: { code: fault.code, reason: fault.reason } };
  }

  /** Hands over lines (without line feeds); resolves when they are durable on this machine. Waits while the spool is full. */
  async sendMany(lines: readonly Buffer[], options: SendManyOptions = {}): Promise<Spooled> {
    const call = await this.#admit(lines, options);
    const { index, place } = await call.spooled;
    // Batches count from 1.
    if (index === 0) return { firstSeq: 0, lastSeq: 0, receipt: call.receipt, lost: true };
    const link = this.#runner.linkOf(index);
    const lastSeq = link === undefined ? 0 : link.firstSeq + place - 1;
    return { firstSeq: lastSeq === 0 ? 0 : Math.max(1, lastSeq - lines.length + 1), lastSeq, receipt: call.receipt };
  }

  /** Where the source stood behind the newest durable lines; undefined when it never told. */
  cursor(): string | undefined {
    return this.#runner.cursor;
  }

  /** Seals the open frame without waiting for more lines. */
  flush(): void {
    this.#batcher.flush();
  }

  /** Waits until all that was handed over, and all that the spool held, is receipted or stored. Rejects when the producer stops or the signal aborts. */
  drain(until: "receipt" | "stored", signal?: AbortSignal): Promise<void> {
    this.flush();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#drains = this.#drains.filter((one) => one !== drain);
        drain.fail(signal?.reason as Error);
      };
      const drain: Drain = {
        until,
        done: () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        },
        fail: (error) => {
          signal?.removeEventListener("abort", leave);
          reject(error);
        },
      };
      if (this.#runner.stopped !== undefined) drain.fail(this.#runner.stopped);
      else if (signal?.aborted) leave();
      else {
        signal?.addEventListener("abort", leave, { once: true });
        this.#drains.push(drain);
        this.#checkDrains();
      }
    });
  }

  stats(): ProducerStats {
    const { stats, stalled, stopped, away } = this.#runner;
    return { ...stats, spoolBytes: this.#opened.spool.bytes, waitingCalls: this.#admission.waiting, stalled, stopped: stopped?.code, away };
  }

  /** Why the producer has stopped for good, with all that was said about it. */
  get stopped(): SdkError | undefined {
    return this.#runner.stopped;
  }

  /** Spools what was handed over, says goodbye, writes the state, lets go of the spool. What has no receipt yet is sent by the next producer on this spool. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #admit(lines: readonly Buffer[], options: SendManyOptions): Promise<Call> {
    if (this.#closing !== undefined) throw new SdkError("SDK_CLOSED", "the producer is closed");
    if (this.#runner.stopped !== undefined) throw this.#runner.stopped;
    if (options.cursor !== undefined && Buffer.byteLength(options.cursor) > cursorBytesMax)
      throw new SdkError("SDK_OPTIONS_INVALID", `a cursor has at most ${cursorBytesMax} bytes`);
    let bytes = 0;
    for (const [at, line] of lines.entries()) {
      if (line.length === 0 || line.length > limits.lineBytesMax || line.length >= this.#options.frameBytesMax || line.includes(lineFeed)) {
        throw new SdkError("SDK_LINE_INVALID", `line ${at} is empty, too long or holds a line feed`, {
          fields: { line: at, bytes: line.length },
        });
      }
      bytes += line.length + 1;
    }
    if (lines.length === 0) throw new SdkError("SDK_LINE_INVALID", "a call without lines");
    if (bytes > this.#options.spoolBytesMax / 2)
      throw new SdkError("SDK_CALL_TOO_LARGE", `${bytes} bytes in one call`, { fields: { bytes } });
    if (this.#options.whenFull === "declare" && !this.#hasRoomToSpare(bytes)) return this.#lose(lines.length, options.cursor);
    return this.#admission.enter(bytes, () => {
      const call = new Call(this.#settings.identity.producer, lines.length);
      this.#batcher.add(call, lines, bytes, options);
      if (this.#closing !== undefined) this.flush();
      else if (this.#batcher.count > 0) this.#sealTimer.joined(options.urgent === true);
      return call;
    });
  }

  /** While losses are being declared room begins further down, so that a slow gateway makes few declarations and not one for each frame that it takes. */
  #hasRoomToSpare(bytes: number): boolean {
    const { undeclared, losing } = this.#runner.stats;
    return !undeclared && this.#hasRoom(bytes, losing ? losingShare : 1);
  }

  #lose(lines: number, cursor: string | undefined): Call {
    const call = new Call(this.#settings.identity.producer, lines);
    this.flush();
    this.#runner.losses.lost(call, cursor);
    return call;
  }

  #hasRoom(bytes: number, share: number): boolean {
    const { spool } = this.#opened;
    const spoolBytesMax = this.#options.spoolBytesMax * share;
    const spoolFramesMax = this.#options.spoolFramesMax * share;
    // Who waits is woken by the deletion of segments; who cannot wait must not lose anything for want of a moment.
    const held = (): number => (this.#options.whenFull === "declare" ? spool.neededBytes : spool.bytes);
    const over = (): number => held() + this.#batcher.bytes + bytes + frameOverheadBytes - spoolBytesMax;
    const frames = this.#runner.stats.frames;
    if (over() <= 0 && frames < spoolFramesMax) return true;
    // Receipted frames are kept for the case that the server forgets them; what has no receipt at all comes first.
    this.#runner.signal({ kind: "squeeze", bytes: Math.max(over(), frames >= spoolFramesMax ? 1 : 0) });
    return over() <= 0 && this.#runner.stats.frames < spoolFramesMax;
  }

  #sealed(sealed: Sealed): void {
    this.#sealTimer.cancel();
    const index = this.#runner.append(sealed, this.#batcher.count);
    this.#calls.add(index, sealed.parts);
  }

  #settled(effect: Extract<Effect, { kind: "settle" }>): void {
    const diverged = new SdkError("SDK_HISTORY_DIVERGED", "the server holds something else at the sequences of these lines");
    let events = 0;
    const frames = effect.frames.filter(({ kind }) => kind === "events");
    for (const [at, { index, epoch, firstSeq, count }] of frames.entries()) {
      const more = at === frames.length - 1 ? effect.invalidMore : 0;
      this.#calls.settle(index, { epoch, firstSeq, lastSeq: firstSeq + count - 1 }, effect.answer, effect.invalid, more, diverged);
      events += count;
    }
    const { identity, telemetry } = this.#settings;
    const invalid = effect.invalid.length + effect.invalidMore;
    telemetry.emit(framesSettled, { producer: identity.producer, frames: frames.length, events, invalid, answer: effect.answer });
  }

  #progressed(): void {
    const { identity, telemetry } = this.#settings;
    telemetry.set(spoolBytes, this.#opened.spool.bytes, { producer: identity.producer });
    telemetry.set(spoolFrames, this.#runner.stats.frames, { producer: identity.producer });
    // Not from within a step: a call that enters now may seal a frame, which is a signal of its own.
    queueMicrotask(() => {
      this.#admission.retry();
      this.#checkDrains();
    });
  }

  #checkDrains(): void {
    if (this.#drains.length === 0 || this.#batcher.count > 0 || this.#admission.waiting > 0) return;
    const { frames, unsettledFrames, undeclared } = this.#runner.stats;
    if (undeclared) return;
    const ready = this.#drains.filter((drain) => (drain.until === "receipt" ? unsettledFrames === 0 : frames === 0));
    this.#drains = this.#drains.filter((drain) => !ready.includes(drain));
    for (const drain of ready) drain.done();
  }

  #stopped(error: SdkError): void {
    this.#sealTimer.cancel();
    this.#admission.fail(error);
    this.#batcher.fail(error);
    for (const drain of this.#drains.splice(0)) drain.fail(error);
    this.#calls.fail(error);
  }

  async #close(): Promise<void> {
    this.#admission.fail(new SdkError("SDK_CLOSED", "the producer is closed"));
    this.flush();
    await this.#keeper?.stop();
    const { spool } = this.#opened;
    await spool.finish();
    await this.#runner.losses.finish();
    this.#runner.stop(new SdkError("SDK_CLOSED", "the producer is closed"));
    try {
      await this.#runner.saveState();
    } finally {
      await spool.close();
      await this.#opened.release();
    }
  }
}

/** What keeps the identity good, where it is known where that lies. */
function keeperOf(
  { identity, identityDir, clock, random, telemetry }: OpenProducer,
  { connectMs, identityLookMs }: ResolvedOptions,
  renewed: (identity: ProducerIdentity) => void,
): IdentityKeeper | undefined {
  if (identityDir === undefined) return undefined;
  const kept = { directory: identityDir, identity, timeoutMs: connectMs, lookMs: identityLookMs, clock, random, telemetry };
  return new IdentityKeeper(kept, renewed);
}

const lineFeed = 10;
/** The share of the spool that must be free again before lines are taken behind a loss. */
const losingShare = 3 / 4;
