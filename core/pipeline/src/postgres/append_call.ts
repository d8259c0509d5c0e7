/**
 * Why it exists: the arguments and the answer of `bus.append`, in the layout that 0009_replay.sql documents.
 * Enforces: frames travel as one bytea (an array of them would go through hexadecimal text); verdicts come back as the port's unions.
 * Forbids: I/O.
 */
import type { AppendOutcome, FrameAppend, ProducerHead } from "../bus.ts";
import { frameKindCodes, producerKindCodes } from "../arguments.ts";
import { BusError } from "../errors.ts";

export interface AppendArguments {
  /** PostgreSQL array literals. */
  readonly producers: string;
  readonly numbers: string;
  readonly blob: Buffer;
}

export function encodeAppend(frames: readonly FrameAppend[]): AppendArguments {
  const producers: string[] = [];
  const numbers: number[] = [];
  const pieces: Buffer[] = [];
  for (const { link, producerKind, header, signature, verdicts, payload } of frames) {
    producers.push(link.producer);
    numbers.push(
      link.epoch,
      link.firstSeq,
      link.count,
      link.offered,
      link.prevEpoch,
      link.prevSeq,
      frameKindCodes[link.kind],
      link.codec,
      link.schemaVersion,
      link.mappingVersion,
      producerKindCodes[producerKind],
      header.length,
      signature.length,
      verdicts.length,
      payload.length,
    );
    pieces.push(link.hash, link.prevHash, link.payloadHash, Buffer.from(link.keyId, "hex"), header, signature, verdicts, payload);
  }
  return { producers: `{${producers.join(",")}}`, numbers: `{${numbers.join(",")}}`, blob: Buffer.concat(pieces) };
}

/** Columns of a head, as bus.append_answer, bus.opening_answer and bus.head_answer name them. */
export interface HeadRow {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
  readonly part: number;
  readonly prev_epoch: number;
  readonly prev_seq: number;
  readonly prev_hash: Buffer;
  readonly stored_epoch: number;
  readonly stored_seq: number;
}

export interface AppendRow extends HeadRow {
  readonly verdict: string;
  readonly reason: string | null;
  readonly retry_after_ms: number | null;
  readonly off: number | null;
  readonly received_us: number | null;
  /** Who accepted what is a duplicate, where the entry is still there. */
  readonly gateway: string | null;
  readonly incarnation: string | null;
}

export function headOf(row: HeadRow): ProducerHead {
  return {
    epoch: row.epoch,
    seq: row.seq,
    hash: row.hash,
    part: row.part,
    prevEpoch: row.prev_epoch,
    prevSeq: row.prev_seq,
    prevHash: row.prev_hash,
    storedEpoch: row.stored_epoch,
    storedSeq: row.stored_seq,
  };
}

/** One row of the answer as an outcome of the frame it belongs to. */
export function outcomeOf(row: AppendRow, frame: FrameAppend, part: number, generation: string): AppendOutcome {
  switch (row.verdict) {
    case "accepted": {
      const { off, received_us: receivedUs } = row;
      if (off === null || receivedUs === null) break;
      return { kind: "accepted", position: { generation, part, off, receivedUs, hash: frame.link.hash }, receivedUs, head: headOf(row) };
    }
    case "duplicate": {
      const { gateway, incarnation } = row;
      return { kind: "duplicate", head: headOf(row), acceptedBy: gateway === null ? null : { gateway, incarnation } };
    }
    case "gap":
    case "fenced":
    case "equivocation":
    case "misrouted":
      return { kind: row.verdict, head: headOf(row) };
    case "revoked":
    case "stale_registry":
      return { kind: row.verdict };
    case "paused":
      return { kind: "paused", reason: row.reason ?? "unknown", retryAfterMs: row.retry_after_ms ?? 1000 };
  }
  throw new BusError("BUS_INTERNAL", "bus.append gave an answer that this release does not know", { fields: { verdict: row.verdict } });
}
