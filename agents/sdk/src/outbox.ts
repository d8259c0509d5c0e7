/**
 * Why: the way of a batch from the application to the wire: it gets an index, a place in the chain, its signature, and its turn.
 * Enforces: where losses are declared, a batch gets its place only when credit covers it, so that it can be given up until then; a frame is sent only when batch and link are on disk, one at a time, within credit; signing anew goes in portions, so that a full spool does
 *   not hold up everything else.
 * Forbids: knowing of sessions and epochs more than it is told.
 */
import { lastSeqOf, payloadHash } from "ransomeye-ingestion/protocol";
import { lostPayload } from "./epoch_desk.ts";
import type { BatchFacts, Entry } from "./chain_types.ts";
import type { FrameChain } from "./frame_chain.ts";
import type { KeyDesk } from "./key_desk.ts";
import { LossDesk, lossPayload } from "./loss_desk.ts";
import type { Effect, LossPolicy, MachineState, Now, SealedBatch, Signal } from "./machine_types.ts";
import { costOf, type SendQueue } from "./send_queue.ts";
import type { SendWindow } from "./send_window.ts";

/** Links signed in one effect. */
const signFramesMax = 128;

/** The session in which batches get their places; none while nothing may be sent. */
export type Course = SendWindow | undefined;

/** Signals that come from the application and the disk. */
type OwnSignal = Extract<Signal, { kind: "batch" | "durable" | "signed" | "lost" | "declared" | "sent" }>;

/** The sending side of one producer. */
export class Outbox {
  readonly losses: LossDesk;
  readonly #chain: FrameChain;
  readonly #queue: SendQueue;
  readonly #keys: KeyDesk;
  readonly #schemaVersion: number;
  readonly #policy: LossPolicy;
  #nextIndex: number;
  #sending = false;
  #signing = false;
  /** The last batch's call goes on in the next one. */
  #callOpen = false;

