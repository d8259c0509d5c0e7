/**
 * Why: what a producer has promised to send must be on disk in a form that tells a torn write from a whole one.
 * Enforces: a record is its length, a check, and a body; the check covers all but the payload, the payload's SHA-256 stands in the body and is
 *   the one that the signed header names, so that the payload is hashed once.
 * Forbids: trusting a length before the check has been verified.
 *
 * Segment: "RSEYESP1" and records. Record, big-endian: u32 body bytes ‖ first 8 bytes of SHA-256(body without payload) ‖ body.
 * Batch body: u8 1 ‖ u8 flags ‖ u16 schema version ‖ u16 mapping version ‖ u64 index ‖ u64 created_us ‖ u32 count ‖ u32 payload bytes ‖
 * payload hash 32 ‖ u16 cursor bytes ‖ [header, signature 64] ‖ cursor ‖ payload. Link body: u8 2 ‖ u64 index ‖ header ‖ signature 64.
 */
import { createHash } from "node:crypto";
import { headerBytes, payloadHash, readU64, writeU64 } from "ransomeye-ingestion/protocol";

/** First bytes of every segment. */
export const segmentMagic: Buffer = Buffer.from("RSEYESP1", "latin1");
/** Bytes of a cursor at most. */
export const cursorBytesMax: number = 4096;

const prefixBytes = 12;
const batchFixedBytes = 1 + 1 + 2 + 2 + 8 + 8 + 4 + 4 + 32 + 2;
const linkFixedBytes = 1 + 8;
const signatureBytes = 64;
const signedBytes = headerBytes + signatureBytes;
const flags = { more: 1, signed: 2, gap: 4, cursor: 8 } as const;

/** A signed header. */
export interface SignedHeader {
  readonly header: Buffer;
  readonly signature: Buffer;
}

/** A batch as it is written. */
export interface BatchRecord {
  readonly type: "batch";
  readonly index: number;
  readonly kind: "events" | "gap";
  readonly count: number;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
  readonly createdUs: number;
  readonly payloadHash: Buffer;
  readonly payloadBytes: number;
  /** The call that this batch belongs to goes on in the next one. */
  readonly more: boolean;
  readonly cursor: string | undefined;
  readonly signed: SignedHeader | undefined;
}

/** A place in the chain that was signed after its batch had been written. */
export interface LinkRecord {
  readonly type: "link";
  readonly index: number;
  readonly signed: SignedHeader;
}

/** A record found in a segment. */
export interface FoundRecord {
  readonly record: BatchRecord | LinkRecord;
  /** Bytes of the whole record. */
  readonly bytes: number;
  /** Offset of the payload from the start of the record. */
  readonly payloadOffset: number;
}

/** The record's parts, the payload as it was given. */
export function encodeBatch(batch: BatchRecord, payload: Buffer): Buffer[] {
  const cursor = Buffer.from(batch.cursor ?? "", "utf8");
  const head = Buffer.allocUnsafe(prefixBytes + batchFixedBytes + (batch.signed === undefined ? 0 : signedBytes) + cursor.length);
  const flagBits =
    (batch.more ? flags.more : 0) |
    (batch.signed === undefined ? 0 : flags.signed) |
    (batch.kind === "gap" ? flags.gap : 0) |
    (batch.cursor === undefined ? 0 : flags.cursor);
  head.writeUInt32BE(head.length - prefixBytes + payload.length, 0);
  let at = head.writeUInt8(1, prefixBytes);
  at = head.writeUInt8(flagBits, at);
  at = head.writeUInt16BE(batch.schemaVersion, at);
  at = head.writeUInt16BE(batch.mappingVersion, at);
  writeU64(head, at, batch.index);
  writeU64(head, at + 8, batch.createdUs);
  at += 16;
  at = head.writeUInt32BE(batch.count, at);
  at = head.writeUInt32BE(payload.length, at);
  at += batch.payloadHash.copy(head, at);
  at = head.writeUInt16BE(cursor.length, at);
  if (batch.signed !== undefined) at = copySigned(head, batch.signed, at);
  cursor.copy(head, at);
  checkOf(head.subarray(prefixBytes)).copy(head, 4);
  return [head, payload];
}

