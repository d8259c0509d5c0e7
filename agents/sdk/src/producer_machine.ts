/**
 * Why: everything that must never go wrong between a spool and a gateway, in one place that does no I/O: what is sent, when it is settled, when
 *   it may be forgotten, and what becomes of the chain after either side has lost something.
 * Enforces: a frame is transmitted only when batch and signature are on disk; nothing is signed before the server's head was compared with the chain;
 *   go-back-N on the server's word; callers are answered exactly once, in order; frames stay until they are stored; a fenced producer stops,
 *   and never opens an epoch by itself.
 * Forbids: clocks, randomness, sockets, files. State has one owner; `step` is total over signals and phases.
 */
import {
  comeBackNever,
  type EpochOpened,
  epochFencedCode,
  type Goodbye,
  type Head,
  keyRetiredCode,
  protocolVersions,
  type Receipt,
  type Reject,
  type ServerMessage,
  type Throttle,
  type Welcome,
} from "ransomeye-ingestion/protocol";
import { rejectEnds, takeReceipt, takeReject, type Track } from "./answers.ts";
import { BackOff } from "./back_off.ts";
import type { SdkCode } from "./codes.ts";
import { EpochDesk, lostBehind } from "./epoch_desk.ts";
import { type ChainPoint, type Entry } from "./chain_types.ts";
import { FrameChain } from "./frame_chain.ts";
import { judgeHead } from "./head_verdict.ts";
import { KeyDesk, type KeyVerdict } from "./key_desk.ts";
import { withLosses } from "./loss_desk.ts";
import type { Effect, EpochReason, LossPolicy, MachineState, MachineStats, Now, Phase, SettleAnswer, Signal } from "./machine_types.ts";
import { freshMachineState, waitPolicy } from "./machine_types.ts";
import { type Course, Outbox } from "./outbox.ts";
import { SendQueue } from "./send_queue.ts";
import { SendWindow } from "./send_window.ts";
import { Settlement } from "./settlement.ts";

/** The pure heart of a producer. */
export class ProducerMachine {
  readonly #chain: FrameChain;
  readonly #queue: SendQueue;
  readonly #desk: EpochDesk;
  readonly #keys: KeyDesk;
  readonly #settlement: Settlement;
  readonly #outbox: Outbox;
  readonly #backOff: BackOff = new BackOff();
  readonly #schemaVersion: number;
  #phase: Phase = "idle";
  /** The server's history and ours were compared in this life of the process; before that nothing is signed. */
  #confirmed = false;
  #window: SendWindow = new SendWindow();
  #effects: Effect[] = [];

  constructor(
    producer: string,
    keyId: string,
    schemaVersion: number,
    state: MachineState = freshMachineState,
    entries: readonly Entry[] = [],
    policy: LossPolicy = waitPolicy,
  ) {
    this.#chain = new FrameChain(producer, keyId, state.chain, withLosses(entries, state.losses, schemaVersion));
    this.#queue = new SendQueue(this.#chain);
    this.#keys = new KeyDesk(this.#chain);
    this.#settlement = new Settlement(this.#chain, this.#queue);
    this.#schemaVersion = schemaVersion;
    this.#desk = new EpochDesk(state.intent, state.reopenedUs);
    const nextIndex = entries.reduce((next, entry) => Math.max(next, entry.index + 1), state.nextIndex);
    this.#outbox = new Outbox(this.#chain, this.#queue, this.#keys, { schemaVersion, policy, state: { ...state, nextIndex } });
  }

