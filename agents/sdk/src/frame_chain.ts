/**
 * Why: a producer's frames form one chain: (epoch, seq) names each event for ever, and each frame signs the hash of the one before.
 * Enforces: a sequence is given out once in an epoch; a new epoch links to the sealed end of the old one, and only what lies after that end
 *   is signed anew; a head told by the server is found in the chain by sequence *and* hash.
 * Forbids: I/O, clocks, keys. The header is made here; the signature is put beside it by the shell.
 */
import { invariant } from "ransomeye-kernel";
import { encodeHeader, frameHash, lastSeqOf, zeroHash } from "ransomeye-ingestion/protocol";
import {
  type BatchFacts,
  type ChainPoint,
  type ChainState,
  type Entry,
  entryOf,
  type Link,
  type Located,
  type Loss,
} from "./chain_types.ts";
import type { SettledFrame } from "./machine_types.ts";

/** The chain of one producer. One owner: the machine. */
export class FrameChain {
  readonly #producer: string;
  /** In sequence order: durable frames of earlier epochs, this epoch's signed frames, then what is unsigned. */
  readonly #entries: Entry[];
  readonly #byIndex = new Map<number, Entry>();
  #keyId: string;
  #epoch: number;
  #prev: ChainPoint;
  #base: { readonly seq: number; readonly hash: Buffer };
  #tip: { readonly seq: number; readonly hash: Buffer };
  #offered: number;
  #unsigned = 0;
  #unsettled = 0;

