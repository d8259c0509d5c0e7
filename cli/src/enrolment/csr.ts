/**
 * Why it exists: a certificate is asked for with PKCS#10, so that any agent can ask.
 * Enforces: the one thing taken from a request is its public key, a P-256 key that has signed the request; what it wishes to be called is not read.
 * Forbids: parsing more than the small, bounded bytes that the wire lets through.
 */
import "reflect-metadata";
import { createHash, type KeyObject } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { importTlsKey } from "ransomeye-ingestion/protocol";
import { EnrolRefusal } from "./refusal.ts";

/** A certification request. */
export interface Csr {
  /** SHA-256 of its public key (SubjectPublicKeyInfo), hex. */
  readonly tlsKey: string;
  /** The public key, once the request's own signature has been verified. @throws EnrolRefusal ENROL_PROOF */
  verified(): Promise<KeyObject>;
}

/** Reads a request. @throws EnrolRefusal ENROL_MALFORMED, ENROL_KEY_REFUSED */
export function readCsr(der: Buffer): Csr {
  let request: x509.Pkcs10CertificateRequest;
  let spki: Buffer;
  try {
    request = new x509.Pkcs10CertificateRequest(new Uint8Array(der));
    spki = Buffer.from(request.publicKey.rawData);
  } catch (cause) {
    throw new EnrolRefusal("ENROL_MALFORMED", "not a certification request", { cause });
  }
  const key = importTlsKey(spki);
  if (key.kind === "refused") throw new EnrolRefusal("ENROL_KEY_REFUSED", key.detail);
  return {
    tlsKey: createHash("sha256").update(spki).digest("hex"),
    async verified() {
      if (!(await request.verify().catch(() => false))) throw new EnrolRefusal("ENROL_PROOF", "the TLS key did not sign the request");
      return key.value;
    },
  };
}
