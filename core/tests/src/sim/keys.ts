/**
 * Why: Ed25519 would take most of a simulation's time and prove nothing that its own tests do not.
 * Enforces: the same shape: whoever does not hold a secret cannot make a signature that verifies.
 * Forbids: use outside the simulation.
 */
import { createHash } from "node:crypto";
import type { Checks } from "ransomeye-ingestion";
import { payloadHash, validatePayload } from "ransomeye-ingestion/protocol";

/** A batch key: what the registry shows of it, and what its holder signs with. */
export interface SimKey {
  readonly keyId: string;
  readonly publicKey: Buffer;
  readonly secret: Buffer;
}

const secretOf = new Map<string, Buffer>();

export function makeKey(name: string): SimKey {
  const secret = createHash("sha256").update(`secret ${name}`).digest();
  const publicKey = createHash("sha256").update(secret).digest();
  secretOf.set(publicKey.toString("hex"), secret);
  return { keyId: createHash("sha256").update(publicKey).digest("hex").slice(0, 16), publicKey, secret };
}

/** 64 bytes over these bytes. */
export function sign(secret: Buffer, bytes: Buffer): Buffer {
  const half = createHash("sha256").update(secret).update(bytes).digest();
  return Buffer.concat([half, half]);
}

/** The gate's checks with stand-in signatures and everything else real. */
export const simChecks: Checks = {
  verify(bytes, signature, publicKey) {
    const secret = secretOf.get(publicKey.toString("hex"));
    return secret !== undefined && sign(secret, bytes).equals(signature);
  },
  payloadHash,
  validate: (payload, count, schema) => validatePayload(payload, count, schema),
};
