/**
 * Why: bytes that get signed must mean one thing only. Every signature in this system covers a domain tag
 *   and then length-prefixed fields, so that no signature for one purpose can be replayed for another and
 *   no two lists of fields have the same bytes.
 * Enforces: `lp(x) = u16 big-endian length ‖ bytes` for every field, integers big-endian and safe.
 * Forbids: signing JSON or protobuf, whose encodings are not unique.
 */

import { sign, verify, type KeyObject } from "node:crypto";
import { ProtocolError } from "./protocol_errors.ts";

/** A field of signed bytes: raw bytes, or text as UTF-8. */
export type SignedField = Buffer | string;

/** `lp(domain) ‖ lp(field) …`; a field is at most 65,535 bytes. */
export function signedBytes(domain: string, fields: readonly SignedField[]): Buffer {
  const parts: Buffer[] = [];
  for (const field of [domain, ...fields]) {
    const bytes = typeof field === "string" ? Buffer.from(field, "utf8") : field;
    if (bytes.length > 0xffff) throw new ProtocolError("PROTOCOL_BOUND", "a signed field exceeds 65,535 bytes");
    const length = Buffer.allocUnsafe(2);
    length.writeUInt16BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** u64 big-endian of a safe integer. */
export function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeU64(bytes, 0, value);
  return bytes;
}

/** u32 big-endian. */
export function u32(value: number): Buffer {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new ProtocolError("PROTOCOL_INTEGER", "not a u32");
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Writes a safe integer as u64 big-endian. */
export function writeU64(target: Buffer, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new ProtocolError("PROTOCOL_INTEGER", "not a safe unsigned integer");
  target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  target.writeUInt32BE(value % 0x1_0000_0000, offset + 4);
}

/** Reads a u64 big-endian; undefined where it exceeds 2^53-1. */
export function readU64(source: Buffer, offset: number): number | undefined {
  const high = source.readUInt32BE(offset);
  return high > 0x1f_ffff ? undefined : high * 0x1_0000_0000 + source.readUInt32BE(offset + 4);
}

/** Whether a text is a canonical lower-case uuid. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** The 16 bytes of a canonical lower-case uuid. */
export function uuidBytes(uuid: string): Buffer {
  if (!isUuid(uuid)) throw new ProtocolError("PROTOCOL_FIELD_LENGTH", "not a canonical lower-case uuid");
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}

/** The canonical lower-case uuid of 16 bytes. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** Ed25519 signature, 64 bytes. */
export function ed25519Sign(bytes: Buffer, privateKey: KeyObject): Buffer {
  return sign(null, bytes, privateKey);
}

/** Whether the Ed25519 signature holds; a signature of another length never does. */
export function ed25519Verify(bytes: Buffer, signature: Buffer, publicKey: KeyObject): boolean {
  return signature.length === 64 && publicKey.asymmetricKeyType === "ed25519" && verify(null, bytes, publicKey, signature);
}
