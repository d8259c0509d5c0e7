/**
 * Why: a producer may sign a sequence once only, so whatever it transmits must first be on its disk, and must be found there after kill -9.
 * Enforces: append-only segments; one fdatasync for all that was written since the last one, before anything of it is reported durable; bounded bytes; a full disk
 *   makes everybody wait and is then written again from the last durable byte on; any other failure of the disk ends the spool.
 * Forbids: transmission before durability, a second fdatasync after one that failed (the kernel may have dropped the pages), loss at the bound.
 *
 * Torn tail: in the newest segment the first record that is not whole and right, and all behind it, is cut off at recovery. It cannot have been
 * transmitted, for that waits for fdatasync. In an older segment, which was synced before a newer one began, such a record is SDK_SPOOL_CORRUPT.
 */
import { join } from "node:path";
import { rm } from "node:fs/promises";
import { type Clock, syncDirectory } from "ransomeye-kernel";
import { payloadHash } from "ransomeye-ingestion/protocol";
import { SdkError } from "./codes.ts";
import { type RoomWaiter, untilRoom } from "./disk_room.ts";
import type { OpenSpoolFile, SpoolFile } from "./spool_files.ts";
import { type BatchRecord, encodeBatch, encodeLink, type LinkRecord, segmentMagic, type SignedHeader } from "./spool_record.ts";

/** What the spool tells its owner, in the order in which it was written. */
export interface SpoolListener {
  /** All batches up to this index are durable, and the call of the last one is complete. */
  batches(through: number): void;
  links(links: readonly { readonly index: number; readonly header: Buffer }[]): void;
  /** No room on the disk; the spool tries again by itself. */
  stalled(error: SdkError): void;
  /** The spool is of no more use. */
  failed(error: SdkError): void;
}

/** A frame as it goes on the wire. */
export interface SpooledFrame extends SignedHeader {
  readonly payload: Buffer;
}

/** A segment file with what still needs it. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: SpoolFile;
  bytes: number;
  users: number;
}

/** Where a batch lies. */
export interface Slot {
  readonly index: number;
  readonly segment: Segment;
  readonly payloadAt: number;
  readonly payloadBytes: number;
  readonly payloadHash: Buffer;
  signed: SignedHeader | undefined;
  /** The segment of its newest link, where that is a record of its own. */
  linkSegment: Segment | undefined;
}

interface Pending {
  readonly record: BatchRecord | LinkRecord;
  readonly parts: readonly Buffer[];
  readonly bytes: number;
  readonly payload: Buffer | undefined;
}

export interface SpoolOptions {
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly cacheBytesMax: number;
  readonly openFile: OpenSpoolFile;
  readonly clock: Clock;
}

/** Bytes written under one fdatasync at most, so that a long queue does not hold up its first entry. */
const groupBytesMax = 4 * 1024 * 1024;

