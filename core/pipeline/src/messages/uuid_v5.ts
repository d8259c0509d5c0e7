/**
 * Why it exists: what is published twice for the same reason must be the same message: its id is made from the reason.
 * Enforces: RFC 9562 version 5: SHA-1 over a namespace and a name.
 * Forbids: use where an id must not be guessed.
 */
import { createHash } from "node:crypto";

/** Of everything that RansomEye names in this way. */
const namespace = Buffer.from("5d0f6c0a4c1b5f0e9b7a2f6d8f3c1e24", "hex");

/** The same parts give the same id, for ever. */
export function uuidV5(...parts: readonly (string | number)[]): string {
  const digest = createHash("sha1").update(namespace).update(JSON.stringify(parts)).digest();
  digest[6] = ((digest[6] as number) & 0x0f) | 0x50;
  digest[8] = ((digest[8] as number) & 0x3f) | 0x80;
  const hex = digest.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
