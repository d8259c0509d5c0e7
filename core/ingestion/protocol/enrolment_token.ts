/**
 * Why: whoever enrols over the network has to prove that an operator wants it, and has to know whom it is talking to before it says so.
 * Enforces: one form: `re1.<id>.<secret>.<pin>`. The id finds the token, the 256-bit secret proves it, the pin (SHA-256 of the authority's
 *   public key) says whom to show it to. Who keeps tokens keeps a hash of the secret: a copy of the table admits nobody.
 * Forbids: trust on first use: without the pin a token is not one.
 */
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { signedBytes } from "./signed_bytes.ts";

/** A token's parts. */
export interface EnrolmentToken {
  /** 16 hex digits. Not a secret. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Buffer;
  /** SHA-256 of the authority's SubjectPublicKeyInfo, 32 bytes. */
  readonly pin: Buffer;
}

/** Bytes of a token's id, secret and pin. */
export const tokenBytes = { id: 8, secret: 32, pin: 32 } as const;

const tokenPattern = /^re1\.(?<id>[0-9a-f]{16})\.(?<secret>[A-Za-z0-9_-]{43})\.(?<pin>[A-Za-z0-9_-]{43})$/;

/** The one text form of a token. */
export function formatToken({ id, secret, pin }: EnrolmentToken): string {
  return `re1.${id}.${secret.toString("base64url")}.${pin.toString("base64url")}`;
}

/** Reads a token; undefined for anything that is not exactly one, and for a second spelling of the same bytes. */
export function parseToken(text: string): EnrolmentToken | undefined {
  const groups = tokenPattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const token = {
    id: groups["id"] ?? "",
    secret: Buffer.from(groups["secret"] ?? "", "base64url"),
    pin: Buffer.from(groups["pin"] ?? "", "base64url"),
  };
  return formatToken(token) === text ? token : undefined;
}

/** What is kept of a secret. Plain SHA-256: a secret of 256 random bits needs no slow hash. */
export function tokenSecretHash(secret: Buffer): Buffer {
  return createHash("sha256")
    .update(signedBytes("ransomeye.enrolment_token.v1", [secret]))
    .digest();
}

/** Compares a secret with what was kept, in constant time; false also where nothing was kept, after the same work. */
export function tokenSecretFits(secret: Buffer, kept: Buffer | undefined): boolean {
  const fits = timingSafeEqual(tokenSecretHash(secret), kept ?? Buffer.alloc(32));
  return fits && kept !== undefined;
}

/** The pin of an authority's certificate. */
export function authorityPin(certificatePem: string): Buffer {
  const der = new X509Certificate(certificatePem).publicKey.export({ format: "der", type: "spki" });
  return createHash("sha256").update(der).digest();
}
