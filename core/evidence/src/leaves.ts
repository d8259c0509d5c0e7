/**
 * Why it exists: what a checkpoint says of one entry of the log: which signed batch lay where, since when, and with which verdicts; and what is left of a
 * chain whose day was removed.
 * Enforces: one encoding each, of fixed length, under a domain tag of its own.
 * Forbids: anything that a producer signs already: the batch's hash covers it.
 */
import { createHash } from "node:crypto";
import { u32, u64, uuidBytes } from "ransomeye-ingestion/protocol";
import { leafHash } from "./merkle.ts";
import type { ExpiredChain } from "./records.ts";

/** An entry's place in the log, and what lies there. */
export interface EntryFacts {
  /** Which log. */
  readonly generation: string;
  readonly part: number;
  readonly off: number;
  /** Microseconds since 1970. */
  readonly receivedUs: number;
  /** Of the signed header, 32 bytes: the producer's chain. */
  readonly hash: Buffer;
  /** As the gateway wrote them. */
  readonly verdicts: Buffer;
}

const entryTag = Buffer.from("ransomeye.entry.v1", "latin1");
const expiredTag = Buffer.from("ransomeye.expired.v1", "latin1");

/** The leaf's hash: SHA-256(0x00 ‖ tag ‖ generation 16 ‖ part u32 ‖ offset u64 ‖ received u64 ‖ batch hash 32 ‖ SHA-256 of the verdicts 32). */
export function entryLeaf({ generation, part, off, receivedUs, hash, verdicts }: EntryFacts): Buffer {
  const verdictHash = createHash("sha256").update(verdicts).digest();
  return leafHash(Buffer.concat([entryTag, uuidBytes(generation), u32(part), u64(off), u64(receivedUs), hash, verdictHash]));
}

/** The same for a chain of an expired day: tag ‖ producer 16 ‖ epoch u64 ‖ first and last seq u64 ‖ hash of the first and of the last batch 32. */
export function expiredLeaf({ producer, epoch, firstSeq, lastSeq, firstHash, lastHash }: ExpiredChain): Buffer {
  return leafHash(Buffer.concat([expiredTag, uuidBytes(producer), u64(epoch), u64(firstSeq), u64(lastSeq), firstHash, lastHash]));
}
