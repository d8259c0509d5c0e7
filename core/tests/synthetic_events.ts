/**
 * Why: tests of the gate need producers and events that nobody ever was and that are the same on every run (ING-9: no production data).
 * Enforces: everything comes out of a seed: ids, keys, events, chains. A `SyntheticChain` signs what an honest producer signs; hostile tests
 *   change one thing of it at a time.
 * Forbids: real data, and use outside tests.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import {
  type ClientMessage,
  encodeHeader,
  type FrameFields,
  frameHash,
  type Head,
  keyIdOf,
  nativeMappingVersion,
  OCSF_VERSION,
  openEpochBytes,
  payloadHash,
  type ProducerKind,
  rawPublicKey,
  schemaVersions,
  ed25519Sign,
  signHeader,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { limits, type Random, seededRandom } from "ransomeye-kernel";

/** A producer of tests: identity and batch key. */
export interface SyntheticProducer {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly batchKey: KeyObject;
  readonly publicKey: Buffer;
  readonly keyId: string;
}

/** PKCS #8 in front of an Ed25519 seed. */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** An Ed25519 key from 32 bytes of a seeded generator. */
export function syntheticKey(random: Random): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, random.bytes(32)]), format: "der", type: "pkcs8" });
}

/** The producer that a seed names. */
export function syntheticProducer(seed: number | string, kind: ProducerKind = "linux"): SyntheticProducer {
  const random = seededRandom(`producer:${seed}`);
  const producer = random.uuid();
  const batchKey = syntheticKey(random);
  const publicKey = rawPublicKey(batchKey);
  return { producer, kind, batchKey, publicKey, keyId: keyIdOf(publicKey) };
}

/** A valid event: a process starts. `n` makes it distinct. */
export function syntheticEvent(n: number, extra: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    activity_id: 1,
    category_uid: 1,
    class_uid: 1007,
    type_uid: 100701,
    severity_id: 1,
    time: 1_790_000_000_000 + n,
    metadata: { version: OCSF_VERSION, product: { name: "synthetic", vendor_name: "RansomEye tests" } },
    device: { hostname: `host-${n % 97}`, type_id: 2 },
    actor: { process: { pid: 4, name: "init" } },
    process: { pid: 1000 + n, name: "worker", cmd_line: `worker --n ${n}` },
    ...extra,
  });
}

/** A valid event nearly as long as a line may be. No string alone may be so long, so two fill it. */
export function longSyntheticEvent(n: number): string {
  const { lineBytesMax, jsonStringBytesMax } = limits;
  return syntheticEvent(n, { raw_data: "x".repeat(jsonStringBytesMax), message: "x".repeat(lineBytesMax - jsonStringBytesMax - 1024) });
}

/** The next `count` events from `from`, as the payload of a frame. */
export function syntheticPayload(from: number, count: number): Buffer {
  let text = "";
  for (let n = from; n < from + count; n += 1) text += `${syntheticEvent(n)}\n`;
  return Buffer.from(text);
}

/** A signed frame as a client message, with the fields that were signed. */
export interface SignedFrame {
  readonly fields: FrameFields;
  readonly hash: Buffer;
  readonly message: Extract<ClientMessage, { kind: "frame" }>;
}

/** Signs any fields over any payload. */
export function signFrame(fields: FrameFields, payload: Buffer, key: KeyObject): SignedFrame {
  const header = encodeHeader(fields);
  return { fields, hash: frameHash(header), message: { kind: "frame", header, signature: signHeader(header, key), payload } };
}

/** What an honest producer's chain signs next. */
export class SyntheticChain {
  readonly who: SyntheticProducer;
  epoch = 0;
  seq = 0;
  #prev = { epoch: 0, seq: 0, hash: zeroHash };

  constructor(who: SyntheticProducer) {
    this.who = who;
  }

  /** Goes on where the server says the chain ends. */
  resume(head: Head): void {
    this.epoch = head.epoch;
    this.seq = head.seq;
    this.#prev =
      head.seq > 0
        ? { epoch: head.epoch, seq: head.seq, hash: head.hash }
        : { epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash };
  }

  /** An epoch was opened. */
  opened(epoch: number, prev: { readonly prevEpoch: number; readonly prevSeq: number; readonly prevHash: Buffer }): void {
    this.epoch = epoch;
    this.seq = 0;
    this.#prev = { epoch: prev.prevEpoch, seq: prev.prevSeq, hash: prev.prevHash };
  }

  /** The request for the next epoch, signed over the session's nonce. */
  openEpoch(nonce: Buffer): Extract<ClientMessage, { kind: "openEpoch" }> {
    const signature = ed25519Sign(openEpochBytes(this.who.producer, this.epoch, nonce), this.who.batchKey);
    return { kind: "openEpoch", expectedEpoch: this.epoch, keyId: Buffer.from(this.who.keyId, "hex"), signature, sessionNonce: nonce };
  }

  /** The fields of the next frame over a payload. */
  fields(payload: Buffer, count: number, change: Partial<FrameFields> = {}): FrameFields {
    const { who, epoch, seq } = this;
    return {
      producer: who.producer,
      keyId: who.keyId,
      kind: "events",
      codec: 0,
      schemaVersion: schemaVersions[0] ?? 1,
      mappingVersion: nativeMappingVersion,
      epoch,
      firstSeq: seq + 1,
      count,
      offered: seq + count,
      prevEpoch: this.#prev.epoch,
      prevSeq: this.#prev.seq,
      prevHash: this.#prev.hash,
      payloadHash: payloadHash(payload),
      payloadBytes: payload.length,
      ...change,
    };
  }

  /** The next frame without going on: what a hostile test sends instead. */
  peek(payload: Buffer, count: number, change: Partial<FrameFields> = {}, key: KeyObject = this.who.batchKey): SignedFrame {
    return signFrame(this.fields(payload, count, change), payload, key);
  }

  /** The next frame; the chain goes on behind it. */
  next(count = 3, payload: Buffer = syntheticPayload(this.seq, count)): SignedFrame {
    const frame = this.peek(payload, count);
    this.seq += count;
    this.#prev = { epoch: this.epoch, seq: this.seq, hash: frame.hash };
    return frame;
  }
}
