/**
 * Why: batch keys and receipt keys travel as raw 32 bytes, and OpenSSL loads points that no honest key pair
 *   has: small-order ones, under which one signature fits many messages, and second encodings of one point.
 * Enforces: a public key is canonical and not of small order wherever it is loaded (`importPublicKey`), and of
 *   prime order where it enters the system (`enrolledKeyFault`, dear, once per enrolment).
 * Forbids: trusting `createPublicKey` alone: Node accepts every one of these keys.
 */

import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { isPrimeOrder } from "./ed25519_point.ts";
import { refused, type Decoded, type Refused } from "./protocol_errors.ts";

/** The DER bytes in front of a raw Ed25519 public key. */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** y of the eight points of small order, sign bit cleared, as published (libsodium, "Taming the many EdDSAs"). */
const smallOrder: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** 2^255 - 19, little-endian: a canonical y is below it. */
const fieldPrime = Buffer.from("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "hex");

/** Why this raw public key may not be used, or undefined. Cheap; run on every key that is loaded. */
export function publicKeyFault(raw: Buffer): Refused | undefined {
  if (raw.length !== 32) return refused("PROTOCOL_KEY", "an Ed25519 public key has 32 bytes");
  const y = Buffer.from(raw);
  y[31] = (y[31] ?? 0) & 0x7f;
  if (smallOrder.has(y.toString("hex"))) return refused("PROTOCOL_KEY", "a point of small order");
  if (compareLittleEndian(y, fieldPrime) >= 0) return refused("PROTOCOL_KEY", "not the canonical encoding of its point");
  return undefined;
}

/** As `publicKeyFault`, and the point must lie on the curve and have prime order: no torsion mixed in. Some milliseconds. */
export function enrolledKeyFault(raw: Buffer): Refused | undefined {
  return publicKeyFault(raw) ?? (isPrimeOrder(raw) ? undefined : refused("PROTOCOL_KEY", "not a point of prime order"));
}

/** The KeyObject of a raw public key, refused where it is not canonical or of small order. */
export function importPublicKey(raw: Buffer): Decoded<KeyObject> {
  const fault = publicKeyFault(raw);
  if (fault !== undefined) return fault;
  return { kind: "decoded", value: createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" }) };
}

/** The raw 32 bytes of an Ed25519 public key, or of a private key's public half. */
export function rawPublicKey(key: KeyObject): Buffer {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return Buffer.from(half.export({ format: "der", type: "spki" }).subarray(spkiPrefix.length));
}

/** Key id: first 8 bytes of SHA-256 of the raw public key, hex. */
export function keyIdOf(raw: Buffer): string {
  return createHash("sha256").update(raw).digest().toString("hex", 0, 8);
}

function compareLittleEndian(a: Buffer, b: Buffer): number {
  for (let i = 31; i >= 0; i -= 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