  /** What must survive; write it before whatever the effects of a step delete. */
  get state(): MachineState {
    const { intent, reopenedUs } = this.#desk;
    return { chain: this.#chain.state, intent, reopenedUs, nextIndex: this.#outbox.nextIndex, ...this.#outbox.losses.state };
  }

  /** Which declarations of losses `state` holds; `declared` tells it back. */
  get lossVersion(): number {
    return this.#outbox.losses.version;
  }

  get stats(): MachineStats {
    const { bytes, events } = this.#queue.waiting;
    return {
      phase: this.#phase,
      throttle: this.#window.throttle,
      epoch: this.#chain.epoch,
      tipSeq: this.#chain.tipSeq,
      frames: this.#chain.length,
      unsettledFrames: this.#chain.unsettled,
      pendingBytes: bytes,
      pendingEvents: events,
      ...this.#outbox.losses.stats,
    };
  }

  /** Whether a batch is still kept. */
  has(index: number): boolean {
    return this.#chain.byIndex(index) !== undefined;
  }

  /** The place of a spooled batch, where it has one. */
  linkOf(index: number): Entry["link"] {
    return this.#chain.byIndex(index)?.link;
  }

  /** Takes one signal; gives back what the shell does, in order. */
  step(signal: Signal, now: Now): readonly Effect[] {
    this.#effects = [];
    this.#take(signal, now);
    this.#effects.push(...this.#outbox.losses.declare(now));
    // Before the two histories were compared nothing is signed; while an epoch is being opened, nothing in the old one.
    if (this.#signs) this.#push(this.#outbox.signMore(this.#course(now), now));
    if (this.#phase === "streaming") this.#push(this.#outbox.pump(this.#window, now));
    return this.#effects;
  }

  #take(signal: Signal, now: Now): void {
    switch (signal.kind) {
      case "start":
        if (this.#phase === "idle") this.#connect();
        return;
      case "batch":
      case "durable":
      case "signed":
      case "lost":
      case "declared":
      case "sent":
        this.#effects.push(...this.#outbox.take(signal, this.#signs, this.#course(now), now));
        return;
      case "connected":
        this.#connected(now);
        return;
      case "message":
        this.#hear(signal.message, now);
        return;
      case "disconnected":
        this.#disconnected(signal.code, signal.detail, now);
        return;
      case "squeeze":
        this.#effects.push(...this.#settlement.squeeze(signal.bytes));
        return;
      case "key":
        this.#chain.useKey(signal.keyId);
        return;
      case "tick":
        return;
      case "close":
        if (this.#phase !== "stopped") this.#giveUp("SDK_CLOSED", "the producer is closed");
        this.#phase = "stopped";
        return;
    }
  }

  // ---- one session

  #connect(): void {
    this.#phase = "connecting";
    this.#effects.push({ kind: "connect", ...this.#backOff.next() });
  }

  #connected(now: Now): void {
    if (this.#phase !== "connecting") return;
    this.#phase = "greeting";
    this.#backOff.connected(now.ms);
    this.#newSession();
    this.#push(this.#outbox.hello(now));
  }

  #newSession(): void {
    this.#window = new SendWindow();
    this.#outbox.sent();
    this.#queue.moveTo(this.#queue.acked);
  }

  #disconnected(code: SdkCode, detail: string, now: Now): void {
    if (this.#phase === "stopped" || this.#phase === "idle") return;
    this.#backOff.disconnected(now.ms);
    this.#newSession();
    this.#effects.push({ kind: "alarm", code, detail });
    this.#connect();
  }

  #hear(message: ServerMessage, now: Now): void {
    if (this.#phase === "idle" || this.#phase === "connecting" || this.#phase === "stopped") return;
    const early = message.kind !== "welcome" && message.kind !== "goodbye" && message.kind !== "throttle";
    if (this.#phase === "greeting" && early) {
      this.#giveUp("SDK_PROTOCOL", `${message.kind} before Welcome`);
      return;
    }
    switch (message.kind) {
      case "welcome":
        this.#welcome(message, now);
        return;
      case "epochOpened":
        this.#epochOpened(message, now);
        return;
      case "receipt":
        this.#receipt(message);
        return;
      case "stored":
        this.#effects.push(...this.#settlement.stored(message.epoch, message.seq));
        return;
      case "credit":
        this.#window.grant({ bytes: message.bytesTotal, events: message.eventsTotal });
        this.#effects.push({ kind: "linger", ms: message.lingerMs });
        return;
      case "throttle":
        this.#throttled(message, now);
        return;
      case "reject":
        this.#rejected(message, now);
        return;
      case "goodbye":
        this.#goodbye(message);
        return;
      case "unknown":
        return;
    }
  }

  #welcome(welcome: Welcome, now: Now): void {
    if (this.#phase !== "greeting") {
      this.#giveUp("SDK_PROTOCOL", "a second Welcome");
    } else if (!protocolVersions.includes(welcome.protocolVersion) || welcome.schemaVersion !== this.#schemaVersion) {
      this.#giveUp("SDK_VERSION", `protocol ${welcome.protocolVersion}, schema ${welcome.schemaVersion}`);
    } else {
      this.#window.grant({ bytes: welcome.creditBytesTotal, events: welcome.creditEventsTotal });
      this.#effects.push({ kind: "linger", ms: welcome.lingerMs });
      this.#compare(welcome.head, now);
      this.#effects.push(...this.#settlement.stored(welcome.storedEpoch, welcome.storedSeq));
    }
  }

  #throttled(throttle: Throttle, now: Now): void {
    this.#window.throttled(throttle, now.ms);
    // One more than asked for: a timer may fire a fraction of a millisecond early, and no other would follow.
    if (throttle.state === "paused") this.#effects.push({ kind: "wake", afterMs: this.#window.pauseMs(now.ms) + 1 });
  }

