/**
 * Why: a calendar is only proven by events that could be proven by themselves: signed, chained, of several kinds.
 * Enforces: frames as a producer makes them and verdicts as a gateway does; equal calls give equal lines.
 * Forbids: anybody's data: all of it is made here (ING-9).
 */
import { generateKeyPairSync } from "node:crypto";
import {
  encodeGap,
  encodeHeader,
  encodeVerdicts,
  type FrameFields,
  frameHash,
  keyIdOf,
  payloadHash,
  rawPublicKey,
  signHeader,
  validatePayload,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import type { EpochEnd, FrameAppend, ProducerKind } from "ransomeye-pipeline";

/** What a frame holds: events, events of which one cannot be read, or the word that some are lost. */
export type FrameWish = "events" | "broken" | "gap";

/** A valid event, told apart by its message. */
function eventLine(message: string): string {
  return JSON.stringify({
    activity_id: 1,
    category_uid: 1,
    class_uid: 1007,
    type_uid: 100_701,
    severity_id: 1,
    time: 1_700_000_000_000,
    message,
    metadata: { version: "1.9.0", product: { name: "calendar", vendor_name: "RansomEye" } },
    device: { hostname: "ws-1", type_id: 2 },
  });
}

const linesPerFrame = 2;

/** One producer with its key; every frame links to the one before. */
export class SignedChain {
  readonly id: string;
  readonly kind: ProducerKind;
  readonly publicKey: Buffer;
  readonly keyId: string;
  readonly #privateKey = generateKeyPairSync("ed25519").privateKey;
  epoch = 0;
  seq = 0;
  #end: EpochEnd = { epoch: 0, seq: 0, hash: zeroHash };

  constructor(n: number, kind: ProducerKind) {
    this.id = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
    this.kind = kind;
    this.publicKey = rawPublicKey(this.#privateKey);
    this.keyId = keyIdOf(this.publicKey);
  }

  /** Takes the bus's word for a new epoch. */
  opened(epoch: number, prev: EpochEnd): void {
    this.epoch = epoch;
    this.seq = 0;
    this.#end = prev;
  }

  /** The next frame; the chain moves on. It counts two sequence numbers, whatever it holds. */
  next(wish: FrameWish): FrameAppend {
    const firstSeq = this.seq + 1;
    const lines = [eventLine(`${this.epoch} ${firstSeq}`), wish === "broken" ? "{not json" : eventLine(`${this.epoch} ${firstSeq + 1}`)];
    const payload = wish === "gap" ? encodeGap("spool_full", { events: linesPerFrame }) : Buffer.from(`${lines.join("\n")}\n`);
    const fields: FrameFields = {
      ...{ producer: this.id, keyId: this.keyId, kind: wish === "gap" ? "gap" : "events", codec: 0, schemaVersion: 1, mappingVersion: 1 },
      ...{ epoch: this.epoch, firstSeq, count: linesPerFrame, offered: firstSeq + linesPerFrame - 1 },
      ...{ prevEpoch: this.#end.epoch, prevSeq: this.#end.seq, prevHash: this.#end.hash },
      ...{ payloadHash: payloadHash(payload), payloadBytes: payload.length },
    };
    const header = encodeHeader(fields);
    const hash = frameHash(header);
    this.seq += linesPerFrame;
    this.#end = { epoch: this.epoch, seq: this.seq, hash };
    const { payloadBytes: _, ...link } = fields;
    return {
      ...{ link: { ...link, hash }, producerKind: this.kind, header, payload },
      ...{ signature: signHeader(header, this.#privateKey), verdicts: verdictsOf(payload, wish) },
    };
  }
}

/** As the gateway judges. */
function verdictsOf(payload: Buffer, wish: FrameWish): Buffer {
  const none = { kind: "lines", lineStarts: new Uint32Array(0), invalid: [] } as const;
  if (wish === "gap") return encodeVerdicts(none);
  const check = validatePayload(payload, linesPerFrame);
  if (check.kind === "undecodable") return encodeVerdicts({ kind: "frame", code: check.code });
  return encodeVerdicts({ kind: "lines", lineStarts: check.lineStarts, invalid: check.invalid.map(({ line, code }) => ({ line, code })) });
}
