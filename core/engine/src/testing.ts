// Why: the second door of the room, for tests and measurements alone: chains of frames as a gate would append them, and the sink by itself.
// Enforces: headers, hashes and verdicts are the protocol's; synthetic, nothing here is anyone's data (ING-9).
// Forbids: import by production code.

import { encodeHeader, encodeVerdicts, frameHash, payloadHash, validatePayload, zeroHash } from "ransomeye-ingestion/protocol";
import type { FrameAppend, FrameLink, ProducerKind } from "ransomeye-pipeline";

export { sinkSteps } from "./probe.ts";
export { PostgresSink } from "./sink.ts";

/** A valid event, told apart by its host name. */
export function eventLine(host: string, extra: Record<string, unknown> = {}): string {
  return JSON.stringify({
    activity_id: 1,
    category_uid: 0,
    class_uid: 0,
    type_uid: 1,
    severity_id: 1,
    time: 1_700_000_000_000,
    metadata: { version: "1.9.0", product: { name: "test", vendor_name: "RansomEye" } },
    device: { hostname: host, type_id: 2 },
    ...extra,
  });
}

export interface FrameWish {
  readonly lines?: readonly string[];
  readonly gap?: { readonly count: number; readonly reason: string };
  /** Overrides of signed fields, for frames that no honest chain has. */
  readonly link?: Partial<FrameLink>;
  readonly payload?: Buffer;
  readonly count?: number;
  readonly verdicts?: Buffer;
  readonly mappingVersion?: number;
}

export function producerId(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** One producer's chain: every `frame` links to the one before. */
export class Chain {
  readonly producer: string;
  readonly kind: ProducerKind;
  epoch = 0;
  seq = 0;
  hash: Buffer = zeroHash;
  #prev = { epoch: 0, seq: 0, hash: zeroHash };

  constructor(producer: string, kind: ProducerKind = "linux") {
    this.producer = producer;
    this.kind = kind;
  }

  /** Takes the bus's word for a new epoch. */
  open(epoch: number, prev: { readonly epoch: number; readonly seq: number; readonly hash: Buffer }): void {
    this.epoch = epoch;
    this.seq = 0;
    this.#prev = prev;
  }

  frame(wish: FrameWish = {}): FrameAppend {
    const lines = wish.lines ?? [eventLine(`host-${this.epoch}-${this.seq + 1}`)];
    const gap = wish.gap;
    const payload =
      wish.payload ?? Buffer.from(gap === undefined ? lines.map((line) => `${line}\n`).join("") : JSON.stringify({ reason: gap.reason }));
    const count = wish.count ?? gap?.count ?? lines.length;
    const firstSeq = this.seq + 1;
    const prev = this.seq === 0 ? this.#prev : { epoch: this.epoch, seq: this.seq, hash: this.hash };
    const fields = {
      producer: this.producer,
      keyId: "0011223344556677",
      kind: gap === undefined ? ("events" as const) : ("gap" as const),
      codec: 0,
      schemaVersion: 1,
      mappingVersion: wish.mappingVersion ?? 1,
      epoch: this.epoch,
      firstSeq,
      count,
      offered: this.seq + count,
      prevEpoch: prev.epoch,
      prevSeq: prev.seq,
      prevHash: prev.hash,
      payloadHash: payloadHash(payload),
      payloadBytes: payload.length,
    };
    const header = encodeHeader(fields);
    const hash = frameHash(header);
    this.seq += count;
    this.hash = hash;
    const { payloadBytes: _, ...link } = fields;
    return {
      link: { ...link, hash, ...wish.link },
      producerKind: this.kind,
      header,
      signature: Buffer.alloc(64),
      payload,
      verdicts: wish.verdicts ?? verdictsOf(payload, count, gap !== undefined),
    };
  }
}

/** As the gate would judge. */
function verdictsOf(payload: Buffer, count: number, isGap: boolean): Buffer {
  if (isGap) return encodeVerdicts({ kind: "lines", lineStarts: new Uint32Array(0), invalid: [] });
  const check = validatePayload(payload, count);
  if (check.kind === "undecodable") return encodeVerdicts({ kind: "frame", code: check.code });
  return encodeVerdicts({ kind: "lines", lineStarts: check.lineStarts, invalid: check.invalid.map(({ line, code }) => ({ line, code })) });
}
