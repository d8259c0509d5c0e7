/**
 * Step 1 of 7: producer authentication.
 *
 * Why: nothing enters without a certificate of ours and a registry that vouches for its holder (promise 4); when in doubt the gate is shut.
 * Enforces: Input: whom the peer certificate of a TLS session names that OpenSSL has verified. Output: an `Identity`. Failure: a code, the stream
 *   ends, nothing is stored. The same standing is checked again whenever the registry changes, so that a long stream outlives neither
 *   a revocation nor a suspension, nor its certificate's end. Backpressure: a stale registry or a full gate refuses new sessions and says when to return.
 * Forbids: identity from anything a producer writes, and admission while the registry is silent.
 */
import type { IngestCode } from "../errors/ingest_errors.ts";
import type { Identified, Identity } from "../security/identity.ts";
import type { DirectoryEntry, ProducerDirectory, ProducerStatus } from "./ports.ts";

/** The outcome of step 1. */
export type Authenticated =
  | { readonly kind: "authenticated"; readonly identity: Identity }
  | { readonly kind: "refused"; readonly code: IngestCode; readonly producer?: string };

const statusCode: Readonly<Record<ProducerStatus, IngestCode | undefined>> = Object.freeze({
  active: undefined,
  suspended: "INGEST_PRODUCER_SUSPENDED",
  revoked: "INGEST_PRODUCER_REVOKED",
});

/** Why an identity has no standing with the registry, or undefined when it has. */
export function standingFault(identity: Identity, entry: DirectoryEntry | undefined, nowUs: number): IngestCode | undefined {
  if (identity.notAfterUs <= nowUs) return "INGEST_CERT_EXPIRED";
  if (entry === undefined) return "INGEST_PRODUCER_UNKNOWN";
  const status = statusCode[entry.status];
  if (status !== undefined) return status;
  if (entry.kind !== identity.kind) return "INGEST_KIND_MISMATCH";
  if (entry.certificates === undefined) return undefined;
  const certificate = entry.certificates.get(identity.fingerprint);
  if (certificate === undefined) return "INGEST_CERT_UNKNOWN";
  return certificate.revoked ? "INGEST_CERT_REVOKED" : undefined;
}

/** Authenticates a new stream. `registryFreshMsMax` bounds how long the registry may have been silent. */
export function authenticate(
  identified: Identified,
  directory: Pick<ProducerDirectory, "lookup" | "ageMs">,
  settings: { readonly registryFreshMsMax: number },
  nowUs: number,
): Authenticated {
  if (identified.kind === "refused") return identified;
  const { identity } = identified;
  if (directory.ageMs() > settings.registryFreshMsMax)
    return { kind: "refused", code: "INGEST_REGISTRY_STALE", producer: identity.producer };
  const fault = standingFault(identity, directory.lookup(identity.producer), nowUs);
  if (fault !== undefined) return { kind: "refused", code: fault, producer: identity.producer };
  return { kind: "authenticated", identity };
}
