/**
 * The heart of the bus: is this frame its producer's next one? Pure; the memory adapter and the simulation run it, `bus.append` and
 * `bus.open_epoch` in SQL mirror it, and a property test holds the two together on random histories.
 *
 * Why it exists: exactly once and in order is decided here and nowhere else.
 * Enforces: the tables below. Forbids: I/O, clock, randomness, and any verdict that depends on time or on where a frame came from.
 *
 * `judge(head, link, known, part)`, first line that fits:
 *
 *  | epoch of the frame | first_seq          | the log knows                     | link signed          | verdict      |
 *  |--------------------|--------------------|-----------------------------------|----------------------|--------------|
 *  | above the head's   | any                | not asked                         | any                  | gap          |
 *  | below the head's   | any                | a frame there with the same hash  | any                  | duplicate    |
 *  | below the head's   | any                | anything else                     | any                  | fenced       |
 *  | the head's         | above head + 1     | not asked                         | any                  | gap          |
 *  | the head's         | at most the head's | a frame there with the same hash  | any                  | duplicate    |
 *  | the head's         | at most the head's | that retention has removed it     | any                  | duplicate    |
 *  | the head's         | at most the head's | another hash, or no frame that begins there | any        | equivocation |
 *  | the head's         | head + 1           | not asked                         | not the head's end   | equivocation |
 *  | the head's         | head + 1           | not asked                         | the head's end       | accepted, or misrouted if it came to another partition |
 *
 * Reasons. An epoch above the head has not been opened here (or the server has lost the opening, R-5): `gap` sends the producer back to
 * the head, where `fenced` would end a healthy one. A known frame wins over the fence, because its receipt may have been lost. What is
 * not next and not known in a sealed epoch is `fenced` and not `equivocation`: the epoch is over, whoever speaks. A frame that is next
 * by number but signs another past is equivocation, for it proves two histories under one key. Where retention has removed the frame
 * nobody can compare any more; accusing a producer without evidence would be worse than repeating a cumulative receipt, which states
 * nothing but the head. The head's end is (epoch, seq, hash) within an epoch, and `prev*` for its first frame. Gap frames
 * (`kind: "gap"`) are links like all others. A producer without a head has epoch 0: everything is a gap until it opens an epoch.
 */
import { createHash } from "node:crypto";
import { invariant } from "ransomeye-kernel";
import type { EpochEnd, FrameLink } from "./bus.ts";

/** The part of a producer's head that verdicts depend on. */
export interface ChainHead {
  readonly epoch: number;
  readonly seq: number;
  /** Hash of the last accepted frame, of whatever epoch. */
  readonly hash: Buffer;
  readonly part: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
}

/** What the log can say about the place (producer, epoch, first_seq): a frame begins there, none does, or retention has removed that part. */
export type Known = { readonly kind: "frame"; readonly hash: Buffer } | { readonly kind: "none" } | { readonly kind: "trimmed" };

export type Verdict = "accepted" | "duplicate" | "gap" | "fenced" | "equivocation" | "misrouted";

export const zeroHash: Buffer = Buffer.alloc(32);

/** Head of a producer that has never opened an epoch. */
export const noHead: ChainHead = Object.freeze({
  epoch: 0,
  seq: 0,
  hash: zeroHash,
  part: -1,
  prevEpoch: 0,
  prevSeq: 0,
  prevHash: zeroHash,
});

/** Last seq that a frame covers. */
export function lastSeqOf(link: FrameLink): number {
  return link.firstSeq + link.count - 1;
}

/** Whether a verdict needs to know what the log holds at the frame's place; lets an adapter spare the look-up on the hot path. */
export function needsKnown(head: ChainHead, link: FrameLink): boolean {
  return link.epoch < head.epoch || (link.epoch === head.epoch && link.firstSeq <= head.seq);
}

/** The verdict on one frame that was sent to partition `part`. `known` is read only where `needsKnown` says so. */
export function judge(head: ChainHead, link: FrameLink, known: Known, part: number): Verdict {
  invariant(link.epoch >= 1 && link.firstSeq >= 1 && link.count >= 1, "a frame covers at least one seq of an epoch");
  if (link.epoch > head.epoch) return "gap";
  if (link.epoch < head.epoch) return isSame(known, link) ? "duplicate" : "fenced";
  if (link.firstSeq > head.seq + 1) return "gap";
  if (link.firstSeq <= head.seq) return isSame(known, link) || known.kind === "trimmed" ? "duplicate" : "equivocation";
  if (!continues(head, link)) return "equivocation";
  return part === head.part ? "accepted" : "misrouted";
}

function isSame(known: Known, link: FrameLink): boolean {
  return known.kind === "frame" && known.hash.equals(link.hash);
}

/** Whether the frame signs exactly the end that the head stands at. */
function continues(head: ChainHead, link: FrameLink): boolean {
  const end = chainEnd(head);
  return link.prevEpoch === end.epoch && link.prevSeq === end.seq && link.prevHash.equals(end.hash);
}

/** The producer's last accepted frame: what its next frame must sign, in this epoch or in the next. */
export function chainEnd(head: ChainHead): EpochEnd {
  if (head.seq > 0) return { epoch: head.epoch, seq: head.seq, hash: head.hash };
  return { epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash };
}

/** The head after an accepted frame. */
export function advance(head: ChainHead, link: FrameLink): ChainHead {
  return { ...head, seq: lastSeqOf(link), hash: link.hash };
}

/** What an opening needs to know besides the head. Times in microseconds. */
export interface OpeningFacts {
  readonly expectedEpoch: number;
  /** When this producer's epochs were opened, oldest first; only the last day matters. */
  readonly openedUs: readonly number[];
  readonly nowUs: number;
  readonly epochOpeningsPerDayMax: number;
  /** Partition for the new epoch. */
  readonly part: number;
}

export type OpeningVerdict =
  | { readonly kind: "opened"; readonly head: ChainHead; readonly prev: EpochEnd }
  | { readonly kind: "conflict" }
  | { readonly kind: "limited"; readonly retryAfterMs: number };

const dayUs = 24 * 3600 * 1_000_000;

/**
 * Seals the current epoch and opens the next, if the caller knows the current one and the day's openings are not used up.
 * A conflict is told even to a producer that is limited: it learns the truth, and the truth costs nothing.
 */
export function openEpoch(head: ChainHead, facts: OpeningFacts): OpeningVerdict {
  if (facts.expectedEpoch !== head.epoch) return { kind: "conflict" };
  const recent = facts.openedUs.filter((openedUs) => openedUs > facts.nowUs - dayUs);
  const oldest = recent[recent.length - facts.epochOpeningsPerDayMax];
  if (oldest !== undefined) return { kind: "limited", retryAfterMs: Math.ceil((oldest + dayUs - facts.nowUs) / 1000) };
  const prev = chainEnd(head);
  const next = {
    epoch: head.epoch + 1,
    seq: 0,
    hash: prev.hash,
    part: facts.part,
    prevEpoch: prev.epoch,
    prevSeq: prev.seq,
    prevHash: prev.hash,
  };
  return { kind: "opened", head: next, prev };
}

/** Default partition of a producer's next epoch: first 32 bits of SHA-256 of its id's 16 bytes, modulo the partitions. */
export function partitionOf(producer: string, partitions: number): number {
  const id = Buffer.from(producer.replaceAll("-", ""), "hex");
  return createHash("sha256").update(id).digest().readUInt32BE(0) % partitions;
}
