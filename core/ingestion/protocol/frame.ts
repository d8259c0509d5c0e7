/**
 * Why: the frame header is the one thing a producer signs and everybody later trusts: it names the producer,
 *   the sequence range, the payload by hash and the frame before it. Its hash is the chain.
 * Enforces: one encoding only. The decoder checks every length, refuses other domains and versions, unsafe
 *   integers, trailing bytes, unknown kinds and codecs, and a link that contradicts itself, so that
 *   `encodeHeader(decodeHeader(bytes))` gives back the same bytes.
 * Forbids: re-serialising signed bytes: store, hash and verify the bytes that arrived.
 */

import { createHash, type KeyObject } from "node:crypto";
import { ProtocolError, refused, type Decoded, type ProtocolCode } from "./protocol_errors.ts";
import { ed25519Sign, ed25519Verify, readU64, uuidBytes, uuidText, writeU64 } from "./signed_bytes.ts";

/** What a frame carries: events, or the declaration that a range of sequences will never come. */
export type FrameKind = "events" | "gap";

/** The fields that a producer signs. */
export interface FrameFields {
  /** Canonical uuid of the producer; must equal the one of its certificate. */
  readonly producer: string;
  /** First 8 bytes of SHA-256 of the batch key's raw public key, hex. */
  readonly keyId: string;
  readonly kind: FrameKind;
  /** 0 identity. */
  readonly codec: number;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
  readonly epoch: number;
  readonly firstSeq: number;
  /** Sequences covered by this frame: lines of the payload, or sequences declared lost. */
  readonly count: number;
  /** Sequences that the producer has handed out so far in this epoch; at least this frame's last one. */
  readonly offered: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  /** Chain hash of the previous frame, 32 bytes; zeros before the very first. */
  readonly prevHash: Buffer;
  /** SHA-256 of the payload, 32 bytes. */
  readonly payloadHash: Buffer;
  readonly payloadBytes: number;
}

/** A decoded header; structurally a `FrameLink` of the bus port. */
export interface FrameHeader extends FrameFields {
  /** SHA-256 of the header bytes: this frame's place in the chain. */
  readonly hash: Buffer;
}

/** 32 zero bytes: the hash before a producer's first frame. */
export const zeroHash: Buffer = Buffer.alloc(32);

const domainPrefix = "ransomeye.frame.";
const domain = Buffer.from(`${domainPrefix}v1`, "latin1");

/** The fields in signing order with their fixed lengths. */
const layout = [
  ["producer", 16],
  ["keyId", 8],
  ["kind", 1],
  ["codec", 1],
  ["schemaVersion", 2],
  ["mappingVersion", 2],
  ["epoch", 8],
  ["firstSeq", 8],
  ["count", 4],
  ["offered", 8],
  ["prevEpoch", 8],
  ["prevSeq", 8],
  ["prevHash", 32],
  ["payloadHash", 32],
  ["payloadBytes", 4],
] as const satisfies readonly (readonly [keyof FrameFields, number])[];

type FieldName = (typeof layout)[number][0];

/** Offset of each field's bytes, behind its two length bytes. */
const at = {} as Record<FieldName, number>;
let end = 2 + domain.length;
for (const [name, length] of layout) {
  at[name] = end + 2;
  end += 2 + length;
}

/** Every version 1 header has exactly this many bytes. */
export const headerBytes: number = end;

const kindByte: Readonly<Record<FrameKind, number>> = { events: 1, gap: 2 };

