/**
 * Why: after a crash the spool's files are all that a producer knows of itself.
 * Enforces: the chain is put together from the records and the last state file, each frame in its newest place. What was signed beyond a sealed epoch's
 *   end counts as unsigned. A call that is not complete on disk is dropped whole: nothing of it was transmitted, and its cursor has not moved.
 * Forbids: filling holes by guess: a hole is SDK_SPOOL_CORRUPT.
 */
import { decodeHeader, type FrameHeader, lastSeqOf } from "ransomeye-ingestion/protocol";
import { SdkError } from "./codes.ts";
import { type ChainPoint, type ChainState, type Entry, emptyChain } from "./chain_types.ts";
import type { MachineState } from "./machine_types.ts";
import type { BatchRecord, LinkRecord } from "./spool_record.ts";

/** What the chain looks like after a restart. */
export interface RecoveredChain {
  readonly chain: ChainState;
  /** In sequence order, as `FrameChain` wants them. */
  readonly entries: Entry[];
  /** Cursor of the newest batch that has one. */
  readonly cursor: CursorAt | undefined;
}

/** Where the source stood behind a batch. */
export interface CursorAt {
  readonly index: number;
  readonly cursor: string;
}

/** The newer of two: a segment that went may have told a later one than any that stayed. */
export function newerCursor(a: CursorAt | undefined, b: CursorAt | undefined): CursorAt | undefined {
  return a === undefined || (b !== undefined && b.index > a.index) ? b : a;
}

/** The tail of batches, newest last, that belongs to a call whose end is not on disk. */
export function incompleteTail(batches: readonly BatchRecord[]): readonly BatchRecord[] {
  let from = batches.length;
  while (from > 0 && batches[from - 1]?.more) from -= 1;
  return batches.slice(from);
}

/** Puts the chain together. `found`: batches in the order in which they were written, complete calls only; `links` likewise. */
export function recoverChain(state: MachineState | undefined, found: readonly BatchRecord[], links: readonly LinkRecord[]): RecoveredChain {
  const batches = keptOf(found, links, state?.givenUpThrough ?? 0);
  const present = new Set(batches.map((batch) => batch.index));
  const newest = new Map<number, Buffer>();
  for (const batch of batches) if (batch.signed !== undefined) newest.set(batch.index, batch.signed.header);
  for (const link of links) if (present.has(link.index)) newest.set(link.index, link.signed.header);
  const headers = new Map([...newest].map(([index, bytes]) => [index, headerOf(bytes)]));

  const epoch = [...headers.values()].reduce((max, header) => Math.max(max, header.epoch), state?.chain.epoch ?? 0);
  const first = [...headers.values()]
    .filter((header) => header.epoch === epoch)
    .reduce<FrameHeader | undefined>((min, h) => (min === undefined || h.firstSeq < min.firstSeq ? h : min), undefined);
  const chain = chainState(state?.chain, epoch, first, headers.values());

  const entries: Entry[] = [];
  for (const batch of batches) {
    const header = headers.get(batch.index);
    const sealedOut =
      header !== undefined && header.epoch < epoch && header.epoch === chain.prev.epoch && lastSeqOf(header) > chain.prev.seq;
    const link =
      header === undefined || sealedOut
        ? undefined
        : { epoch: header.epoch, firstSeq: header.firstSeq, hash: header.hash, keyId: header.keyId };
    // A gap without a place was never sent; it is made anew where it is still needed.
    if (link === undefined && batch.kind === "gap") continue;
    if (link?.epoch === epoch && lastSeqOf({ firstSeq: link.firstSeq, count: batch.count }) <= chain.base.seq) continue;
    const { index, kind, count, payloadBytes, payloadHash, schemaVersion, mappingVersion, createdUs } = batch;
    entries.push({
      index,
      kind,
      count,
      payloadBytes,
      payloadHash,
      schemaVersion,
      mappingVersion,
      createdUs,
      link,
      recorded: link,
      batchDurable: true,
      linkDurable: link !== undefined,
      settled: false,
      placed: header !== undefined,
    });
  }
  entries.sort(byPlace);
  checkNoHole(chain, entries);
  const cursor = found.reduce<CursorAt | undefined>(
    (last, { index, cursor: own }) => (own === undefined ? last : newerCursor(last, { index, cursor: own })),
    undefined,
  );
  return { chain, entries, cursor };
}

function chainState(
  known: ChainState | undefined,
  epoch: number,
  first: FrameHeader | undefined,
  headers: Iterable<FrameHeader>,
): ChainState {
  if (epoch === 0) return emptyChain;
  let offered = known?.epoch === epoch ? known.offered : 0;
  for (const header of headers) if (header.epoch === epoch) offered = Math.max(offered, header.offered);
  if (known?.epoch === epoch) return { ...known, offered };
  if (first === undefined) throw new SdkError("SDK_SPOOL_CORRUPT", "an epoch without state and without frames");
  // No state of this epoch was ever written, so nothing of it was ever deleted: its first frame is here.
  if (first.firstSeq !== 1) throw new SdkError("SDK_SPOOL_CORRUPT", `the first frames of epoch ${epoch} are missing`);
  const prev: ChainPoint = { epoch: first.prevEpoch, seq: first.prevSeq, hash: first.prevHash };
  return { epoch, prev, base: emptyChain.base, offered };
}

/**
 * Without the batches whose events a declaration on disk holds. What ever had a place was not given up; and a declaration that got its place took over the
 * index of the last batch that it stands for.
 */
function keptOf(found: readonly BatchRecord[], links: readonly LinkRecord[], givenUpThrough: number): readonly BatchRecord[] {
  if (givenUpThrough === 0) return found;
  const linked = new Set(links.map(({ index }) => index));
  for (const { kind, index } of found) if (kind === "gap") linked.delete(index);
  return found.filter(({ kind, signed, index }) => kind === "gap" || signed !== undefined || index > givenUpThrough || linked.has(index));
}

/** Signed ones by epoch and sequence, then the unsigned in the order in which they were handed over. */
export function byPlace(a: Entry, b: Entry): number {
  if (a.link === undefined || b.link === undefined) return a.link === b.link ? a.index - b.index : a.link === undefined ? 1 : -1;
  return a.link.epoch - b.link.epoch || a.link.firstSeq - b.link.firstSeq;
}

function checkNoHole(chain: ChainState, entries: readonly Entry[]): void {
  let next = chain.base.seq + 1;
  for (const entry of entries) {
    if (entry.link?.epoch !== chain.epoch) continue;
    if (entry.link.firstSeq !== next) throw new SdkError("SDK_SPOOL_CORRUPT", `sequence ${next} of epoch ${chain.epoch} is missing`);
    next += entry.count;
  }
}

function headerOf(bytes: Buffer): FrameHeader {
  const decoded = decodeHeader(bytes);
  if (decoded.kind === "refused") throw new SdkError("SDK_SPOOL_CORRUPT", `a signed header cannot be read: ${decoded.detail}`);
  return decoded.value;
}
