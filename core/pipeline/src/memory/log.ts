/**
 * Why it exists: the frame log in memory. Simulation and tests run on it; what it does is what the pure machine says and nothing more.
 * Enforces: the port's guarantees short of durability, and a bound on bytes held. Deterministic: no timers, no randomness, time only from
 * the clock that was injected; a promise it returns is already settled.
 * Forbids: use in production. What it holds is gone with the process.
 */
import { createHash } from "node:crypto";
import type { Clock } from "ransomeye-kernel";
import { advance, type ChainHead, judge, type Known, needsKnown, noHead, openEpoch, partitionOf, zeroHash } from "../append_machine.ts";
import { checkAppend, checkPartition, checkProducer, frameBytes } from "../arguments.ts";
import type {
  AppendOptions,
  AppendOutcome,
  BusControl,
  BusEntry,
  BusPressure,
  FrameAccepter,
  FrameAppend,
  FrameLink,
  FrameLog,
  GateReport,
  OpenEpochOutcome,
  OpenEpochRequest,
  PartitionTail,
  PressureQuestion,
  Position,
  ProducerHead,
  ReadOptions,
} from "../bus.ts";
import { BusError } from "../errors.ts";
import { type HeldLease, leaseBytes } from "../gate_leases.ts";

export interface MemoryBusOptions {
  readonly clock: Clock;
  readonly partitions?: number;
  readonly generation?: string;
  /** Frames beyond this are answered `paused: full` until something is trimmed. */
  readonly capacityBytesMax?: number;
  readonly epochOpeningsPerDayMax?: number;
  /** Frames of all gates that may be on their way at once. */
  readonly inFlightBytesMax?: number;
}

interface Partition {
  /** The low mark: entries up to here are gone. */
  low: Position;
  /** Entries low.off + 1 … in order. */
  readonly entries: BusEntry[];
  receivedUs: number;
}

interface KeptFrame {
  readonly firstSeq: number;
  readonly hash: Buffer;
  readonly acceptedBy: FrameAccepter;
}

interface Producer {
  head: ChainHead;
  openedUs: number[];
  stored: { epoch: number; seq: number };
  /** Frames still in the log, per epoch in the order of their seqs. */
  readonly frames: Map<number, KeptFrame[]>;
}

/** What the slowest group has not committed. */
export interface Backlog {
  readonly entries: number;
  readonly oldestUs: number | undefined;
}

const defaultGeneration = "00000000-0000-4000-8000-000000000001";
const retryAfterMs = 1000;
const leaseMs = 3000;

export class MemoryLog implements FrameLog, Omit<BusControl, "rewind"> {
  readonly generation: string;
  readonly partitions: number;
  readonly #clock: Clock;
  readonly #capacityBytesMax: number;
  readonly #epochOpeningsPerDayMax: number;
  readonly #partitions: Partition[] = [];
  readonly #producers = new Map<string, Producer>();
  readonly #reports = new Map<string, GateReport>();
  readonly #leases = new Map<string, HeldLease & { readonly untilMs: number }>();
  readonly #inFlightBytesMax: number;
  #revoked: ReadonlySet<string> = new Set();
  #versionMin = 0;
  #paused: string | null = null;
  #heldBytes = 0;
  #closed = false;