  constructor(
    chain: FrameChain,
    queue: SendQueue,
    keys: KeyDesk,
    about: {
      readonly schemaVersion: number;
      readonly policy: LossPolicy;
      readonly state: Pick<MachineState, "nextIndex" | "givenUpThrough">;
    },
  ) {
    this.#chain = chain;
    this.#queue = queue;
    this.#keys = keys;
    this.#schemaVersion = about.schemaVersion;
    this.#policy = about.policy;
    this.#nextIndex = about.state.nextIndex;
    const { policy, schemaVersion, state } = about;
    this.losses = new LossDesk(chain, queue, { policy, schemaVersion, givenUpThrough: state.givenUpThrough }, () => this.#takeIndex());
  }

  get nextIndex(): number {
    return this.#nextIndex;
  }

  /** What happens on this side of the wire. `signs`: the two histories agree, so places may be given. */
  take(signal: OwnSignal, signs: boolean, course: Course, now: Now): readonly Effect[] {
    switch (signal.kind) {
      case "batch":
        return [this.#append(signal, signs, course, now)];
      case "durable":
        this.#chain.markDurable(signal.through);
        return [];
      case "signed":
        this.signed();
        for (const { index, hash } of signal.links) this.#chain.markLinked(index, hash);
        return [];
      case "lost":
        this.losses.lost(signal.count, now.us);
        return [];
      case "declared":
        return this.losses.declared(signal.version);
      case "sent":
        this.sent();
        return [];
    }
  }

  /** In its place at once, unless others wait for theirs. */
  #append({ batch, pendingEvents, more = false }: OwnSignal & { kind: "batch" }, signs: boolean, course: Course, now: Now): Effect {
    const index = this.#takeIndex();
    this.#callOpen = more;
    const placed = signs && this.#chain.unsigned === 0 && this.#covers(batch, course);
    const header = this.#chain.append({ ...batch, index, createdUs: now.us }, placed, pendingEvents);
    this.#queue.added(batch);
    return { kind: "append", index, header, payload: undefined, batch, createdUs: now.us };
  }

  /** A batch that declares sequences lost. It is written like any other; its place is for `FrameChain.reopen` to give. */
  declareLost(count: number, now: Now): { readonly facts: BatchFacts; readonly effect: Effect } {
    const payload = lostPayload(this.#chain.state, count);
    const about = {
      payloadBytes: payload.length,
      payloadHash: payloadHash(payload),
      schemaVersion: this.#schemaVersion,
      mappingVersion: 0,
    };
    const batch: SealedBatch = { kind: "gap", count, ...about };
    const index = this.#takeIndex();
    const effect: Effect = { kind: "append", index, header: undefined, payload, batch, createdUs: now.us };
    return { facts: { ...batch, index, createdUs: now.us }, effect };
  }

  /** What a session begins with. */
  hello(now: Now): Effect {
    this.#keys.greeted();
    const { bytes, events } = this.#queue.waiting;
    const { epoch, tipSeq } = this.#chain;
    const oldestPendingUs = this.#queue.oldestUs(now.us);
    return { kind: "hello", epoch, nextSeq: tipSeq + 1, pendingBytes: bytes, pendingEvents: events, oldestPendingUs };
  }

  /** The next portion to sign, when the last one is on disk. */
  signMore(course: Course, now: Now): Effect | undefined {
    if (this.#signing || this.#chain.unsigned === 0) return undefined;
    const places = this.#policy.declares ? (course === undefined ? 0 : this.#queue.covered(course)) : signFramesMax;
    if (places === 0) return undefined;
    const next = this.#chain.firstUnsigned;
    if (next?.loss !== undefined && next.recorded === undefined) return this.#placeLoss(next, now);
    const links = this.#chain.signNext(Math.min(places, signFramesMax));
    if (links.length === 0) return undefined;
    this.#signing = true;
    return { kind: "sign", links };
  }

  /** A portion is on disk; or what was being signed has no place any more. */
  signed(): void {
    this.#signing = false;
  }

  /** Sends what may be sent; asks for credit for what may not. */
  pump(window: SendWindow, now: Now): Effect | undefined {
    const entry = this.#queue.peek();
    if (entry === undefined || window.paused(now.ms)) return undefined;
    const cost = costOf(entry);
    if (!window.covers(cost)) {
      const demand = window.demand(this.#queue.waiting);
      if (demand === undefined) return undefined;
      return { kind: "demand", ...demand, oldestUs: this.#queue.oldestUs(now.us), frameBytes: cost.bytes };
    }
    // never before batch and link are on disk, or a crash could sign this sequence a second time.
    if (this.#sending || entry.link === undefined || !entry.batchDurable || !entry.linkDurable) return undefined;
    const { firstSeq, keyId } = entry.link;
    this.#sending = true;
    this.#keys.sent(keyId);
    window.spend(cost, firstSeq, lastSeqOf({ firstSeq, count: entry.count }));
    this.#queue.advance();
    return { kind: "send", index: entry.index };
  }

  /** The transport has room again; or there is a new one. */
  sent(): void {
    this.#sending = false;
  }

  /** A declaration gets its place and is written in one: before that it may grow, afterwards never. Not within an open call, which recovery may drop with all behind it. */
  #placeLoss(entry: Entry, now: Now): Effect | undefined {
    const { loss, index, kind, count, payloadBytes, payloadHash: hash, schemaVersion, mappingVersion } = entry;
    if (loss === undefined || this.#callOpen || !this.losses.isDurable(index)) return undefined;
    const header = this.#chain.placeLoss();
    const batch: SealedBatch = { kind, count, payloadBytes, payloadHash: hash, schemaVersion, mappingVersion };
    return { kind: "append", index, header, payload: lossPayload(loss), batch, createdUs: now.us };
  }

  #covers(batch: SealedBatch, course: Course): boolean {
    if (!this.#policy.declares) return true;
    const { bytes, events } = this.#queue.waiting;
    const cost = costOf(batch);
    return course?.covers({ bytes: bytes + cost.bytes, events: events + cost.events }) ?? false;
  }

  #takeIndex(): number {
    this.#nextIndex += 1;
    return this.#nextIndex - 1;
  }
}
