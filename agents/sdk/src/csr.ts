/**
 * Why: a certificate is asked for with PKCS#10 (RFC 2986), and an agent needs no ASN.1 library for the one request that it ever makes.
 * Enforces: subject and attributes are empty: who the certificate names is the registry's word. ECDSA with SHA-256 by the P-256 key itself.
 * Forbids: parsing. What comes back is a certificate, and Node reads those.
 */
import { createPublicKey, type KeyObject, sign } from "node:crypto";

const tag = { integer: 0x02, bitString: 0x03, oid: 0x06, sequence: 0x30, attributes: 0xa0 } as const;
/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = Buffer.from("2a8648ce3d040302", "hex");

/** The DER request for a certificate of this key. */
export function certificationRequest(tlsKey: KeyObject): Buffer {
  const info = der(tag.sequence, [
    der(tag.integer, [Buffer.of(0)]),
    der(tag.sequence, []),
    createPublicKey(tlsKey).export({ format: "der", type: "spki" }),
    der(tag.attributes, []),
  ]);
  const algorithm = der(tag.sequence, [der(tag.oid, [ecdsaWithSha256])]);
  const signature = der(tag.bitString, [Buffer.of(0), sign("sha256", info, tlsKey)]);
  return der(tag.sequence, [info, algorithm, signature]);
}

function der(kind: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [kind, length] : length < 0x100 ? [kind, 0x81, length] : [kind, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
