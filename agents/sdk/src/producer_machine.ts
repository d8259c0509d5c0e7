/**
 * Why: everything that must never go wrong between a spool and a gateway, in one place that does no I/O: what is sent, when it is settled, when
 *   it may be forgotten, and what becomes of the chain after either side has lost something.
 * Enforces: a frame is transmitted only when batch and signature are on disk; go-back-N on the server's word; cumulative credit; callers are
 *   answered exactly once, in order; frames stay until they are stored; a fenced producer stops, and never opens an epoch by itself.
 * Forbids: clocks, randomness, sockets, files. State has one owner; `step` is total over signals and phases.
 */
import type { EpochOpened, Goodbye, Head, Receipt, Reject, Throttle, Welcome } from "ransomeye-ingestion/protocol";
import { comeBackNever, headerBytes, lastSeqOf, payloadHash } from "ransomeye-ingestion/protocol";
import type { SdkCode } from "./codes.ts";
import { type BatchFacts, type ChainPoint, type Entry, emptyChain, FrameChain } from "./frame_chain.ts";
import type { Effect, EpochReason, MachineState, MachineStats, Now, Phase, SealedBatch, SettleAnswer, SettledFrame, Signal } from "./machine_types.ts";

/** Bytes that a frame costs beside its payload: header and signature. */
export const frameOverheadBytes: number = headerBytes + 64;
/** Links signed in one effect, so that signing a full spool anew does not hold up everything else. */
const signFramesMax = 128;
/** Rewinds without any progress after which the session is given up: the two sides do not understand each other. */
const rewindsMax = 16;
/** Epochs that one producer may open in a day because state was lost. */
const reopensPerDayMax = 5;
const dayUs = 86_400_000_000;
/** A session that lived this long was a good one: the next failure starts the back-off anew. */
const goodSessionMs = 10_000;

/** A machine that has never run. */
export const freshMachineState: MachineState = Object.freeze({ chain: emptyChain, intent: undefined, reopenedUs: Object.freeze([]), nextIndex: 1 });

/** A frame put on the wire in this session and not answered yet. */
interface Transmission {
  readonly lastSeq: number;
  readonly firstSeq: number;
  readonly round: number;
}

/** The pure heart of a producer. */
export class ProducerMachine {
  readonly #chain: FrameChain;
  readonly #schemaVersion: number;
  #phase: Phase = "idle";
  /** The server's history and ours were compared in this life of the process; before that nothing is signed. */
  #confirmed = false;
  #intent: number | undefined;
  #reopenedUs: readonly number[];
  #reason: EpochReason = "first";
  #nextIndex: number;
  /** Entries before this position are durable at the server. */
  #acked = 0;
  #nextSend = 0;
  #sending = false;
  #pendingBytes = 0;
  #pendingEvents = 0;
  #unsettled: number;
  #signing = 0;
  #attempt = 0;
  #connectedMs = 0;
  #comeBackMs = 0;
  // One session:
  #transmissions: Transmission[] = [];
  #round = 0;
  #rewinds = 0;
  #credit = { bytes: 0, events: 0 };
  #spent = { bytes: 0, events: 0 };
  #told: { readonly bytes: number; readonly events: number } | undefined;
  #throttle: Throttle["state"] = "open";
  #pausedUntilMs = 0;
  #effects: Effect[] = [];

  constructor(producer: string, keyId: string, schemaVersion: number, state: MachineState = freshMachineState, entries: readonly Entry[] = []) {
    this.#chain = new FrameChain(producer, keyId, state.chain, entries);
    this.#schemaVersion = schemaVersion;
    this.#intent = state.intent;
    this.#reopenedUs = state.reopenedUs;
    this.#nextIndex = entries.reduce((next, entry) => Math.max(next, entry.index + 1), state.nextIndex);
    this.#unsettled = entries.length;
    this.#recount();
  }