  #goodbye({ code, message, comeBackAfterMs }: Goodbye): void {
    if (comeBackAfterMs === comeBackNever) {
      this.#refusedForGood(code, message, () => this.#keys.ended());
      return;
    }
    this.#backOff.comeBack(comeBackAfterMs);
    this.#giveUp("SDK_DISCONNECTED", `${code}: ${message}`);
  }

  #giveUp(code: SdkCode, detail: string): void {
    this.#effects.push({ kind: "disconnect", code, detail });
  }

  #refusedForGood(code: string, message: string, keyVerdict: () => KeyVerdict): void {
    if (code !== keyRetiredCode) {
      this.#stop(code === epochFencedCode ? "SDK_FENCED" : "SDK_REFUSED", `${code}: ${message}`);
      return;
    }
    const verdict = keyVerdict();
    // Another key signs by now: come back, and see what is left of the old one's frames.
    if (verdict.kind === "again") this.#giveUp("SDK_KEY_SUPERSEDED", `${code}: ${message}`);
    else this.#stop("SDK_KEY_RETIRED", `${code}: ${message}; key ${verdict.keyId}`);
  }

  #stop(code: SdkCode, detail: string): void {
    this.#phase = "stopped";
    this.#effects.push({ kind: "stop", code, detail });
  }

  // ---- two histories

  /** Compares the server's head with our chain and goes on from there, or opens an epoch, or stops. */
  #compare(head: Head, now: Now): void {
    const verdict = judgeHead(this.#chain, head, this.#desk.intent);
    switch (verdict.kind) {
      case "resume":
        if (this.#keys.bars(verdict.position)) this.#openEpoch(head.epoch, "key_retired", now);
        else this.#resume(verdict.position, "welcome");
        return;
      case "adopt":
        this.#adopt(verdict.epoch, verdict.prev, now);
        return;
      case "open":
        this.#openEpoch(head.epoch, verdict.reason, now);
        return;
      case "fenced":
        this.#stop("SDK_FENCED", `the server is in epoch ${head.epoch}, this spool in ${this.#chain.epoch}`);
        return;
    }
  }

  #resume(position: number, answer: SettleAnswer): void {
    this.#phase = "streaming";
    this.#confirmed = true;
    if (position < this.#queue.acked) this.#alarm("the server has lost what it had receipted; it is sent again");
    this.#effects.push(...this.#settlement.resume(position, answer));
  }

  #openEpoch(expectedEpoch: number, reason: EpochReason, now: Now): void {
    if (!this.#desk.ask(expectedEpoch, reason, now.us)) {
      this.#stop("SDK_EPOCH_LIMIT", `state was lost ${this.#desk.reopenedUs.length} times within a day`);
      return;
    }
    if (reason !== "first" && reason !== "key_retired") this.#alarm(`opening an epoch after ${expectedEpoch}: ${reason}`);
    this.#phase = "opening";
    this.#effects.push({ kind: "openEpoch", expectedEpoch, reason });
  }

  #epochOpened(opened: EpochOpened, now: Now): void {
    if (this.#phase !== "opening" || !this.#desk.answered(opened.epoch, now.us)) {
      this.#giveUp("SDK_PROTOCOL", `epoch ${opened.epoch} was opened without being asked for`);
      return;
    }
    // A server that lost epochs may open one that this spool has signed in before: its numbers are used up.
    if (opened.epoch <= this.#chain.epoch) this.#openEpoch(opened.epoch, "server_lost", now);
    else this.#adopt(opened.epoch, { epoch: opened.prevEpoch, seq: opened.prevSeq, hash: opened.prevHash }, now);
  }

  #adopt(epoch: number, prev: ChainPoint, now: Now): void {
    const lost = lostBehind(this.#chain.state, prev);
    const gap = lost > 0 ? this.#outbox.declareLost(lost, now) : undefined;
    this.#push(gap?.effect);
    const first = this.#chain.reopen(epoch, prev, gap?.facts);
    this.#outbox.signed();
    this.#resume(first, this.#desk.reason === "diverged" ? "diverged" : "welcome");
  }

  #alarm(detail: string): void {
    this.#effects.push({ kind: "alarm", code: "SDK_HISTORY_DIVERGED", detail });
  }

  get #signs(): boolean {
    return this.#confirmed && this.#phase !== "opening";
  }

  #course(now: Now): Course {
    return this.#phase === "streaming" && !this.#window.paused(now.ms) ? this.#window : undefined;
  }

  #push(effect: Effect | undefined): void {
    if (effect !== undefined) this.#effects.push(effect);
  }

  // ---- back

  get #track(): Track {
    return { chain: this.#chain, queue: this.#queue, window: this.#window };
  }

  #receipt(receipt: Receipt): void {
    // One that crossed our OpenEpoch: the next Welcome says the same.
    if (this.#phase !== "streaming") return;
    const outcome = takeReceipt(this.#track, receipt);
    if (outcome === "late") return;
    if (outcome === "false") {
      this.#giveUp("SDK_RECEIPT_INVALID", `the receipt for epoch ${receipt.epoch} seq ${receipt.durableSeq} does not match this chain`);
      return;
    }
    if (outcome.progressed) this.#backOff.progressed();
    this.#effects.push(...this.#settlement.receipted(outcome.frames, receipt));
  }

  #rejected(reject: Reject, now: Now): void {
    const { next, expected, code, message } = reject;
    if (next === "stop") {
      this.#refusedForGood(code, message, () => this.#keys.refused(reject));
    } else if ((next !== "resend" && next !== "wait") || expected === undefined) {
      this.#giveUp("SDK_DISCONNECTED", `${code}: ${message}`);
    } else if (this.#phase === "opening") {
      // Another epoch than expected: look again. Too many openings: come back later.
      if (next === "resend" && this.#window.mayRewind()) this.#compare(expected, now);
      else this.#giveUp("SDK_DISCONNECTED", `${code}: ${message}`);
    } else {
      this.#goBack(reject);
    }
  }

  #goBack(reject: Reject): void {
    const outcome = takeReject(this.#track, reject);
    if (outcome === "moved" || outcome === "known") return;
    const { stop, code, detail } = rejectEnds[outcome];
    if (stop) this.#stop(code, detail);
    else this.#giveUp(code, detail);
  }
}