  constructor(options: MemoryBusOptions) {
    this.#clock = options.clock;
    this.generation = options.generation ?? defaultGeneration;
    this.partitions = options.partitions ?? 16;
    this.#capacityBytesMax = options.capacityBytesMax ?? 256 * 1024 * 1024;
    this.#epochOpeningsPerDayMax = options.epochOpeningsPerDayMax ?? 32;
    this.#inFlightBytesMax = options.inFlightBytesMax ?? 256 * 1024 * 1024;
    for (let part = 0; part < this.partitions; part++) {
      this.#partitions.push({
        low: { generation: this.generation, part, off: 0, receivedUs: 0, hash: zeroHash },
        entries: [],
        receivedUs: 0,
      });
    }
  }

  async append(part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> {
    this.#assertOpen();
    checkPartition(part, this.partitions);
    checkAppend(frames, options);
    const bytes = frames.reduce((sum, frame) => sum + frameBytes(frame), 0);
    const reason = this.#paused ?? (this.#heldBytes + bytes > this.#capacityBytesMax ? "full" : null);
    if (reason !== null) return frames.map(() => ({ kind: "paused", reason, retryAfterMs }));
    if (options.registryVersion < this.#versionMin) return frames.map(() => ({ kind: "stale_registry" }));
    const partition = this.#partition(part);
    const receivedUs = Math.max(partition.receivedUs, this.#clock.nowUs());
    return frames.map((frame) => this.#appendOne(partition, part, frame, options, receivedUs));
  }

  #appendOne(partition: Partition, part: number, frame: FrameAppend, options: AppendOptions, receivedUs: number): AppendOutcome {
    const { link } = frame;
    const { gateway, incarnation } = options;
    if (this.#revoked.has(link.producer)) return { kind: "revoked" };
    const producer = this.#producers.get(link.producer);
    const head = producer?.head ?? noHead;
    const known = producer !== undefined && needsKnown(head, link) ? knownFrame(producer, link) : nothingKnown;
    const verdict = judge(head, link, known, part);
    if (verdict === "duplicate") return { kind: verdict, head: this.#headOf(producer), acceptedBy: known.acceptedBy };
    if (verdict !== "accepted" || producer === undefined)
      return { kind: verdict as Exclude<typeof verdict, "accepted">, head: this.#headOf(producer) };
    const off = partition.low.off + partition.entries.length + 1;
    const position: Position = { generation: this.generation, part, off, receivedUs, hash: Buffer.from(link.hash) };
    partition.entries.push(keptEntry(frame, position, { gateway, incarnation }));
    partition.receivedUs = receivedUs;
    this.#heldBytes += frameBytes(frame);
    const inEpoch = producer.frames.get(link.epoch) ?? [];
    inEpoch.push({ firstSeq: link.firstSeq, hash: position.hash, acceptedBy: { gateway, incarnation } });
    producer.frames.set(link.epoch, inEpoch);
    producer.head = advance(head, { ...link, hash: position.hash });
    return { kind: "accepted", position, receivedUs, head: this.#headOf(producer) };
  }

  async openEpoch(request: OpenEpochRequest): Promise<OpenEpochOutcome> {
    this.#assertOpen();
    checkProducer(request.producer);
    if (request.registryVersion < this.#versionMin) return { kind: "stale_registry" };
    if (this.#revoked.has(request.producer)) return { kind: "revoked" };
    const producer = this.#producers.get(request.producer) ?? {
      head: noHead,
      openedUs: [],
      stored: { epoch: 0, seq: 0 },
      frames: new Map(),
    };
    const nowUs = this.#clock.nowUs();
    const opening = openEpoch(producer.head, {
      expectedEpoch: request.expectedEpoch,
      openedUs: producer.openedUs,
      nowUs,
      epochOpeningsPerDayMax: this.#epochOpeningsPerDayMax,
      part: partitionOf(request.producer, this.partitions),
    });
    if (opening.kind === "conflict") return { kind: "conflict", head: this.#headOf(producer) };
    if (opening.kind === "limited") return opening;
    producer.head = opening.head;
    producer.openedUs = [...producer.openedUs, nowUs].slice(-this.#epochOpeningsPerDayMax);
    this.#producers.set(request.producer, producer);
    return { kind: "opened", epoch: opening.head.epoch, prev: opening.prev, part: opening.head.part };
  }

  async headsOf(producers: readonly string[]): Promise<Map<string, ProducerHead>> {
    const heads = new Map<string, ProducerHead>();
    for (const id of producers) {
      const producer = this.#producers.get(id);
      if (producer !== undefined) heads.set(id, this.#headOf(producer));
    }
    return heads;
  }

  async pressure(question: PressureQuestion): Promise<BusPressure> {
    const reason = this.#paused ?? (this.#heldBytes >= this.#capacityBytesMax ? "full" : null);
    const { entries, oldestUs } = this.backlog();
    const backlogMs = Math.max(0, this.#clock.nowUs() - (oldestUs ?? this.#clock.nowUs())) / 1000;
    return {
      paused: reason,
      retryAfterMs,
      backlogEntries: entries,
      backlogMs,
      strain: null,
      inFlightBytesMax: this.#lease(question),
      leaseMs,
    };
  }

  async report(report: GateReport): Promise<void> {
    this.#reports.set(`${report.gateway} ${report.incarnation}`, report);
  }

  async tails(): Promise<PartitionTail[]> {
    this.#assertOpen();
    return this.#partitions.map((partition, part) => ({ part, off: tailOf(partition), receivedUs: partition.receivedUs }));
  }

  async read(part: number, after: Position | null, options: ReadOptions): Promise<BusEntry[]> {
    this.#assertOpen();
    checkPartition(part, this.partitions);
    const { low, entries } = this.#partition(part);
    if (after !== null && after.generation !== this.generation)
      throw new BusError("BUS_HISTORY_DIVERGED", "the position is of another generation", { fields: { part } });
    const from = after === null ? low.off : after.off;
    if (from > low.off + entries.length)
      throw new BusError("BUS_HISTORY_DIVERGED", "the position lies behind the end of the partition", { fields: { part, off: from } });
    if (from < low.off)
      throw new BusError("BUS_TRIMMED", "entries after the position have been removed", { fields: { part, off: from, low: low.off } });
    const found: BusEntry[] = [];
    let bytes = 0;
    for (const entry of entries.slice(from - low.off, from - low.off + options.framesMax)) {
      bytes += entry.header.length + entry.payload.length;
      if (found.length > 0 && bytes > options.bytesMax) break;
      const hash = createHash("sha256").update(entry.payload).digest();
      if (!hash.equals(entry.link.payloadHash))
        throw new BusError("BUS_CORRUPT", "a payload does not match its hash", { fields: { part, off: entry.position.off } });
      found.push(entry);
    }
    return found;
  }

  async checkPosition(position: Position): Promise<"same" | "diverged" | "trimmed"> {
    const partition = this.#partitions[position.part];
    if (partition === undefined || position.generation !== this.generation) return "diverged";
    if (position.off < partition.low.off) return "trimmed";
    const at = position.off === partition.low.off ? partition.low : partition.entries[position.off - partition.low.off - 1]?.position;
    return at !== undefined && at.hash.equals(position.hash) && at.receivedUs === position.receivedUs ? "same" : "diverged";
  }

  async seek(part: number, receivedUs: number): Promise<Position | null> {
    checkPartition(part, this.partitions);
    const { low, entries } = this.#partition(part);
    const last = entries.findLast((entry) => entry.receivedUs < receivedUs);
    return last?.position ?? (low.off > 0 ? low : null);
  }

  async setRegistry(state: { readonly versionMin: number; readonly revoked: readonly string[] }): Promise<boolean> {
    if (state.versionMin < this.#versionMin) return false;
    this.#versionMin = state.versionMin;
    this.#revoked = new Set(state.revoked);
    return true;
  }

  async pause(reason: string | null): Promise<void> {
    this.#paused = reason;
  }

  async trim(part: number, off: number): Promise<number> {
    checkPartition(part, this.partitions);
    const partition = this.#partition(part);
    const low = Math.min(off, tailOf(partition), this.readUpTo(part));
    while (partition.low.off < low) {
      const entry = partition.entries.shift();
      if (entry === undefined) break;
      partition.low = entry.position;
      this.#heldBytes -= frameBytes({ ...entry });
      this.#producers.get(entry.link.producer)?.frames.get(entry.link.epoch)?.shift();
    }
    return partition.low.off;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** What the sink holds of a producer, as an engine on this bus would have committed it; shown in heads, never judged by. */
  noteStored(producer: string, epoch: number, seq: number): void {
    const found = this.#producers.get(producer);
    if (found !== undefined) found.stored = { epoch, seq };
  }

  /** The low mark as a position; null before the first entry ever. */
  lowMark(part: number): Position | null {
    const { low } = this.#partition(part);
    return low.off > 0 ? low : null;
  }

  /** Offset up to which every group has read; the groups know, see groups.ts. */
  protected readUpTo(_part: number): number {
    return Number.MAX_SAFE_INTEGER;
  }

  protected backlog(): Backlog {
    return { entries: 0, oldestUs: undefined };
  }

  /** When the entry behind this offset was received; undefined at the end. */
  protected receivedAfter(part: number, off: number): number | undefined {
    const { low, entries } = this.#partition(part);
    return entries[Math.max(0, off - low.off)]?.receivedUs;
  }

  protected tail(part: number): number {
    return tailOf(this.#partition(part));
  }

  #lease({ incarnation, wantBytes }: PressureQuestion): number {
    if (wantBytes === 0) return 0;
    const nowMs = this.#clock.monotonicMs();
    for (const [who, { untilMs }] of this.#leases) if (untilMs <= nowMs || who === incarnation) this.#leases.delete(who);
    const bytes = leaseBytes(wantBytes, [...this.#leases.values()], this.#inFlightBytesMax);
    this.#leases.set(incarnation, { wantBytes, bytes, untilMs: nowMs + leaseMs });
    return bytes;
  }

  #assertOpen(): void {
    if (this.#closed) throw new BusError("BUS_CLOSED", "the bus is closed");
  }

  #partition(part: number): Partition {
    const partition = this.#partitions[part];
    if (partition === undefined) throw new BusError("BUS_BAD_ARGUMENT", "no such partition", { fields: { part } });
    return partition;
  }

  #headOf(producer: Producer | undefined): ProducerHead {
    const head = producer?.head ?? noHead;
    return { ...head, storedEpoch: producer?.stored.epoch ?? 0, storedSeq: producer?.stored.seq ?? 0 };
  }
}

function tailOf(partition: Partition): number {
  return partition.low.off + partition.entries.length;
}

type KnownFrame = Known & { readonly acceptedBy: FrameAccepter | null };
const nothingKnown: KnownFrame = Object.freeze({ kind: "none", acceptedBy: null });

function knownFrame(producer: Producer, link: FrameLink): KnownFrame {
  const before = producer.frames.get(link.epoch)?.findLast((frame) => frame.firstSeq <= link.firstSeq);
  if (before === undefined) return { kind: "trimmed", acceptedBy: null };
  return before.firstSeq === link.firstSeq ? { kind: "frame", ...before } : nothingKnown;
}

/** A copy, for the caller may use its buffers again. */
function keptEntry(frame: FrameAppend, position: Position, accepter: FrameAccepter): BusEntry {
  const { link } = frame;
  return {
    position,
    receivedUs: position.receivedUs,
    producerKind: frame.producerKind,
    ...accepter,
    link: { ...link, hash: position.hash, prevHash: Buffer.from(link.prevHash), payloadHash: Buffer.from(link.payloadHash) },
    header: Buffer.from(frame.header),
    signature: Buffer.from(frame.signature),
    payload: Buffer.from(frame.payload),
    verdicts: Buffer.from(frame.verdicts),
  };
}