  /** What must survive; write it before whatever the effects of a step delete. */
  get state(): MachineState {
    return { chain: this.#chain.state, intent: this.#intent, reopenedUs: this.#reopenedUs, nextIndex: this.#nextIndex };
  }

  get stats(): MachineStats {
    return {
      phase: this.#phase,
      throttle: this.#throttle,
      epoch: this.#chain.epoch,
      tipSeq: this.#chain.tipSeq,
      frames: this.#chain.length,
      unsettledFrames: this.#unsettled,
      pendingBytes: this.#pendingBytes,
      pendingEvents: this.#pendingEvents,
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
    this.#signMore();
    this.#pump(now);
    return this.#effects;
  }

  #take(signal: Signal, now: Now): void {
    switch (signal.kind) {
      case "start":
        if (this.#phase === "idle") this.#connect(0);
        return;
      case "batch":
        this.#append(signal.batch, signal.pendingEvents, now);
        return;
      case "durable":
        this.#durable(signal.through);
        return;
      case "signed":
        this.#signing = 0;
        for (const { index, hash } of signal.links) {
          const entry = this.#chain.byIndex(index);
          if (entry?.link?.hash.equals(hash)) entry.linkDurable = true;
        }
        return;
      case "connected":
        if (this.#phase !== "connecting") return;
        this.#phase = "greeting";
        this.#connectedMs = now.ms;
        this.#beginSession();
        this.#effects.push({
          kind: "hello",
          epoch: this.#chain.epoch,
          nextSeq: this.#chain.tipSeq + 1,
          pendingBytes: this.#pendingBytes,
          pendingEvents: this.#pendingEvents,
          oldestPendingUs: this.#oldestUs(now),
        });
        return;
      case "message":
        this.#hear(signal.message, now);
        return;
      case "sent":
        this.#sending = false;
        return;
      case "disconnected":
        this.#disconnected(signal.code, signal.detail, now);
        return;
      case "squeeze":
        this.#squeeze(signal.bytes);
        return;
      case "tick":
        return;
      case "close":
        if (this.#phase !== "stopped") this.#effects.push({ kind: "disconnect", code: "SDK_CLOSED", detail: "the producer is closed" });
        this.#phase = "stopped";
        return;
    }
  }

  #hear(message: Extract<Signal, { kind: "message" }>["message"], now: Now): void {
    if (this.#phase === "idle" || this.#phase === "connecting" || this.#phase === "stopped") return;
    if (this.#phase === "greeting" && message.kind !== "welcome" && message.kind !== "goodbye" && message.kind !== "throttle") {
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
        this.#stored(message.epoch, message.seq);
        return;
      case "credit":
        // Cumulative: a smaller total is an older one.
        this.#credit = { bytes: Math.max(this.#credit.bytes, message.bytesTotal), events: Math.max(this.#credit.events, message.eventsTotal) };
        this.#told = undefined;
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
      return;
    }
    if (welcome.protocolVersion !== 1 || welcome.schemaVersion !== this.#schemaVersion) {
      this.#giveUp("SDK_VERSION", `protocol ${welcome.protocolVersion}, schema ${welcome.schemaVersion}`);
      return;
    }
    this.#credit = { bytes: welcome.creditBytesTotal, events: welcome.creditEventsTotal };
    this.#effects.push({ kind: "linger", ms: welcome.lingerMs });
    this.#compare(welcome.head, now);
    this.#stored(welcome.storedEpoch, welcome.storedSeq);
  }

  /** Compares the server's head with our chain and goes on from there, or opens an epoch, or stops. */
  #compare(head: Head, now: Now): void {
    const ours = this.#chain.epoch;
    const openedByUs = head.seq === 0 && head.epoch === ours + 1 && this.#intent === ours;
    if (openedByUs) {
      this.#adopt(head.epoch, { epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash }, now);
    } else if (head.epoch > ours) {
      // With a state of our own, a newer epoch means that another holder of this identity opened it.
      if (ours > 0) this.#stop("SDK_FENCED", `the server is in epoch ${head.epoch}, this spool in ${ours}`);
      else this.#openEpoch(head.epoch, "state_lost", now);
    } else if (head.epoch < ours) {
      this.#openEpoch(head.epoch, "server_lost", now);
    } else if (ours === 0) {
      this.#openEpoch(0, "first", now);
    } else {
      const located = this.#chain.locate(head);
      if (located.kind === "at") this.#resume(located.position, "welcome");
      else this.#openEpoch(head.epoch, located.kind === "behind" ? "server_lost" : "diverged", now);
    }
  }

  #resume(position: number, answer: "welcome" | "diverged"): void {
    this.#phase = "streaming";
    this.#confirmed = true;
    if (position < this.#acked) this.#effects.push({ kind: "alarm", code: "SDK_HISTORY_DIVERGED", detail: "the server has lost what it had receipted; sending it again" });
    this.#settle(position, answer, undefined);
    this.#acked = position;
    this.#nextSend = position;
    this.#recount();
  }

  #openEpoch(expectedEpoch: number, reason: EpochReason, now: Now): void {
    this.#reopenedUs = this.#reopenedUs.filter((at) => now.us - at < dayUs);
    if (reason !== "first") {
      if (this.#reopenedUs.length >= reopensPerDayMax) {
        this.#stop("SDK_EPOCH_LIMIT", `state lost ${this.#reopenedUs.length} times within a day`);
        return;
      }
      this.#effects.push({ kind: "alarm", code: "SDK_HISTORY_DIVERGED", detail: `opening an epoch after ${expectedEpoch}: ${reason}` });
    }
    this.#phase = "opening";
    this.#reason = reason;
    this.#intent = expectedEpoch;
    this.#effects.push({ kind: "openEpoch", expectedEpoch, reason });
  }

