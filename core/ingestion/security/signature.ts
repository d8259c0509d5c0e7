/**
 * Step 2 of 7: event signature verification.
 *
 * Why: a frame is what its producer signed, or it is nothing (promise 4).
 * Enforces: Input: a decoded header, still a mere claim, with its bytes. Output: nothing, or a code. The header must name the producer of
 *   the certificate; the key is looked up by (producer, key id) in the registry and nowhere else; the signature covers the header bytes
 *   as they came, and the header the payload by hash. Failure: the frame is refused whole and the session ends. Backpressure: none.
 * Forbids: parsing a payload before its signature holds, and a key that travels with the frame.
 */
import type { KeyObject } from "node:crypto";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { type Frame, type FrameHeader, importPublicKey, payloadHash, verifyHeader } from "../protocol/lib.ts";
import type { DirectoryEntry, DirectoryKey } from "../src/ports.ts";
import type { Identity } from "./identity.ts";

/** The dear, pure computations of step 2, injected so that a simulation can count or replace them. */
export interface SignatureChecks {
  /** Whether the raw 32-byte public key signed these bytes. */
  verify(header: Buffer, signature: Buffer, publicKey: Buffer): boolean;
  payloadHash(payload: Buffer): Buffer;
}

/** A batch key of this producer that may sign now, or why there is none. */
export function signingKey(
  entry: DirectoryEntry | undefined,
  keyId: string,
  nowUs: number,
): { readonly kind: "key"; readonly key: DirectoryKey } | { readonly kind: "refused"; readonly code: IngestCode } {
  const key = entry?.keys.get(keyId);
  if (key === undefined) return { kind: "refused", code: "INGEST_KEY_UNKNOWN" };
  if (key.retiredUs !== undefined && key.retiredUs <= nowUs) return { kind: "refused", code: "INGEST_KEY_RETIRED" };
  return { kind: "key", key };
}

/** Why a stream of this key must end: it has been retired. A key that nobody knows is refused with its first frame. */
export function retiredKeyFault(entry: DirectoryEntry | undefined, keyId: string, nowUs: number): IngestCode | undefined {
  const retiredUs = entry?.keys.get(keyId)?.retiredUs;
  return retiredUs !== undefined && retiredUs <= nowUs ? "INGEST_KEY_RETIRED" : undefined;
}

/** Why a frame is not genuine, or undefined when it is. */
export function signatureFault(
  header: FrameHeader,
  frame: Frame,
  identity: Identity,
  entry: DirectoryEntry | undefined,
  nowUs: number,
  checks: SignatureChecks,
): IngestCode | undefined {
  if (header.producer !== identity.producer) return "INGEST_PRODUCER_MISMATCH";
  const found = signingKey(entry, header.keyId, nowUs);
  if (found.kind === "refused") return found.code;
  if (!checks.verify(frame.header, frame.signature, found.key.publicKey)) return "INGEST_SIGNATURE_INVALID";
  if (!checks.payloadHash(frame.payload).equals(header.payloadHash)) return "INGEST_PAYLOAD_MISMATCH";
  return undefined;
}

/** Imported keys by their raw bytes' buffer: the registry keeps one buffer per key, so each is imported once. A cache, not a source. */
const imported = new WeakMap<Buffer, KeyObject | "unusable">();

/** The key to verify with; undefined where the registry's bytes are no usable key (small order, not canonical): nothing verifies with it. */
export function importedKey(raw: Buffer): KeyObject | undefined {
  let key = imported.get(raw);
  if (key === undefined) {
    const decoded = importPublicKey(raw);
    key = decoded.kind === "decoded" ? decoded.value : "unusable";
    imported.set(raw, key);
  }
  return key === "unusable" ? undefined : key;
}

/** The real computations. */
export const signatureChecks: SignatureChecks = Object.freeze({
  verify(header: Buffer, signature: Buffer, publicKey: Buffer): boolean {
    const key = importedKey(publicKey);
    return key !== undefined && verifyHeader(header, signature, key);
  },
  payloadHash,
});