  constructor(producer: string, keyId: string, state: ChainState, entries: readonly Entry[]) {
    this.#producer = producer;
    this.#keyId = keyId;
    this.#epoch = state.epoch;
    this.#prev = state.prev;
    this.#base = state.base;
    this.#tip = state.base;
    this.#offered = state.offered;
    this.#entries = [...entries];
    for (const entry of entries) {
      this.#byIndex.set(entry.index, entry);
      if (!entry.settled) this.#unsettled += 1;
      if (entry.link === undefined) this.#unsigned += 1;
      else if (entry.link.epoch === this.#epoch) {
        invariant(entry.link.firstSeq === this.#tip.seq + 1, `the spool's chain has a hole at seq ${entry.link.firstSeq}`);
        this.#tip = { seq: lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count }), hash: entry.link.hash };
      }
    }
    this.#offered = Math.max(this.#offered, this.#tip.seq);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The key that signs the next frame. */
  get keyId(): string {
    return this.#keyId;
  }

  /** From the next frame on this key signs. What has its place keeps the key that is named in it. */
  useKey(keyId: string): void {
    this.#keyId = keyId;
  }

  /** Which key signs the frame that ends here; undefined where this chain has none. */
  keyOf(epoch: number, lastSeq: number): string | undefined {
    const position = epoch === this.#epoch ? this.#positionOf(lastSeq) : undefined;
    return position === undefined ? undefined : this.#entries[position]?.link?.keyId;
  }

  /** Whether one of these keys signs a frame from this position on. */
  isSignedBy(keyIds: ReadonlySet<string>, position: number): boolean {
    if (keyIds.size === 0) return false;
    return this.#entries.slice(position).some(({ link }) => link !== undefined && keyIds.has(link.keyId));
  }

  /** Last sequence signed in this epoch. */
  get tipSeq(): number {
    return this.#tip.seq;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Batches whose callers have no answer yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  get unsigned(): number {
    return this.#unsigned;
  }

  get state(): ChainState {
    return { epoch: this.#epoch, prev: this.#prev, base: this.#base, offered: this.#offered };
  }

  at(position: number): Entry | undefined {
    return this.#entries[position];
  }

  byIndex(index: number): Entry | undefined {
    return this.#byIndex.get(index);
  }

  /** Adds a batch at the end. `sign`: give it its place now, possible only when nothing before it waits for one. Returns the header to sign. */
  append(facts: BatchFacts, sign: boolean, pendingEvents: number): Buffer | undefined {
    invariant(!sign || (this.#unsigned === 0 && this.#epoch > 0), "a frame is signed behind an unsigned one");
    const linked = sign ? this.#linkNext(facts, pendingEvents) : undefined;
    const entry = entryOf(facts, linked?.link);
    this.#entries.push(entry);
    this.#byIndex.set(entry.index, entry);
    this.#unsettled += 1;
    if (linked === undefined) this.#unsigned += 1;
    return linked?.header;
  }

  /** Gives the next unsigned batches their places, at most `max` of them and only durable ones. Returns their headers to sign. */
  signNext(max: number): { readonly index: number; readonly header: Buffer; readonly hash: Buffer }[] {
    const signed: { index: number; header: Buffer; hash: Buffer }[] = [];
    let waiting = 0;
    for (let at = this.#entries.length - this.#unsigned; at < this.#entries.length; at += 1) waiting += this.#entries[at]?.count ?? 0;
    while (this.#unsigned > 0 && signed.length < max) {
      const entry = this.#entries[this.#entries.length - this.#unsigned];
      if (entry === undefined || !entry.batchDurable) break;
      waiting -= entry.count;
      const { link, header } = this.#linkNext(entry, waiting);
      entry.link = link;
      entry.placed = true;
      entry.linkDurable = false;
      this.#unsigned -= 1;
      signed.push({ index: entry.index, header, hash: link.hash });
    }
    return signed;
  }

  /** Finds a head of this epoch. */
  locate(head: ChainPoint): Located {
    invariant(head.epoch === this.#epoch, "a head of another epoch");
    if (head.seq < this.#base.seq) return { kind: "behind", lost: this.#base.seq - head.seq };
    const first = this.#entries.findIndex((entry) => entry.link === undefined || entry.link.epoch === this.#epoch);
    const start = first < 0 ? this.#entries.length : first;
    // An epoch without frames has no hash of its own, whatever the server shows for it.
    if (head.seq === this.#base.seq)
      return head.seq === 0 || head.hash.equals(this.#base.hash) ? { kind: "at", position: start } : { kind: "unknown" };
    const position = this.#positionOf(head.seq);
    return position !== undefined && this.#entries[position]?.link?.hash.equals(head.hash)
      ? { kind: "at", position: position + 1 }
      : { kind: "unknown" };
  }

  /**
   * Goes on in a new epoch behind the sealed end `prev`. Frames signed in `prev.epoch` after `prev.seq` become unsigned again and keep their order;
   * returns the first of those positions: everything before it lies within the seal. `gap` is put in front of them.
   */
  reopen(epoch: number, prev: ChainPoint, gap: BatchFacts | undefined): number {
    invariant(epoch > this.#epoch, "epochs grow");
    const within = (entry: Entry): boolean =>
      entry.link !== undefined &&
      (entry.link.epoch < prev.epoch ||
        (entry.link.epoch === prev.epoch && lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count }) <= prev.seq));
    const found = this.#entries.findIndex((entry) => !within(entry));
    const first = found < 0 ? this.#entries.length : found;
    if (gap !== undefined) {
      // Nobody waits for a gap: it counts as settled.
      const entry: Entry = { ...entryOf(gap, undefined), settled: true, placed: true };
      this.#entries.splice(first, 0, entry);
      this.#byIndex.set(entry.index, entry);
    }
    for (let at = first; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at];
      if (entry === undefined) continue;
      entry.link = undefined;
      entry.linkDurable = false;
    }
    this.#unsigned = this.#entries.length - first;
    this.#epoch = epoch;
    this.#prev = prev;
    this.#base = { seq: 0, hash: zeroHash };
    this.#tip = this.#base;
    this.#offered = 0;
    return first;
  }

  /** Position of the frame that ends at this sequence of the current epoch. */
  #positionOf(seq: number): number | undefined {
    let low = 0;
    let high = this.#entries.length - this.#unsigned - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const entry = this.#entries[middle];
      const link = entry?.link;
      if (entry === undefined || link === undefined) return undefined;
      const last = link.epoch < this.#epoch ? 0 : lastSeqOf({ firstSeq: link.firstSeq, count: entry.count });
      if (last === seq) return middle;
      if (last < seq) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  /** Marks everything before `position` as answered; returns what had no answer yet, in order. */
  settle(position: number): SettledFrame[] {
    const frames: SettledFrame[] = [];
    for (let at = Math.min(position, this.#entries.length) - 1; at >= 0; at -= 1) {
      const entry = this.#entries[at];
      if (entry?.link === undefined || entry.settled) break;
      entry.settled = true;
      this.#unsettled -= 1;
      frames.push({ index: entry.index, kind: entry.kind, epoch: entry.link.epoch, firstSeq: entry.link.firstSeq, count: entry.count });
    }
    return frames.reverse();
  }

  /** How many of the first `limit` entries end at or before this point. */
  countUpTo(limit: number, epoch: number, seq: number): number {
    let count = 0;
    for (; count < limit; count += 1) {
      const entry = this.#entries[count];
      if (entry?.link === undefined || entry.link.epoch > epoch) break;
      if (entry.link.epoch === epoch && lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count }) > seq) break;
    }
    return count;
  }

  /** How many of the first `limit` entries make up this many bytes of payload. */
  countBytes(limit: number, bytes: number): number {
    let count = 0;
    for (let have = 0; have < bytes && count < limit; count += 1) have += this.#entries[count]?.payloadBytes ?? 0;
    return count;
  }

  /** Batches up to this index, and the calls that they belong to, are on disk. */
  markDurable(through: number): void {
    for (let at = this.#entries.length - 1; at >= 0; at -= 1) {
      const entry = this.#entries[at];
      if (entry === undefined || (entry.batchDurable && entry.kind === "events")) break;
      if (entry.index <= through && entry.loss === undefined) markOnDisk(entry);
    }
    // A gap that opens an epoch stands before older batches, where the walk from the end does not come by.
    const gap = this.#entries[this.#entries.length - this.#unsigned];
    if (gap?.kind === "gap" && gap.index <= through && gap.loss === undefined) markOnDisk(gap);
  }

  /** A link signed after its batch is on disk; one that was replaced since does not count. */
  markLinked(index: number, hash: Buffer): void {
    const entry = this.#byIndex.get(index);
    if (entry?.loss !== undefined && entry.recorded?.hash.equals(hash)) entry.batchDurable = true;
    if (entry?.link?.hash.equals(hash)) entry.linkDurable = true;
  }

  // ---- losses of our own

  /** Where the batches begin that never had a place: nobody has seen them. */
  get unplacedAt(): number {
    let at = this.#entries.length - this.#unsigned;
    while (this.#entries[at]?.placed) at += 1;
    return at;
  }

  /** Whether every batch of events, and every call, is on disk. */
  get eventsDurable(): boolean {
    return this.#entries.findLast(({ kind }) => kind === "events")?.batchDurable ?? true;
  }

  /** The next batch to get its place. */
  get firstUnsigned(): Entry | undefined {
    return this.#entries[this.#entries.length - this.#unsigned];
  }

  /** Declarations whose own records are not on disk yet, in order: only the state tells of them. */
  get openLosses(): Loss[] {
    return this.#entries.flatMap(({ loss, batchDurable }) => (loss === undefined || batchDurable ? [] : [loss]));
  }

  /** Puts others in the place of batches that never had one. Returns what went. */
  replaceUnplaced(position: number, count: number, entries: readonly Entry[]): Entry[] {
    invariant(position >= this.unplacedAt, "a batch that may have been transmitted is given up");
    const gone = this.#entries.splice(position, count, ...entries);
    for (const entry of gone) this.#byIndex.delete(entry.index);
    for (const entry of entries) this.#byIndex.set(entry.index, entry);
    this.#unsigned += entries.length - gone.length;
    this.#unsettled += entries.length - gone.length;
    return gone;
  }

  /** Gives the declaration that is next its place, for good. Returns the header to sign. */
  placeLoss(): Buffer {
    const entry = this.firstUnsigned;
    invariant(entry?.loss !== undefined && entry.recorded === undefined, "no declaration is next");
    let pending = -entry.count;
    for (let at = this.#entries.length - this.#unsigned; at < this.#entries.length; at += 1) pending += this.#entries[at]?.count ?? 0;
    const { link, header } = this.#linkNext(entry, pending);
    this.#entries[this.#entries.length - this.#unsigned] = { ...entry, link, recorded: link, placed: true };
    this.#byIndex.set(entry.index, this.#entries[this.#entries.length - this.#unsigned] as Entry);
    this.#unsigned -= 1;
    return header;
  }

  /** Forgets the first `count` entries, which must be durable at the server. Returns their indexes. */
  forget(count: number): number[] {
    const gone = this.#entries.splice(0, count);
    for (const entry of gone) {
      invariant(entry.link !== undefined, "an unsigned batch is not forgotten");
      this.#byIndex.delete(entry.index);
      if (entry.link.epoch === this.#epoch)
        this.#base = { seq: lastSeqOf({ firstSeq: entry.link.firstSeq, count: entry.count }), hash: entry.link.hash };
    }
    return gone.map((entry) => entry.index);
  }

  #linkNext(facts: BatchFacts, pendingEvents: number): { link: Link; header: Buffer } {
    const firstSeq = this.#tip.seq + 1;
    const last = firstSeq + facts.count - 1;
    const prev = firstSeq === 1 ? this.#prev : { epoch: this.#epoch, seq: this.#tip.seq, hash: this.#tip.hash };
    this.#offered = Math.max(this.#offered, last + pendingEvents);
    const header = encodeHeader({
      producer: this.#producer,
      keyId: this.#keyId,
      kind: facts.kind,
      codec: 0,
      schemaVersion: facts.schemaVersion,
      mappingVersion: facts.mappingVersion,
      epoch: this.#epoch,
      firstSeq,
      count: facts.count,
      offered: this.#offered,
      prevEpoch: prev.epoch,
      prevSeq: prev.seq,
      prevHash: prev.hash,
      payloadHash: facts.payloadHash,
      payloadBytes: facts.payloadBytes,
    });
    const hash = frameHash(header);
    this.#tip = { seq: last, hash };
    return { link: { epoch: this.#epoch, firstSeq, hash, keyId: this.#keyId }, header };
  }
}

function markOnDisk(entry: Entry): void {
  entry.batchDurable = true;
  if (entry.link !== undefined && entry.link === entry.recorded) entry.linkDurable = true;
}