  #epochOpened(opened: EpochOpened, now: Now): void {
    if (this.#phase !== "opening" || opened.epoch !== (this.#intent ?? -1) + 1) {
      this.#giveUp("SDK_PROTOCOL", `epoch ${opened.epoch} was opened without being asked for`);
      return;
    }
    // Only what was opened counts against the day's limit, so that a server which is away cannot use it up.
    if (this.#reason !== "first") this.#reopenedUs = [...this.#reopenedUs, now.us];
    // A server that lost epochs may open one that this spool has signed in before: its numbers are used up.
    if (opened.epoch <= this.#chain.epoch) this.#openEpoch(opened.epoch, "server_lost", now);
    else this.#adopt(opened.epoch, { epoch: opened.prevEpoch, seq: opened.prevSeq, hash: opened.prevHash }, now);
  }

  #adopt(epoch: number, prev: ChainPoint, now: Now): void {
    // What the spool has forgotten and the sealed epoch does not hold is gone: declared first thing in the new epoch.
    const { epoch: ours, base } = this.#chain.state;
    const lost = prev.epoch === ours ? base.seq - prev.seq : prev.epoch < ours ? base.seq : 0;
    const gap = lost > 0 ? this.#gapBatch(lost, ours, base.seq, now) : undefined;
    const first = this.#chain.reopen(epoch, prev, gap);
    this.#signing = 0;
    this.#resume(first, this.#reason === "diverged" ? "diverged" : "welcome");
  }

  /** A batch that declares sequences lost. It is written like any other. */
  #gapBatch(count: number, epoch: number, lastSeq: number, now: Now): BatchFacts {
    const payload = Buffer.from(JSON.stringify({ reason: "server_lost", detail: { epoch, first_seq: lastSeq - count + 1, last_seq: lastSeq } }));
    const batch: SealedBatch = { kind: "gap", count, payloadBytes: payload.length, payloadHash: payloadHash(payload), schemaVersion: this.#schemaVersion, mappingVersion: 0 };
    const index = this.#nextIndex;
    this.#nextIndex += 1;
    this.#effects.push({ kind: "append", index, header: undefined, payload, batch, createdUs: now.us });
    return { ...batch, index, createdUs: now.us };
  }

