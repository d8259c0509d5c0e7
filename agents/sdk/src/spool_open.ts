/**
 * Why: opening a spool is recovery: the directory may be new, cleanly closed, or what kill -9 left.
 * Enforces: lock first; then read every segment, cut the torn tail (see spool.ts), drop an incomplete call, put the chain together.
 * Forbids: opening another producer's spool.
 */
import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, syncDirectory } from "ransomeye-kernel";
import { SdkError } from "./codes.ts";
import type { Entry } from "./chain_types.ts";
import { freshMachineState, type MachineState } from "./machine_types.ts";
import { type Segment, segmentName, type Slot, Spool, type SpoolListener } from "./spool.ts";
import type { OpenSpoolFile } from "./spool_files.ts";
import { lockSpool } from "./spool_lock.ts";
import { type BatchRecord, decodeRecord, encodeLink, type FoundRecord, type LinkRecord, segmentMagic } from "./spool_record.ts";
import { type CursorAt, incompleteTail, newerCursor, recoverChain } from "./spool_recovery.ts";
import { readSpoolState, type SpoolState } from "./spool_state.ts";

export interface OpenSpoolOptions {
  readonly directory: string;
  readonly producer: string;
  readonly bytesMax: number;
  readonly openFile: OpenSpoolFile;
  readonly clock: Clock;
}

/** An open spool and what was found in it. */
export interface OpenedSpool {
  readonly spool: Spool;
  readonly machine: MachineState;
  readonly entries: Entry[];
  readonly state: SpoolState | undefined;
  readonly cursor: CursorAt | undefined;
  readonly cutBytes: number;
  readonly droppedBatches: number;
  release(): Promise<void>;
}

interface Found extends FoundRecord {
  readonly segment: Segment;
  readonly at: number;
}

const segmentPattern = /^(\d{12})\.seg$/;
const mib = 1024 * 1024;

/**
 * How large segments become: a sixteenth of a small spool, so that what was stored leaves it soon; 8 MiB of most; and of one so large that it would hold thousands of
 * files open, a thousandth.
 */
export function segmentBytesOf(spoolBytesMax: number): number {
  const usual = Math.min(8 * mib, Math.max(mib / 4, Math.floor(spoolBytesMax / 16)));
  return Math.min(segmentBytesMax, Math.max(usual, Math.ceil(spoolBytesMax / segmentsMax)));
}

const segmentsMax = 1024;
/** A segment is read whole when the spool is opened. */
const segmentBytesMax = 256 * mib;

/** Opens, and where needed repairs, the spool of a producer. Rejects with SDK_SPOOL_LOCKED, SDK_SPOOL_CORRUPT or SDK_SPOOL_FAILED. */
export async function openSpool(options: OpenSpoolOptions, listener: SpoolListener): Promise<OpenedSpool> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  await chmod(options.directory, 0o700);
  const release = await lockSpool(options.directory);
  const segments: Segment[] = [];
  try {
    const state = await readSpoolState(options.directory);
    if (state !== undefined && state.producer !== options.producer) {
      throw new SdkError("SDK_OPTIONS_INVALID", `this spool belongs to producer ${state.producer}`, {
        fields: { directory: options.directory },
      });
    }
    const read = await readSegments(options, segments);
    const batches = read.found.filter((f): f is Found & { record: BatchRecord } => f.record.type === "batch").map((f) => f.record);
    const dropped = incompleteTail(batches);
    const { kept, droppedBytes } = await dropFrom(read.found, dropped[0]?.index, segments, options);
    const links = kept.map((f) => f.record).filter((record): record is LinkRecord => record.type === "link");
    const { chain, entries, cursor } = recoverChain(state?.machine, batches.slice(0, batches.length - dropped.length), links);
    const nextIndex = batches.reduce((next, batch) => Math.max(next, batch.index + 1), state?.machine.nextIndex ?? 1);
    const slots = slotsOf(kept, new Set(entries.map((entry) => entry.index)));
    const spool = new Spool(
      {
        directory: options.directory,
        segmentBytesMax: segmentBytesOf(options.bytesMax),
        cacheBytesMax: Math.min(16 * mib, Math.floor(options.bytesMax / 4)),
        openFile: options.openFile,
        clock: options.clock,
      },
      listener,
      segments,
      slots,
    );
    const machine = { ...(state?.machine ?? freshMachineState), chain, nextIndex };
    return {
      spool,
      machine,
      entries,
      state,
      cursor: newerCursor(state?.cursor, cursor),
      cutBytes: read.cutBytes + droppedBytes,
      droppedBatches: dropped.length,
      release,
    };
  } catch (error) {
    for (const segment of segments) await segment.file.close();
    await release();
    throw error instanceof SdkError
      ? error
      : new SdkError("SDK_SPOOL_FAILED", "the spool cannot be opened", { cause: error, fields: { directory: options.directory } });
  }
}

