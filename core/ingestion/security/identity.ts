/**
 * Who a certificate names.
 *
 * Why: identity comes from the certificate, never from the payload (promise 4).
 * Enforces: exactly one subject alternative name, a URI of ours in our trust domain, naming one producer; the certificate is meant for
 *   client authentication, is no authority, and has a key worth the name. The whole list of names must match at once, so no second name can hide behind quoting or commas.
 * Forbids: the subject's common name, DNS names, addresses, and a certificate that could pass for two producers.
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import type { ProducerKind } from "ransomeye-pipeline";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { parseSpiffeId } from "../protocol/lib.ts";

/** A producer as its certificate names it. */
export interface Identity {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly trustDomain: string;
  /** SHA-256 of the DER certificate, 64 lower-case hex digits. */
  readonly fingerprint: string;
  /** End of the certificate's validity, microseconds since 1970: a stream may live longer than a handshake's verdict. */
  readonly notAfterUs: number;
}

/** A value, or the code under which it was refused. */
export type Identified =
  | { readonly kind: "identified"; readonly identity: Identity }
  | { readonly kind: "refused"; readonly code: IngestCode };

/** Extended key usage "client authentication" (RFC 5280). */
const clientAuth = "1.3.6.1.5.5.7.3.2";

const refused = (code: IngestCode): Identified => ({ kind: "refused", code });

/** The facts of a certificate that identity is read from. */
export interface CertificateFacts {
  /** Names as Node prints them, for example `URI:spiffe://…`; absent when there are none. */
  readonly subjectAltName: string | undefined;
  /** Extended key usages as object identifiers. */
  readonly usages: readonly string[];
  readonly fingerprint: string;
  readonly notAfterUs: number;
  /** The certificate could issue others. */
  readonly isAuthority: boolean;
  /** Its key is not one of `strongCurves`, Ed25519, or RSA of `rsaBitsMin`. */
  readonly keyIsWeak: boolean;
}

/** Below 112 bits of strength a key can be computed within the life of a fleet. TLS checks it too (tls.ts), by OpenSSL's list. */
const rsaBitsMin = 2048;
const strongCurves: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

function isWeak({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === "ed25519") return false;
  if (asymmetricKeyType === "rsa") return (asymmetricKeyDetails?.modulusLength ?? 0) < rsaBitsMin;
  return asymmetricKeyType !== "ec" || !strongCurves.has(asymmetricKeyDetails?.namedCurve ?? "");
}

/** Reads the facts out of a DER certificate that TLS has already verified. Throws when the bytes are no certificate. */
export function certificateFacts(der: Buffer): CertificateFacts {
  const certificate = new X509Certificate(der);
  // Node names the *extended* key usages `keyUsage`; the property is missing when the extension is, whatever the types say.
  const usages: readonly string[] | undefined = certificate.keyUsage;
  return {
    subjectAltName: certificate.subjectAltName,
    usages: usages ?? [],
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    notAfterUs: Date.parse(certificate.validTo) * 1000,
    isAuthority: certificate.ca,
    keyIsWeak: isWeak(certificate.publicKey),
  };
}

/** The one producer that these facts name, in this trust domain. */
export function identify(facts: CertificateFacts, trustDomain: string): Identified {
  if (facts.keyIsWeak) return refused("INGEST_CERT_WEAK");
  if (facts.isAuthority || !facts.usages.includes(clientAuth)) return refused("INGEST_CERT_USAGE");
  const names = facts.subjectAltName ?? "";
  if (!names.includes("URI:")) return refused("INGEST_IDENTITY_MISSING");
  if (names.includes(",")) return refused("INGEST_IDENTITY_AMBIGUOUS");
  const id = names.startsWith("URI:") ? parseSpiffeId(names.slice("URI:".length)) : undefined;
  if (id === undefined || id.role !== "producer") return refused("INGEST_IDENTITY_MALFORMED");
  if (id.trustDomain !== trustDomain) return refused("INGEST_TRUST_DOMAIN");
  return {
    kind: "identified",
    identity: Object.freeze({
      producer: id.producer,
      kind: id.kind,
      trustDomain,
      fingerprint: facts.fingerprint,
      notAfterUs: facts.notAfterUs,
    }),
  };
}