  #append(batch: SealedBatch, pendingEvents: number, now: Now): void {
    const index = this.#nextIndex;
    this.#nextIndex += 1;
    const sign = this.#confirmed && this.#phase !== "opening" && this.#chain.unsigned === 0;
    const header = this.#chain.append({ ...batch, index, createdUs: now.us }, sign, pendingEvents);
    this.#unsettled += 1;
    this.#pendingBytes += batch.payloadBytes + frameOverheadBytes;
    this.#pendingEvents += batch.count;
    this.#effects.push({ kind: "append", index, header, payload: undefined, batch, createdUs: now.us });
  }

  #durable(through: number): void {
    for (let position = this.#chain.length - 1; position >= 0; position -= 1) {
      const entry = this.#chain.at(position);
      if (entry === undefined || (entry.batchDurable && entry.kind === "events")) break;
      if (entry.index > through) continue;
      entry.batchDurable = true;
      if (entry.link !== undefined && entry.link === entry.recorded) entry.linkDurable = true;
    }
    this.#durableGap(through);
  }

  /** A gap batch stands before older ones, where the walk from the end does not come by. */
  #durableGap(through: number): void {
    const entry = this.#chain.at(this.#acked);
    if (entry !== undefined && entry.kind === "gap" && entry.index <= through) entry.batchDurable = true;
  }

  #signMore(): void {
    if (!this.#confirmed || this.#phase === "opening" || this.#signing > 0 || this.#chain.unsigned === 0) return;
    const links = this.#chain.signNext(signFramesMax, 0);
    if (links.length === 0) return;
    this.#signing = links.length;
    this.#effects.push({ kind: "sign", links });
  }

  /** Sends what may be sent; asks for credit for what may not. */
  #pump(now: Now): void {
    if (this.#phase !== "streaming") return;
    const entry = this.#chain.at(this.#nextSend);
    if (entry === undefined) return;
    if (this.#throttle === "paused" && now.ms < this.#pausedUntilMs) return;
    const cost = entry.payloadBytes + frameOverheadBytes;
    const covered = this.#spent.bytes + cost <= this.#credit.bytes && this.#spent.events + entry.count <= this.#credit.events;
    if (!covered) this.#demand(now);
    else if (!this.#sending && entry.link !== undefined && entry.batchDurable && entry.linkDurable) {
      this.#sending = true;
      this.#nextSend += 1;
      this.#spent = { bytes: this.#spent.bytes + cost, events: this.#spent.events + entry.count };
      this.#pendingBytes -= cost;
      this.#pendingEvents -= entry.count;
      this.#transmissions.push({ firstSeq: entry.link.firstSeq, lastSeq: lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count }), round: this.#round });
      this.#effects.push({ kind: "send", index: entry.index });
    }
  }

  /** Tells what waits beyond the credit, when it was not told yet or has doubled. */
  #demand(now: Now): void {
    const bytes = Math.max(0, this.#pendingBytes - Math.max(0, this.#credit.bytes - this.#spent.bytes));
    const events = Math.max(0, this.#pendingEvents - Math.max(0, this.#credit.events - this.#spent.events));
    const told = this.#told;
    if (told !== undefined && bytes < Math.max(1, told.bytes) * 2 && events < Math.max(1, told.events) * 2) return;
    this.#told = { bytes, events };
    this.#effects.push({ kind: "demand", bytes, events, oldestUs: this.#oldestUs(now) });
  }

  #receipt(receipt: Receipt): void {
    // A late one of a sealed epoch, or one that crossed our OpenEpoch: the next Welcome says the same.
    if (this.#phase !== "streaming" || receipt.epoch < this.#chain.epoch) return;
    const located = receipt.epoch === this.#chain.epoch ? this.#chain.locate({ epoch: receipt.epoch, seq: receipt.durableSeq, hash: receipt.chainHash }) : undefined;
    if (located?.kind === "behind") return;
    if (located?.kind !== "at") {
      this.#giveUp("SDK_RECEIPT_INVALID", `the receipt for epoch ${receipt.epoch} seq ${receipt.durableSeq} does not match this chain`);
      return;
    }
    this.#transmissions = this.#transmissions.filter(({ lastSeq }) => lastSeq > receipt.durableSeq);
    this.#settle(located.position, "receipt", receipt);
    if (located.position > this.#acked) {
      this.#acked = located.position;
      this.#rewinds = 0;
      this.#attempt = 0;
    }
    if (this.#nextSend < this.#acked) {
      this.#nextSend = this.#acked;
      this.#recount();
    }
    this.#stored(receipt.storedEpoch, receipt.storedSeq);
  }

  #settle(position: number, answer: SettleAnswer, receipt: Receipt | undefined): void {
    const frames: SettledFrame[] = [];
    for (let at = Math.min(position, this.#chain.length) - 1; at >= 0; at -= 1) {
      const entry = this.#chain.at(at);
      if (entry === undefined || entry.settled) break;
      entry.settled = true;
      this.#unsettled -= 1;
      if (entry.link !== undefined) frames.push({ index: entry.index, epoch: entry.link.epoch, firstSeq: entry.link.firstSeq, count: entry.count });
    }
    if (frames.length === 0) return;
    this.#effects.push({ kind: "settle", frames: frames.reverse(), answer, invalid: receipt?.invalid ?? [], invalidMore: receipt?.invalidMore ?? 0 });
  }

  /** Forgets what is in rows, never beyond what was acknowledged to us by hash. */
  #stored(epoch: number, seq: number): void {
    let count = 0;
    for (; count < this.#acked; count += 1) {
      const entry = this.#chain.at(count);
      if (entry?.link === undefined) break;
      const last = lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count });
      if (entry.link.epoch > epoch || (entry.link.epoch === epoch && last > seq)) break;
    }
    this.#forget(count);
  }

  #squeeze(bytes: number): void {
    let count = 0;
    for (let freed = 0; freed < bytes && count < this.#acked; count += 1) freed += (this.#chain.at(count)?.payloadBytes ?? 0) + frameOverheadBytes;
    this.#forget(count);
  }

  #forget(count: number): void {
    if (count === 0) return;
    this.#acked -= count;
    this.#nextSend -= count;
    this.#effects.push({ kind: "forget", indexes: this.#chain.forget(count) });
  }

  #throttled(throttle: Throttle, now: Now): void {
    this.#throttle = throttle.state;
    if (throttle.state !== "paused") return;
    this.#pausedUntilMs = now.ms + throttle.retryAfterMs;
    // One more than asked for: a timer may fire a fraction of a millisecond early, and no other would follow.
    this.#effects.push({ kind: "wake", afterMs: throttle.retryAfterMs + 1 });
  }

  #rejected(reject: Reject, now: Now): void {
    if (reject.next === "stop") {
      this.#stop(/FENCED/.test(reject.code) ? "SDK_FENCED" : "SDK_REFUSED", `${reject.code}: ${reject.message}`);
      return;
    }
    const expected = reject.expected;
    if ((reject.next !== "resend" && reject.next !== "wait") || expected === undefined) {
      this.#giveUp("SDK_DISCONNECTED", `${reject.code}: ${reject.message}`);
      return;
    }
    this.#rewinds += 1;
    if (this.#rewinds > rewindsMax) {
      this.#giveUp("SDK_PROTOCOL", "the server keeps asking for what it refuses");
    } else if (this.#phase === "opening") {
      // Another epoch than expected: look again. Too many openings: come back later.
      if (reject.next === "resend") this.#compare(expected, now);
      else this.#giveUp("SDK_DISCONNECTED", `${reject.code}: ${reject.message}`);
    } else {
      this.#goBack(reject.firstSeq, expected);
    }
  }

  /** Go-back-N: sends again from behind the expected head. Receipts that are still on their way settle what lies before. */
  #goBack(firstSeq: number, expected: Head): void {
    // The oldest transmission of that frame is the one that is answered. If it was sent before the last rewind, we know already; if the server
    // has moved its expectation since, it refuses what is sent anew as well.
    const at = this.#transmissions.findIndex((transmission) => transmission.firstSeq === firstSeq);
    const [answered] = at < 0 ? [] : this.#transmissions.splice(at, 1);
    if (answered === undefined || answered.round !== this.#round) {
      this.#rewinds -= 1;
      return;
    }
    this.#round += 1;
    if (expected.epoch > this.#chain.epoch) {
      this.#stop("SDK_FENCED", `the server is in epoch ${expected.epoch}, this session in ${this.#chain.epoch}`);
      return;
    }
    const located = expected.epoch === this.#chain.epoch ? this.#chain.locate(expected) : undefined;
    if (located?.kind !== "at" || located.position < this.#acked) {
      // Losses are settled at the start of a session, never in the middle of one.
      this.#giveUp("SDK_HISTORY_DIVERGED", "the server expects a head that is not in this chain");
      return;
    }
    this.#nextSend = located.position;
    this.#recount();
  }

  #goodbye(goodbye: Goodbye): void {
    if (goodbye.comeBackAfterMs === comeBackNever) {
      this.#stop(/FENCED/.test(goodbye.code) ? "SDK_FENCED" : "SDK_REFUSED", `${goodbye.code}: ${goodbye.message}`);
      return;
    }
    this.#comeBackMs = goodbye.comeBackAfterMs;
    this.#effects.push({ kind: "disconnect", code: "SDK_DISCONNECTED", detail: `${goodbye.code}: ${goodbye.message}` });
  }

  #disconnected(code: SdkCode, detail: string, now: Now): void {
    if (this.#phase === "stopped" || this.#phase === "idle") return;
    if (this.#phase !== "connecting" && now.ms - this.#connectedMs >= goodSessionMs) this.#attempt = 0;
    // Never at once: a fleet that lost one gateway must not come back in one wave.
    this.#attempt = Math.max(1, this.#attempt);
    this.#beginSession();
    this.#nextSend = this.#acked;
    this.#recount();
    const after = this.#comeBackMs;
    this.#comeBackMs = 0;
    this.#phase = "idle";
    this.#effects.push({ kind: "alarm", code, detail });
    this.#connect(after);
  }

  #connect(afterMs: number): void {
    this.#phase = "connecting";
    this.#effects.push({ kind: "connect", attempt: this.#attempt, afterMs });
    this.#attempt += 1;
  }

  #giveUp(code: SdkCode, detail: string): void {
    this.#effects.push({ kind: "disconnect", code, detail });
  }

  #stop(code: SdkCode, detail: string): void {
    this.#phase = "stopped";
    this.#effects.push({ kind: "stop", code, detail });
  }

  #beginSession(): void {
    this.#transmissions = [];
    this.#round = 0;
    this.#rewinds = 0;
    this.#sending = false;
    this.#credit = { bytes: 0, events: 0 };
    this.#spent = { bytes: 0, events: 0 };
    this.#told = undefined;
    this.#throttle = "open";
    this.#pausedUntilMs = 0;
  }

  #recount(): void {
    this.#pendingBytes = 0;
    this.#pendingEvents = 0;
    for (let at = this.#nextSend; at < this.#chain.length; at += 1) {
      const entry = this.#chain.at(at);
      this.#pendingBytes += (entry?.payloadBytes ?? 0) + frameOverheadBytes;
      this.#pendingEvents += entry?.count ?? 0;
    }
  }

  #oldestUs(now: Now): number {
    const entry = this.#chain.at(this.#nextSend);
    return entry === undefined ? 0 : Math.max(0, now.us - entry.createdUs);
  }
}