/** The header bytes to sign. Throws `ProtocolError` where a value does not fit or the link contradicts itself. */
export function encodeHeader(fields: FrameFields): Buffer {
  const fault = contradiction(fields);
  if (fault !== undefined) throw new ProtocolError(fault.code, fault.detail);
  const bytes = Buffer.allocUnsafe(headerBytes);
  bytes.writeUInt16BE(domain.length, 0);
  domain.copy(bytes, 2);
  for (const [name, length] of layout) bytes.writeUInt16BE(length, at[name] - 2);
  uuidBytes(fields.producer).copy(bytes, at.producer);
  hexBytes(fields.keyId, 8).copy(bytes, at.keyId);
  bytes.writeUInt8(kindByte[fields.kind], at.kind);
  bytes.writeUInt8(fields.codec, at.codec);
  bytes.writeUInt16BE(fields.schemaVersion, at.schemaVersion);
  bytes.writeUInt16BE(fields.mappingVersion, at.mappingVersion);
  writeU64(bytes, at.epoch, fields.epoch);
  writeU64(bytes, at.firstSeq, fields.firstSeq);
  bytes.writeUInt32BE(fields.count, at.count);
  writeU64(bytes, at.offered, fields.offered);
  writeU64(bytes, at.prevEpoch, fields.prevEpoch);
  writeU64(bytes, at.prevSeq, fields.prevSeq);
  fields.prevHash.copy(bytes, at.prevHash);
  fields.payloadHash.copy(bytes, at.payloadHash);
  bytes.writeUInt32BE(fields.payloadBytes, at.payloadBytes);
  return bytes;
}

/** Decodes header bytes strictly; the hashes in the result are views of `bytes`. */
export function decodeHeader(bytes: Buffer): Decoded<FrameHeader> {
  const framing = checkFraming(bytes);
  if (framing !== undefined) return refused(framing.code, framing.detail);
  const epoch = readU64(bytes, at.epoch);
  const firstSeq = readU64(bytes, at.firstSeq);
  const offered = readU64(bytes, at.offered);
  const prevEpoch = readU64(bytes, at.prevEpoch);
  const prevSeq = readU64(bytes, at.prevSeq);
  if (epoch === undefined || firstSeq === undefined || offered === undefined || prevEpoch === undefined || prevSeq === undefined) {
    return refused("PROTOCOL_INTEGER", "an integer exceeds 2^53-1");
  }
  const kindValue = bytes.readUInt8(at.kind);
  if (kindValue !== kindByte.events && kindValue !== kindByte.gap) return refused("PROTOCOL_KIND_UNKNOWN", `frame kind ${kindValue}`);
  const header: FrameHeader = {
    producer: uuidText(bytes.subarray(at.producer, at.producer + 16)),
    keyId: bytes.toString("hex", at.keyId, at.keyId + 8),
    kind: kindValue === kindByte.events ? "events" : "gap",
    codec: bytes.readUInt8(at.codec),
    schemaVersion: bytes.readUInt16BE(at.schemaVersion),
    mappingVersion: bytes.readUInt16BE(at.mappingVersion),
    epoch,
    firstSeq,
    count: bytes.readUInt32BE(at.count),
    offered,
    prevEpoch,
    prevSeq,
    prevHash: bytes.subarray(at.prevHash, at.prevHash + 32),
    payloadHash: bytes.subarray(at.payloadHash, at.payloadHash + 32),
    payloadBytes: bytes.readUInt32BE(at.payloadBytes),
    hash: frameHash(bytes),
  };
  const fault = contradiction(header);
  return fault === undefined ? { kind: "decoded", value: header } : refused(fault.code, fault.detail);
}

/** The last sequence of a frame. */
export function lastSeqOf(link: { readonly firstSeq: number; readonly count: number }): number {
  return link.firstSeq + link.count - 1;
}

/** SHA-256 of the header bytes: the chain hash. */
export function frameHash(header: Buffer): Buffer {
  return createHash("sha256").update(header).digest();
}

/** SHA-256 of a payload, as the header names it. */
export function payloadHash(payload: Buffer): Buffer {
  return createHash("sha256").update(payload).digest();
}

/** The producer's signature over the header bytes. */
export function signHeader(header: Buffer, batchKey: KeyObject): Buffer {
  return ed25519Sign(header, batchKey);
}

/** Whether the producer's batch key signed these header bytes. Check the payload's hash as well. */
export function verifyHeader(header: Buffer, signature: Buffer, publicKey: KeyObject): boolean {
  return ed25519Verify(header, signature, publicKey);
}