/** The name of a segment. */
export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.seg`;
}

/** An open spool. Made by `openSpool`. */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #listener: SpoolListener;
  readonly #slots = new Map<number, Slot>();
  readonly #segments: Segment[];
  readonly #cache = new Map<number, Buffer>();
  readonly #abort = new AbortController();
  #cacheBytes = 0;
  #queue: Pending[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | undefined;
  #nextSegment: number;
  #failed: SdkError | undefined;

  constructor(options: SpoolOptions, listener: SpoolListener, segments: readonly Segment[], slots: Iterable<Slot>) {
    this.#options = options;
    this.#listener = listener;
    this.#segments = [...segments];
    this.#nextSegment = (segments.at(-1)?.number ?? 0) + 1;
    for (const slot of slots) this.#slots.set(slot.index, slot);
  }

  /** Bytes on disk and on their way there. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, this.#queuedBytes);
  }

  /** The same without segments that nothing needs any more and that are about to be deleted. */
  get neededBytes(): number {
    return this.free.reduce((sum, segment) => sum - segment.bytes, this.bytes);
  }

  /** Whoever writes beside the segments waits for room as they do. */
  get roomWaiter(): RoomWaiter {
    return { clock: this.#options.clock, closing: this.#abort.signal, stalled: (error) => this.#listener.stalled(error) };
  }

  /** Writes a batch; the listener hears when it is durable. */
  appendBatch(record: BatchRecord, payload: Buffer): void {
    this.#enqueue(record, encodeBatch(record, payload), payload);
  }

  /** Writes places signed later; the listener hears when they are durable. */
  appendLinks(links: readonly { readonly index: number; readonly signed: SignedHeader }[]): void {
    for (const link of links) {
      const record: LinkRecord = { type: "link", ...link };
      this.#enqueue(record, encodeLink(record), undefined);
    }
  }

  /** The frame of a durable, signed batch: from memory where it is still there. */
  read(index: number): SpooledFrame | Promise<SpooledFrame> {
    const slot = this.#slots.get(index);
    if (slot?.signed === undefined) throw new SdkError("SDK_SPOOL_CORRUPT", `batch ${index} is not in the spool`);
    const cached = this.#cache.get(index);
    return cached === undefined ? this.#readPayload(slot, slot.signed) : { ...slot.signed, payload: cached };
  }

  /** The frame went out; its payload need not stay in memory. */
  release(index: number): void {
    const payload = this.#cache.get(index);
    if (payload === undefined) return;
    this.#cache.delete(index);
    this.#cacheBytes -= payload.length;
  }

  /** Forgets batches. Returns whether there are segments that nothing needs any more: see `free`. */
  forget(indexes: readonly number[]): boolean {
    for (const index of indexes) {
      const slot = this.#slots.get(index);
      if (slot === undefined) continue;
      this.#slots.delete(index);
      this.release(index);
      slot.segment.users -= 1;
      if (slot.linkSegment !== undefined) slot.linkSegment.users -= 1;
    }
    return this.free.length > 0;
  }

  /** Deletes segments that were free when the state was taken that is on disk by now: only of them it tells what they told. */
  async remove(free: readonly Segment[]): Promise<void> {
    for (const segment of free) this.#segments.splice(this.#segments.indexOf(segment), 1);
    for (const segment of free) {
      await segment.file.close();
      await rm(segment.path, { force: true });
    }
    if (free.length > 0) await syncDirectory(this.#options.directory);
  }

  /** Waits for what was appended; a full disk is no longer waited for. */
  async finish(): Promise<void> {
    this.#abort.abort(new SdkError("SDK_CLOSED", "the spool is closed"));
    await this.#writing;
  }

  /** Closes the files. */
  async close(): Promise<void> {
    await this.finish();
    for (const segment of this.#segments) await segment.file.close();
  }

  /**
   * Segments that nothing needs any more. Only from the oldest on: a batch that was signed later has its link in a later segment. If that went
   * first, a crash would leave the batch without its place, and it would be sent a second time under another number.
   */
  get free(): readonly Segment[] {
    const needed = this.#segments.findIndex((segment) => segment.users > 0);
    return this.#segments.slice(0, needed < 0 ? -1 : Math.min(needed, this.#segments.length - 1));
  }

  #enqueue(record: BatchRecord | LinkRecord, parts: readonly Buffer[], payload: Buffer | undefined): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.#queue.push({ record, parts, bytes, payload });
    this.#queuedBytes += bytes;
    if (this.#failed === undefined) this.#writing ??= this.#writeQueue();
  }

  /** Group commit: everything that queued up while the last group was synced goes into the next one. */
  async #writeQueue(): Promise<void> {
    try {
      while (this.#queue.length > 0) await this.#writeGroup(this.#takeGroup());
    } catch (error) {
      this.#failed = error instanceof SdkError ? error : new SdkError("SDK_SPOOL_FAILED", "the spool cannot be written", { cause: error });
      this.#listener.failed(this.#failed);
    } finally {
      this.#writing = undefined;
    }
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes + (this.#queue[count]?.bytes ?? 0) <= groupBytesMax)) {
      bytes += this.#queue[count]?.bytes ?? 0;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #writeGroup(group: readonly Pending[]): Promise<void> {
    const parts = group.flatMap((pending) => pending.parts);
    const bytes = group.reduce((sum, pending) => sum + pending.bytes, 0);
    // What was written in part is written over from the last durable byte on; after a crash it is a torn tail.
    await untilRoom(async () => {
      const segment = await this.#segmentFor();
      await segment.file.write(parts, segment.bytes);
      await segment.file.sync();
      this.#committed(group, segment);
      segment.bytes += bytes;
    }, this.roomWaiter);
    this.#queuedBytes -= bytes;
    this.#tell(group);
  }

  async #segmentFor(): Promise<Segment> {
    const active = this.#segments.at(-1);
    if (active !== undefined && active.bytes < this.#options.segmentBytesMax) return active;
    const number = this.#nextSegment;
    const path = join(this.#options.directory, segmentName(number));
    const file = await this.#options.openFile(path, true);
    try {
      await file.write([segmentMagic], 0);
      // Before the first record is reported durable the name must be; its contents are synced with it.
      await syncDirectory(this.#options.directory);
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    const segment: Segment = { number, path, file, bytes: segmentMagic.length, users: 0 };
    this.#nextSegment += 1;
    this.#segments.push(segment);
    return segment;
  }

  #committed(group: readonly Pending[], segment: Segment): void {
    let at = segment.bytes;
    for (const { record, bytes, payload } of group) {
      if (record.type === "batch" && payload !== undefined) {
        const slot: Slot = {
          index: record.index,
          segment,
          payloadAt: at + bytes - payload.length,
          payloadBytes: payload.length,
          payloadHash: record.payloadHash,
          signed: record.signed,
          linkSegment: undefined,
        };
        this.#slots.set(record.index, slot);
        segment.users += 1;
        this.#keep(record.index, payload);
      } else if (record.type === "link") {
        const slot = this.#slots.get(record.index);
        if (slot !== undefined) {
          if (slot.linkSegment !== undefined) slot.linkSegment.users -= 1;
          slot.linkSegment = segment;
          slot.signed = record.signed;
          segment.users += 1;
        }
      }
      at += bytes;
    }
  }

  #tell(group: readonly Pending[]): void {
    let complete: number | undefined;
    const links: { index: number; header: Buffer }[] = [];
    for (const { record } of group) {
      // A gap that is written with its place stands behind batches of higher index: only its own name tells it.
      if (record.type === "link" || (record.kind === "gap" && record.signed !== undefined))
        links.push({ index: record.index, header: (record.signed as SignedHeader).header });
      else if (!record.more) complete = record.index;
    }
    if (complete !== undefined) this.#listener.batches(complete);
    if (links.length > 0) this.#listener.links(links);
  }

  #keep(index: number, payload: Buffer): void {
    if (this.#cacheBytes + payload.length > this.#options.cacheBytesMax) return;
    this.#cache.set(index, payload);
    this.#cacheBytes += payload.length;
  }

  async #readPayload(slot: Slot, signed: SignedHeader): Promise<SpooledFrame> {
    let payload: Buffer;
    try {
      payload = await slot.segment.file.read(slot.payloadBytes, slot.payloadAt);
    } catch (error) {
      throw new SdkError("SDK_SPOOL_CORRUPT", `batch ${slot.index} cannot be read back`, { cause: error });
    }
    if (!payloadHash(payload).equals(slot.payloadHash)) throw new SdkError("SDK_SPOOL_CORRUPT", `batch ${slot.index} reads back altered`);
    return { ...signed, payload };
  }
}