async function readSegments(options: OpenSpoolOptions, segments: Segment[]): Promise<{ found: Found[]; cutBytes: number }> {
  const numbers = (await readdir(options.directory)).flatMap((name) => segmentPattern.exec(name)?.[1] ?? []).sort();
  const found: Found[] = [];
  let cutBytes = 0;
  for (const [at, number] of numbers.entries()) {
    const path = join(options.directory, `${number}.seg`);
    const file = await options.openFile(path, false);
    const segment: Segment = { number: Number(number), path, file, bytes: segmentMagic.length, users: 0 };
    segments.push(segment);
    const content = await file.readAll();
    const newest = at === numbers.length - 1;
    const whole = content.subarray(0, segmentMagic.length).equals(segmentMagic);
    if (!whole && !newest) throw new SdkError("SDK_SPOOL_CORRUPT", "a segment does not begin as one", { fields: { path } });
    for (
      let record = whole ? decodeRecord(content, segment.bytes) : undefined;
      record !== undefined;
      record = decodeRecord(content, segment.bytes)
    ) {
      found.push({ ...record, segment, at: segment.bytes });
      segment.bytes += record.bytes;
    }
    if (segment.bytes >= content.length && whole) {
      // What a killed process wrote may still be in the page cache only; it is about to count as durable.
      if (newest) await file.sync();
      continue;
    }
    if (!newest)
      throw new SdkError("SDK_SPOOL_CORRUPT", "a record that had been durable cannot be read", { fields: { path, offset: segment.bytes } });
    cutBytes += Math.max(0, content.length - segment.bytes);
    if (!whole) await file.write([segmentMagic], 0);
    await file.truncate(segment.bytes);
    await file.sync();
  }
  return { found, cutBytes };
}

interface Dropped {
  readonly kept: readonly Found[];
  readonly droppedBytes: number;
}

/**
 * Takes an incomplete call off the end of the files. Places of earlier batches may have been written behind its first record: they go to a segment of their own
 * before anything is cut, or whoever opens the spool after us would find a hole.
 */
async function dropFrom(
  found: readonly Found[],
  index: number | undefined,
  segments: Segment[],
  options: OpenSpoolOptions,
): Promise<Dropped> {
  if (index === undefined) return { kept: found, droppedBytes: 0 };
  const cut = new Map<Segment, number>();
  for (const record of found) if (record.record.index >= index && !cut.has(record.segment)) cut.set(record.segment, record.at);
  const isCut = ({ segment, at }: Found): boolean => at >= (cut.get(segment) ?? Number.POSITIVE_INFINITY);
  const earlier = found.filter(({ record }) => record.index < index);
  const rescued = await rewritten(earlier.filter(isCut), segments, options);
  let bytes = 0;
  // The newest first: a crash in the middle leaves a shorter incomplete call, not a hole.
  for (const [segment, at] of [...cut].reverse()) {
    bytes += segment.bytes - at;
    segment.bytes = at;
    await segment.file.truncate(at);
    await segment.file.sync();
  }
  return { kept: [...earlier.filter((one) => !isCut(one)), ...rescued], droppedBytes: bytes };
}

/** Writes places once more, durably, into a new newest segment. */
async function rewritten(stranded: readonly Found[], segments: Segment[], options: OpenSpoolOptions): Promise<Found[]> {
  const links = stranded.flatMap((one) => (one.record.type === "link" ? [{ ...one, record: one.record }] : []));
  if (links.length === 0) return [];
  const number = (segments.at(-1)?.number ?? 0) + 1;
  const path = join(options.directory, segmentName(number));
  const segment: Segment = { number, path, file: await options.openFile(path, true), bytes: segmentMagic.length, users: 0 };
  segments.push(segment);
  const found: Found[] = [];
  for (const link of links) {
    found.push({ ...link, segment, at: segment.bytes });
    segment.bytes += link.bytes;
  }
  await segment.file.write([segmentMagic, ...links.flatMap(({ record }) => encodeLink(record))], 0);
  await segment.file.sync();
  await syncDirectory(options.directory);
  return found;
}

function slotsOf(found: readonly Found[], wanted: ReadonlySet<number>): Slot[] {
  const slots = new Map<number, Slot>();
  for (const { record, segment, at, payloadOffset } of found) {
    if (!wanted.has(record.index)) continue;
    const slot = slots.get(record.index);
    if (record.type === "batch") {
      // A declaration took over the index of a batch that was given up.
      if (slot !== undefined) slot.segment.users -= 1;
      slots.set(record.index, {
        index: record.index,
        segment,
        payloadAt: at + payloadOffset,
        payloadBytes: record.payloadBytes,
        payloadHash: record.payloadHash,
        signed: record.signed,
        linkSegment: undefined,
      });
      segment.users += 1;
    } else if (slot !== undefined) {
      if (slot.linkSegment !== undefined) slot.linkSegment.users -= 1;
      slot.linkSegment = segment;
      slot.signed = record.signed;
      segment.users += 1;
    }
  }
  return [...slots.values()];
}
