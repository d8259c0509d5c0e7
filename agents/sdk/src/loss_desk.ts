/**
 * Why: a source that cannot wait loses events when its spool is full or its gateway is away for too long; what is lost must be said, signed and counted.
 * Enforces: what is given up becomes part of a declaration, one for each reason and each run of losses however long it lasts; only batches that never had a place
 *   are given up, for nobody can have seen them (decision 0011); a declaration counts, and gets its place, only when it is on disk as it stands.
 * Forbids: touching what was signed, and a declaration that is on disk before the events in front of it: after a crash they would be lost without a word.
 */
import { encodeGap, payloadHash } from "ransomeye-ingestion/protocol";
import { type Entry, entryOf, type Loss } from "./chain_types.ts";
import { type FrameChain } from "./frame_chain.ts";
import type { Effect, LossPolicy, MachineState, MachineStats, Now, SettledFrame } from "./machine_types.ts";
import type { SendQueue } from "./send_queue.ts";
import { byPlace } from "./spool_recovery.ts";

/** A frame's count is a u32. */
const countMax = 0xffff_ffff;

/** A declaration's payload. */
export function lossPayload({ reason, count, fromUs, toUs }: Loss): Buffer {
  return encodeGap(reason, { events: count, from_us: fromUs, to_us: toUs });
}

/** The chain's entries after a restart, with the declarations that have no place yet among them. */
export function withLosses(entries: readonly Entry[], losses: readonly Loss[], schemaVersion: number): Entry[] {
  // One whose record is there had got its place before the state could be written again.
  const written = new Set(entries.filter(({ kind }) => kind === "gap").map(({ index }) => index));
  const open = losses.filter(({ index }) => !written.has(index)).map((loss) => lossEntry(loss, schemaVersion));
  return open.length === 0 ? [...entries] : [...entries, ...open].sort(byPlace);
}

function lossEntry(loss: Loss, schemaVersion: number): Entry {
  const payload = lossPayload(loss);
  const about = {
    payloadBytes: payload.length,
    payloadHash: payloadHash(payload),
    schemaVersion,
    mappingVersion: 0,
    createdUs: loss.fromUs,
  };
  return { ...entryOf({ index: loss.index, kind: "gap", count: loss.count, ...about }, undefined), loss };
}

/** The losses of one producer. */
export class LossDesk {
  readonly #chain: FrameChain;
  readonly #queue: SendQueue;
  readonly #policy: LossPolicy;
  readonly #schemaVersion: number;
  readonly #takeIndex: () => number;
  #givenUpThrough: number;
  /** Events lost to a full spool while batches before them are not on disk yet. */
  #waiting = 0;
  #waitingFromUs = 0;
  /** Grows with every declaration that is begun or grows; `#durable` is on disk. */
  #version = 0;
  #durable = 0;
  #fullVersion = 0;
  /** The version that each open declaration was last changed in. */
  readonly #changed = new Map<number, number>();
  #givenUp: { readonly version: number; readonly frames: readonly SettledFrame[] }[] = [];

  constructor(
    chain: FrameChain,
    queue: SendQueue,
    about: { readonly policy: LossPolicy; readonly schemaVersion: number; readonly givenUpThrough: number },
    takeIndex: () => number,
  ) {
    this.#chain = chain;
    this.#queue = queue;
    this.#policy = about.policy;
    this.#schemaVersion = about.schemaVersion;
    this.#givenUpThrough = about.givenUpThrough;
    this.#takeIndex = takeIndex;
  }