interface Fault {
  readonly code: ProtocolCode;
  readonly detail: string;
}

function checkFraming(bytes: Buffer): Fault | undefined {
  if (bytes.length < 2) return { code: "PROTOCOL_TRUNCATED", detail: "no domain" };
  const domainLength = bytes.readUInt16BE(0);
  if (bytes.length < 2 + domainLength) return { code: "PROTOCOL_TRUNCATED", detail: "the domain is cut" };
  const named = bytes.subarray(2, 2 + domainLength);
  if (!named.equals(domain)) {
    return named.toString("latin1", 0, domainPrefix.length) === domainPrefix
      ? { code: "PROTOCOL_VERSION_UNKNOWN", detail: "another version of the frame header" }
      : { code: "PROTOCOL_DOMAIN", detail: "not a frame header" };
  }
  for (const [name, length] of layout) {
    if (bytes.length < at[name]) return { code: "PROTOCOL_TRUNCATED", detail: `${name} is missing` };
    if (bytes.readUInt16BE(at[name] - 2) !== length) return { code: "PROTOCOL_FIELD_LENGTH", detail: `${name} must have ${length} bytes` };
    if (bytes.length < at[name] + length) return { code: "PROTOCOL_TRUNCATED", detail: `${name} is cut` };
  }
  return bytes.length === headerBytes ? undefined : { code: "PROTOCOL_TRAILING_BYTES", detail: "bytes follow the header" };
}

/** What no honest producer signs, whatever the state of its chain; encoder and decoder agree on it. */
function contradiction(f: FrameFields): Fault | undefined {
  const integer = (value: number, min: number, max: number): boolean => Number.isSafeInteger(value) && value >= min && value <= max;
  const safe = Number.MAX_SAFE_INTEGER;
  if (f.codec !== 0) return { code: "PROTOCOL_CODEC_UNKNOWN", detail: `codec ${f.codec}` };
  const fits =
    integer(f.schemaVersion, 0, 0xffff) &&
    integer(f.mappingVersion, 0, 0xffff) &&
    integer(f.epoch, 1, safe) &&
    integer(f.firstSeq, 1, safe) &&
    integer(f.count, 1, 0xffffffff) &&
    integer(f.firstSeq + f.count - 1, 1, safe) &&
    integer(f.offered, 0, safe) &&
    integer(f.prevEpoch, 0, safe) &&
    integer(f.prevSeq, 0, safe) &&
    integer(f.payloadBytes, 0, 0xffffffff);
  if (!fits) return { code: "PROTOCOL_INTEGER", detail: "an integer is outside the range of its field" };
  if (f.prevHash.length !== 32 || f.payloadHash.length !== 32)
    return { code: "PROTOCOL_FIELD_LENGTH", detail: "a hash must have 32 bytes" };
  if (f.offered < lastSeqOf(f)) return { code: "PROTOCOL_LINK", detail: "offered is behind the frame's own last sequence" };
  if (f.firstSeq > 1 && (f.prevEpoch !== f.epoch || f.prevSeq !== f.firstSeq - 1)) {
    return { code: "PROTOCOL_LINK", detail: "within an epoch a frame follows the sequence just before it" };
  }
  if (f.firstSeq === 1 && f.prevEpoch >= f.epoch)
    return { code: "PROTOCOL_LINK", detail: "the first frame of an epoch follows an earlier epoch" };
  if (f.prevEpoch === 0 && (f.prevSeq !== 0 || !f.prevHash.equals(zeroHash))) {
    return { code: "PROTOCOL_LINK", detail: "nothing precedes the first epoch" };
  }
  return undefined;
}

function hexBytes(hex: string, length: number): Buffer {
  const bytes = Buffer.from(hex, "hex");
  if (bytes.length !== length || hex.length !== length * 2)
    throw new ProtocolError("PROTOCOL_FIELD_LENGTH", "not the hex form of its field");
  return bytes;
}
