/**
 * Why it exists: the facts of a frame as one block of bytes, which the server keeps beside the frame and never looks into but for its first 64 bytes.
 * Enforces: one layout, in both directions; payload bytes checked against their hash when they come back.
 * Forbids: I/O.
 *
 * Layout of field `m`: hash 32 · prev_hash 32 · payload_hash 32 · key id 8 · producer 16 · incarnation 16 · big-endian u64 epoch, first_seq, count,
 * offered, prev_epoch, prev_seq · u16 codec, schema_version, mapping_version · u8 kind, producer kind · the gateway's id in UTF-8.
 * Fields of an entry, in this order: t received time, m facts, h header, s signature, v verdicts, b payload.
 */
import { createHash } from "node:crypto";
import { frameKindCodes, producerKindCodes } from "../arguments.ts";
import type { AppendOptions, BusEntry, FrameAccepter, FrameAppend, FrameKind, ProducerKind } from "../bus.ts";
import { BusError } from "../errors.ts";
import { listOf, numberOf, type Reply, textOf } from "./replies.ts";

const numbersAt = 136;
const smallAt = numbersAt + 48;
const gatewayAt = smallAt + 8;

const producerKinds = new Map(Object.entries(producerKindCodes).map(([kind, code]) => [code, kind as ProducerKind]));
const frameKinds = new Map(Object.entries(frameKindCodes).map(([kind, code]) => [code, kind as FrameKind]));

export function encodeMeta({ link, producerKind }: FrameAppend, { gateway, incarnation }: AppendOptions): Buffer {
  const meta = Buffer.alloc(gatewayAt + Buffer.byteLength(gateway));
  link.hash.copy(meta, 0);
  link.prevHash.copy(meta, 32);
  link.payloadHash.copy(meta, 64);
  meta.write(link.keyId, 96, "hex");
  meta.write(link.producer.replaceAll("-", ""), 104, "hex");
  meta.write(incarnation.replaceAll("-", ""), 120, "hex");
  let at = numbersAt;
  for (const number of [link.epoch, link.firstSeq, link.count, link.offered, link.prevEpoch, link.prevSeq]) {
    at = meta.writeUInt32BE(Math.floor(number / 2 ** 32), at);
    at = meta.writeUInt32BE(number % 2 ** 32, at);
  }
  for (const number of [link.codec, link.schemaVersion, link.mappingVersion]) at = meta.writeUInt16BE(number, at);
  at = meta.writeUInt8(frameKindCodes[link.kind], at);
  at = meta.writeUInt8(producerKindCodes[producerKind], at);
  meta.write(gateway, at, "utf8");
  return meta;
}

/** The first of these entries, as far as their headers and payloads have no more bytes; the very first one whatever its size. */
export function upToBytes(entries: readonly Reply[], bytesMax: number): { readonly entries: readonly Reply[]; readonly bytes: number } {
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    const fields = listOf(listOf(entry)[1]);
    const own = lengthOf(fields[5]) + lengthOf(fields[11]);
    if (index > 0 && bytes + own > bytesMax) return { entries: entries.slice(0, index), bytes };
    bytes += own;
  }
  return { entries, bytes };
}

/** What is no bytes is told when the entry is decoded. */
function lengthOf(field: Reply | undefined): number {
  return Buffer.isBuffer(field) ? field.length : 0;
}

interface EntryPlace {
  readonly producer: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Who took the frame in, as its facts say. */
export function accepterOf(meta: Buffer): FrameAccepter {
  return { gateway: meta.toString("utf8", gatewayAt), incarnation: uuidAt(meta, 120) };
}

/** What trimming must know of an entry; undefined for one that this bus has not written. */
export function placeOf(meta: Buffer): EntryPlace | undefined {
  if (meta.length < gatewayAt) return undefined;
  const firstSeq = numberAt(meta, 1);
  return { producer: uuidAt(meta, 104), epoch: numberAt(meta, 0), firstSeq, lastSeq: firstSeq + numberAt(meta, 2) - 1 };
}

/** Offset of an entry as XRANGE gives it; undefined for one that this bus has not numbered. */
export function offsetOf(reply: Reply): number | undefined {
  const id = textOf(listOf(reply)[0]);
  const off = id.endsWith("-0") ? Number(id.slice(0, -2)) : Number.NaN;
  return Number.isSafeInteger(off) && off >= 0 ? off : undefined;
}

/** @throws BusError BUS_CORRUPT if the payload does not match its hash, or the entry is none that this bus writes */
export function decodeEntry(reply: Reply, part: number, generation: string): BusEntry {
  const off = offsetOf(reply) ?? 0;
  const fields = listOf(listOf(reply)[1]);
  const corrupt = (why: string): BusError => new BusError("BUS_CORRUPT", why, { fields: { part, off } });
  if (!isNamed(fields)) throw corrupt("an entry is none that this bus writes");
  const [, t, , meta, , header, , signature, , verdicts, , payload] = fields as unknown as Fields;
  const producerKind = meta.length < gatewayAt ? undefined : producerKinds.get(meta.readUInt8(smallAt + 7));
  const kind = meta.length < gatewayAt ? undefined : frameKinds.get(meta.readUInt8(smallAt + 6));
  if (producerKind === undefined || kind === undefined || !/^\d{1,16}$/.test(t.toString("latin1")))
    throw corrupt("an entry's facts are none that this bus writes");
  const payloadHash = meta.subarray(64, 96);
  if (!createHash("sha256").update(payload).digest().equals(payloadHash))
    throw corrupt("an entry does not match the hash that was stored with it");
  const receivedUs = numberOf(t);
  const hash = meta.subarray(0, 32);
  return {
    position: { generation, part, off, receivedUs, hash },
    receivedUs,
    producerKind,
    ...accepterOf(meta),
    header,
    signature,
    payload,
    verdicts,
    link: {
      producer: uuidAt(meta, 104),
      keyId: meta.toString("hex", 96, 104),
      kind,
      codec: meta.readUInt16BE(smallAt),
      schemaVersion: meta.readUInt16BE(smallAt + 2),
      mappingVersion: meta.readUInt16BE(smallAt + 4),
      epoch: numberAt(meta, 0),
      firstSeq: numberAt(meta, 1),
      count: numberAt(meta, 2),
      offered: numberAt(meta, 3),
      prevEpoch: numberAt(meta, 4),
      prevSeq: numberAt(meta, 5),
      prevHash: meta.subarray(32, 64),
      payloadHash,
      hash,
    },
  };
}

/** Values stand behind their names. */
type Fields = readonly [...[Buffer, Buffer, Buffer, Buffer, Buffer, Buffer], ...[Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]];
const fieldNames = Buffer.from("tmhsvb");

/** Bytes throughout, under the names that an entry of this bus has. Every frame comes by here. */
function isNamed(fields: readonly Reply[]): boolean {
  if (fields.length !== 2 * fieldNames.length) return false;
  for (let at = 0; at < fieldNames.length; at++) {
    const name = fields[2 * at];
    if (!Buffer.isBuffer(name) || name.length !== 1 || name[0] !== fieldNames[at] || !Buffer.isBuffer(fields[2 * at + 1])) return false;
  }
  return true;
}

function numberAt(meta: Buffer, index: number): number {
  const at = numbersAt + index * 8;
  return meta.readUInt32BE(at) * 2 ** 32 + meta.readUInt32BE(at + 4);
}

function uuidAt(meta: Buffer, at: number): string {
  const hex = meta.toString("hex", at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
