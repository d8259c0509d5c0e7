/**
 * Why it exists: well-formed frames without keys and network. The bus judges links and keeps bytes; it verifies no signature.
 * Enforces: equal arguments give equal bytes; hashes are what an adapter checks.
 * Forbids: frames that only a test could send.
 */
import { createHash } from "node:crypto";
import type { EpochEnd, FrameAppend, FrameLink } from "../bus.ts";
import { zeroHash } from "../append_machine.ts";

export function sha256(bytes: Buffer | string): Buffer {
  return createHash("sha256").update(bytes).digest();
}

/** A producer id that is the same in every run. */
export function producerId(number: number): string {
  const hex = sha256(`producer ${number}`).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A frame from its link's essentials; the rest is derived from them, so that equal arguments give equal bytes. */
export function makeFrame(
  producer: string,
  place: { epoch: number; firstSeq: number; count: number; prev: EpochEnd; salt?: string; payloadBytes?: number },
): FrameAppend {
  const { epoch, firstSeq, count, prev, salt = "", payloadBytes = 0 } = place;
  const lines = Array.from({ length: count }, (_, index) => `{"seq":${firstSeq + index},"salt":"${salt}"}\n`).join("");
  const payload = Buffer.concat([Buffer.from(lines), Buffer.alloc(Math.max(0, payloadBytes - lines.length), "x")]);
  const payloadHash = sha256(payload);
  const header = Buffer.from(
    `${producer} ${epoch} ${firstSeq} ${count} ${prev.epoch} ${prev.seq} ${prev.hash.toString("hex")} ${payloadHash.toString("hex")}`,
  );
  const link: FrameLink = {
    producer,
    keyId: "0123456789abcdef",
    kind: "events",
    codec: 0,
    schemaVersion: 1,
    mappingVersion: 2,
    epoch,
    firstSeq,
    count,
    offered: firstSeq + count - 1,
    prevEpoch: prev.epoch,
    prevSeq: prev.seq,
    prevHash: prev.hash,
    payloadHash,
    hash: sha256(header),
  };
  return { link, producerKind: "linux", header, signature: Buffer.alloc(64, 7), payload, verdicts: Buffer.from([1, 0, 0, 0]) };
}

/** A producer that signs one honest chain. */
export class Chain {
  readonly producer: string;
  epoch = 0;
  seq = 0;
  end: EpochEnd = { epoch: 0, seq: 0, hash: zeroHash };

  constructor(producer: string) {
    this.producer = producer;
  }

  /** Takes over what an opening has answered. */
  opened(epoch: number, prev: EpochEnd): void {
    this.epoch = epoch;
    this.seq = 0;
    this.end = prev;
  }

  /** The next frame; the chain moves on. */
  next(count = 1, extra: { salt?: string; payloadBytes?: number } = {}): FrameAppend {
    const frame = makeFrame(this.producer, { epoch: this.epoch, firstSeq: this.seq + 1, count, prev: this.end, ...extra });
    this.seq += count;
    this.end = { epoch: this.epoch, seq: this.seq, hash: frame.link.hash };
    return frame;
  }
}