/** A link's record. */
export function encodeLink(link: LinkRecord): Buffer[] {
  const bytes = Buffer.allocUnsafe(prefixBytes + linkFixedBytes + signedBytes);
  bytes.writeUInt32BE(bytes.length - prefixBytes, 0);
  bytes.writeUInt8(2, prefixBytes);
  writeU64(bytes, prefixBytes + 1, link.index);
  copySigned(bytes, link.signed, prefixBytes + linkFixedBytes);
  checkOf(bytes.subarray(prefixBytes)).copy(bytes, 4);
  return [bytes];
}

/** Reads the record at `offset`; undefined where there is none that is whole and right. Buffers are copies. */
export function decodeRecord(segment: Buffer, offset: number): FoundRecord | undefined {
  if (segment.length - offset < prefixBytes + linkFixedBytes) return undefined;
  const bodyBytes = segment.readUInt32BE(offset);
  const body = segment.subarray(offset + prefixBytes, offset + prefixBytes + bodyBytes);
  if (body.length !== bodyBytes || bodyBytes < linkFixedBytes) return undefined;
  const check = segment.subarray(offset + 4, offset + prefixBytes);
  return body[0] === 1 ? decodeBatch(body, check) : body[0] === 2 ? decodeLink(body, check) : undefined;
}

function decodeBatch(body: Buffer, check: Buffer): FoundRecord | undefined {
  if (body.length < batchFixedBytes) return undefined;
  const flagBits = body.readUInt8(1);
  const payloadBytes = body.readUInt32BE(26);
  const headBytes = body.length - payloadBytes;
  const cursorBytes = body.readUInt16BE(batchFixedBytes - 2);
  const signed = (flagBits & flags.signed) !== 0;
  if (headBytes !== batchFixedBytes + (signed ? signedBytes : 0) + cursorBytes) return undefined;
  const head = Buffer.from(body.subarray(0, headBytes));
  const hash = head.subarray(30, 62);
  if (!checkOf(head).equals(check) || !payloadHash(body.subarray(headBytes)).equals(hash)) return undefined;
  const index = readU64(head, 6);
  const createdUs = readU64(head, 14);
  if (index === undefined || createdUs === undefined) return undefined;
  return {
    record: {
      type: "batch",
      index,
      kind: (flagBits & flags.gap) === 0 ? "events" : "gap",
      count: head.readUInt32BE(22),
      schemaVersion: head.readUInt16BE(2),
      mappingVersion: head.readUInt16BE(4),
      createdUs,
      payloadHash: hash,
      payloadBytes,
      more: (flagBits & flags.more) !== 0,
      cursor: (flagBits & flags.cursor) === 0 ? undefined : head.toString("utf8", headBytes - cursorBytes),
      signed: signed ? signedAt(head, batchFixedBytes) : undefined,
    },
    bytes: prefixBytes + body.length,
    payloadOffset: prefixBytes + headBytes,
  };
}

function decodeLink(body: Buffer, check: Buffer): FoundRecord | undefined {
  if (body.length !== linkFixedBytes + signedBytes || !checkOf(body).equals(check)) return undefined;
  const index = readU64(body, 1);
  if (index === undefined) return undefined;
  return {
    record: { type: "link", index, signed: signedAt(Buffer.from(body), linkFixedBytes) },
    bytes: prefixBytes + body.length,
    payloadOffset: 0,
  };
}

function signedAt(bytes: Buffer, at: number): SignedHeader {
  return { header: bytes.subarray(at, at + headerBytes), signature: bytes.subarray(at + headerBytes, at + signedBytes) };
}

function copySigned(target: Buffer, signed: SignedHeader, at: number): number {
  signed.header.copy(target, at);
  signed.signature.copy(target, at + headerBytes);
  return at + signedBytes;
}

function checkOf(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest().subarray(0, 8);
}