  /** What must survive. */
  get state(): Pick<MachineState, "losses" | "givenUpThrough"> {
    return { losses: this.#chain.openLosses, givenUpThrough: this.#givenUpThrough };
  }

  /** What the state holds now. */
  get version(): number {
    return this.#version;
  }

  get stats(): Pick<MachineStats, "undeclared" | "losing"> {
    const last = this.#chain.at(this.#chain.length - 1);
    const losing = last?.recorded === undefined && last?.loss?.reason === "spool_full";
    return { undeclared: this.#waiting > 0 || this.#fullVersion > this.#durable, losing };
  }

  /** Whether a declaration is on disk as it stands. */
  isDurable(index: number): boolean {
    return (this.#changed.get(index) ?? 0) <= this.#durable;
  }

  /** Events found no room. */
  lost(count: number, nowUs: number): void {
    if (this.#waiting === 0) this.#waitingFromUs = nowUs;
    this.#waiting += count;
  }

  /** Declares what can be declared now. */
  declare(now: Now): Effect[] {
    return [...this.#declareFull(now), ...this.#declareAged(now)];
  }

  /** The state of this version is on disk: what was given up has its answer, and may go. */
  declared(version: number): Effect[] {
    this.#durable = Math.max(this.#durable, version);
    const frames = this.#givenUp.filter((one) => one.version <= version).flatMap((one) => one.frames);
    this.#givenUp = this.#givenUp.filter((one) => one.version > version);
    if (frames.length === 0) return [];
    return [
      { kind: "settle", frames, answer: "lost", invalid: [], invalidMore: 0 },
      { kind: "forget", indexes: frames.map(({ index }) => index) },
    ];
  }

  /** the state may be written at any time, and must not tell of a loss before the events in front of it are on disk. */
  #declareFull(now: Now): Effect[] {
    const { eventsDurable, length } = this.#chain;
    if (this.#waiting === 0 || !eventsDurable) return [];
    const count = this.#waiting;
    const last = this.#chain.at(length - 1);
    const open =
      last?.recorded === undefined && last?.loss?.reason === "spool_full" && last.count + count <= countMax ? last.loss : undefined;
    const base = open ?? { index: this.#takeIndex(), reason: "spool_full" as const, count: 0, fromUs: this.#waitingFromUs };
    const loss: Loss = { ...base, count: base.count + count, toUs: now.us };
    this.#replace(length - (open === undefined ? 0 : 1), open === undefined ? 0 : 1, [loss]);
    this.#waiting = 0;
    this.#fullVersion = this.#version;
    return [{ kind: "declare", index: loss.index, reason: loss.reason, count, fresh: open === undefined }];
  }

  #declareAged(now: Now): Effect[] {
    const { ageUsMax } = this.#policy;
    if (ageUsMax === 0) return [];
    const from = this.#chain.unplacedAt;
    const gone: Entry[] = [];
    const passed: Loss[] = [];
    let at = from;
    for (let entry = this.#chain.at(at); entry !== undefined; entry = this.#chain.at(at)) {
      if (entry.loss !== undefined) passed.push(entry.loss);
      else if (!entry.batchDurable || now.us - entry.createdUs <= ageUsMax) break;
      else gone.push(entry);
      at += 1;
    }
    const [first] = gone;
    const last = gone.at(-1);
    if (first === undefined || last === undefined) return [];
    const count = gone.reduce((sum, entry) => sum + entry.count, 0);
    // Nothing stands between them any more. With the index of the last that it stands for, the declaration sorts behind all of them and before what follows.
    const before = passed.find(({ reason, count: had }) => reason === "spool_age" && had + count <= countMax);
    const aged: Loss = {
      index: last.index,
      reason: "spool_age",
      count: count + (before?.count ?? 0),
      fromUs: before?.fromUs ?? first.createdUs,
      toUs: last.createdUs,
    };
    const others = mergeFull(passed.filter((loss) => loss !== before));
    this.#givenUpThrough = last.index;
    this.#replace(
      from,
      at - from,
      [aged, ...others].sort((a, b) => a.index - b.index),
    );
    this.#givenUp.push({
      version: this.#version,
      frames: gone.map(({ index, count: events }) => ({ index, kind: "events", epoch: 0, firstSeq: 0, count: events })),
    });
    return [{ kind: "declare", index: aged.index, reason: aged.reason, count, fresh: before === undefined }];
  }

  #replace(position: number, count: number, losses: readonly Loss[]): void {
    this.#version += 1;
    const entries = losses.map((loss) => lossEntry(loss, this.#schemaVersion));
    const gone = this.#chain.replaceUnplaced(position, count, entries);
    for (const { index } of gone) this.#changed.delete(index);
    for (const { index } of entries) this.#changed.set(index, this.#version);
    this.#queue.replaced(gone, entries);
  }
}

/** Declarations of a full spool with nothing left between them are one, in the place of the last: its cursor is the newest. */
function mergeFull(losses: readonly Loss[]): Loss[] {
  const merged: Loss[] = [];
  for (const loss of losses) {
    const last = merged.at(-1);
    if (last === undefined || last.reason !== loss.reason || last.count + loss.count > countMax) merged.push(loss);
    else merged[merged.length - 1] = { ...loss, count: last.count + loss.count, fromUs: last.fromUs };
  }
  return merged;
}
