/**
 * Why: a producer's promise hangs on what its disk holds after a crash, so the disk is a party of its own.
 * Enforces: what was not synced is lost at a crash, but for some first part of it; the state file is the old one or the new one, never half, and tells what was
 *   true when its writing began.
 * Forbids: telling durability before the sync has ended.
 */
import { type BatchRecord, type LinkRecord, type MachineState, incompleteTail } from "ransomeye-sdk";
import { type Life, type Scheduler, between } from "./scheduler.ts";

export type DiskRecord = { readonly record: BatchRecord; readonly payload: Buffer } | { readonly record: LinkRecord };

/** A segment file. */
export interface Segment {
  readonly records: DiskRecord[];
}

export interface DiskListener {
  batches(through: number): void;
  links(links: readonly LinkRecord[]): void;
}

/** Records of one segment file; small, so that deletion happens often. */
const segmentRecords = 5;

/** The spool's files of one producer. They outlive the process that writes them. */
export class SimDisk {
  readonly #scheduler: Scheduler;
  readonly syncMsMax = 8;
  segments: Segment[] = [{ records: [] }];
  state: MachineState | undefined;
  #queue: DiskRecord[] = [];
  #writing: readonly DiskRecord[] = [];
  #busy = false;
  #forgotten = new Set<number>();
  readonly #states: (() => void)[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** All that the files hold, in the order in which it was written. */
  get records(): readonly DiskRecord[] {
    return this.segments.flatMap((segment) => segment.records);
  }

  get isIdle(): boolean {
    return !this.#busy && this.#queue.length === 0;
  }

  append(life: Life, records: readonly DiskRecord[], listener: DiskListener): void {
    this.#queue.push(...records);
    if (!this.#busy) this.#write(life, listener);
  }

  /** kill -9: of what was being written some first part may have reached the disk. */
  crash(): void {
    const kept = between(this.#scheduler.random, 0, this.#writing.length);
    for (const record of this.#writing.slice(0, kept)) this.#put(record);
    this.#queue = [];
    this.#writing = [];
    this.#busy = false;
    this.#states.length = 0;
    this.#forgotten = new Set();
    this.#dropIncompleteCall();
  }

  /** The disk is replaced by an empty one. */
  lose(): void {
    this.segments = [{ records: [] }];
    this.state = undefined;
  }

  forget(indexes: readonly number[]): boolean {
    for (const index of indexes) this.#forgotten.add(index);
    return this.#free().length > 0;
  }

  remove(free: readonly Segment[]): void {
    this.segments = this.segments.filter((segment) => !free.includes(segment));
  }

  /** Writes the state file, in line with others: what is true when its turn comes, durable a while later. `then` hears what was free at that first moment. */
  saveState(life: Life, state: () => MachineState, then: (free: readonly Segment[]) => void): void {
    const turn = (): void => {
      const taken = state();
      const free = this.#free();
      life.in(this.#scheduler.random.float() * this.syncMsMax, "", () => {
        this.state = taken;
        then(free);
        this.#states.shift();
        this.#states[0]?.();
      });
    };
    if (this.#states.push(turn) === 1) turn();
  }

  #write(life: Life, listener: DiskListener): void {
    if (this.#queue.length === 0) return;
    this.#busy = true;
    const group = this.#queue;
    this.#queue = [];
    this.#writing = group;
    life.in(this.#scheduler.random.float() * this.syncMsMax, "", () => {
      for (const record of group) this.#put(record);
      this.#writing = [];
      this.#busy = false;
      let through: number | undefined;
      const links: LinkRecord[] = [];
      for (const { record } of group) {
        if (record.type === "link") links.push(record);
        else if (!record.more) through = record.index;
      }
      if (through !== undefined) listener.batches(through);
      if (links.length > 0) listener.links(links);
      if (!this.#busy) this.#write(life, listener);
    });
  }

  #put(record: DiskRecord): void {
    let segment = this.segments[this.segments.length - 1] as Segment;
    if (segment.records.length >= segmentRecords) {
      segment = { records: [] };
      this.segments.push(segment);
    }
    segment.records.push(record);
  }

  /** Segments from the oldest on, but for the newest, that hold nothing still needed: no kept batch and no newest link of one. */
  #free(): Segment[] {
    const newest = new Map<number, DiskRecord>();
    for (const record of this.records) if (record.record.type === "link") newest.set(record.record.index, record);
    const needed = (one: DiskRecord): boolean =>
      !this.#forgotten.has(one.record.index) && (one.record.type === "batch" || newest.get(one.record.index) === one);
    const kept = this.segments.findIndex((segment) => segment.records.some(needed));
    return this.segments.slice(0, kept < 0 ? -1 : Math.min(kept, this.segments.length - 1));
  }

  /** Recovery takes an incomplete call off the end of the files, and everything behind its beginning. */
  #dropIncompleteCall(): void {
    const batches = this.records.map(({ record }) => record).filter((record): record is BatchRecord => record.type === "batch");
    const from = incompleteTail(batches)[0]?.index;
    if (from === undefined) return;
    this.segments = this.segments.map(({ records }) => {
      const at = records.findIndex(({ record }) => record.index >= from);
      return { records: at < 0 ? records : records.slice(0, at) };
    });
  }
}
