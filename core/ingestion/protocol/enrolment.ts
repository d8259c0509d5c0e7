/**
 * Why: a producer enters the system once, with two keys of its own: one for TLS, one that signs batches. Whoever
 *   admits it must know that it holds both.
 * Enforces: both keys sign the same bytes, which name the wanted kind and name and carry a fresh nonce; the batch key is a
 *   canonical point of prime order; names of producers and gateways have one form (SPIFFE id, architecture part 4).
 * Forbids: taking identity from anything but a certificate's URI SAN.
 */

import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { enrolledKeyFault, importPublicKey } from "./ed25519_keys.ts";
import { refused, type Decoded } from "./protocol_errors.ts";
import { ed25519Verify, signedBytes } from "./signed_bytes.ts";

/** What a producer is; its certificate says so and chooses its table. */
export type ProducerKind = "dpi" | "linux" | "windows" | "honeypot";

export const producerKinds: readonly ProducerKind[] = ["dpi", "linux", "windows", "honeypot"];

/** Who a certificate names. */
export type SpiffeId =
  | { readonly role: "producer"; readonly trustDomain: string; readonly kind: ProducerKind; readonly producer: string }
  | { readonly role: "gateway"; readonly trustDomain: string; readonly gateway: string }
  | { readonly role: "registry"; readonly trustDomain: string };

/** `spiffe://<trust domain>/producer/<kind>/<uuid>`. */
export function producerSpiffeId(trustDomain: string, kind: ProducerKind, producer: string): string {
  return `spiffe://${trustDomain}/producer/${kind}/${producer}`;
}

/** `spiffe://<trust domain>/gateway/<id>`. */
export function gatewaySpiffeId(trustDomain: string, gateway: string): string {
  return `spiffe://${trustDomain}/gateway/${gateway}`;
}

/** `spiffe://<trust domain>/registry`. */
export function registrySpiffeId(trustDomain: string): string {
  return `spiffe://${trustDomain}/registry`;
}

const idPattern =
  /^spiffe:\/\/(?<domain>[a-z0-9._-]{1,255})\/(?:producer\/(?<kind>dpi|linux|windows|honeypot)\/(?<producer>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|gateway\/(?<gateway>[A-Za-z0-9._-]{1,64})|(?<registry>registry))$/;

/** Reads a SPIFFE id of ours; undefined for anything else, however close. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  const groups = idPattern.exec(uri)?.groups;
  if (groups === undefined) return undefined;
  const trustDomain = groups["domain"] ?? "";
  if (groups["gateway"] !== undefined) return { role: "gateway", trustDomain, gateway: groups["gateway"] };
  if (groups["registry"] !== undefined) return { role: "registry", trustDomain };
  return { role: "producer", trustDomain, kind: groups["kind"] as ProducerKind, producer: groups["producer"] ?? "" };
}

/** What a producer asks to be enrolled with; JSON-friendly but for the buffers, which travel as base64. */
export interface EnrolmentRequest {
  readonly kind: ProducerKind;
  /** A name for operators; not an identity. */
  readonly name: string;
  /** SubjectPublicKeyInfo (DER) of the TLS key, P-256. */
  readonly tlsPublicKey: Buffer;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly batchPublicKey: Buffer;
  /** Fresh random bytes, 32. */
  readonly nonce: Buffer;
  /** ECDSA-SHA256 (DER) by the TLS key over `enrolmentBytes`. */
  readonly tlsProof: Buffer;
  /** Ed25519 by the batch key over `enrolmentBytes`. */
  readonly batchProof: Buffer;
}

/** The fields that both proofs cover. */
export type EnrolmentFields = Omit<EnrolmentRequest, "tlsProof" | "batchProof">;

/** The bytes that both keys sign to prove possession. */
export function enrolmentBytes(fields: EnrolmentFields): Buffer {
  return signedBytes("ransomeye.enrolment.v1", [fields.kind, fields.name, fields.tlsPublicKey, fields.batchPublicKey, fields.nonce]);
}

/** The keys of a request whose proofs hold: a P-256 TLS key and a batch key of prime order. */
export function verifyEnrolment(
  request: EnrolmentRequest,
): Decoded<{ readonly tlsPublicKey: KeyObject; readonly batchPublicKey: KeyObject }> {
  const keyFault = enrolledKeyFault(request.batchPublicKey);
  if (keyFault !== undefined) return keyFault;
  if (request.nonce.length !== 32) return refused("PROTOCOL_PROOF", "the nonce has 32 bytes");
  const batchKey = importPublicKey(request.batchPublicKey);
  if (batchKey.kind === "refused") return batchKey;
  const tlsKey = importTlsKey(request.tlsPublicKey);
  if (tlsKey.kind === "refused") return tlsKey;
  const signed = enrolmentBytes(request);
  if (!ed25519Verify(signed, request.batchProof, batchKey.value)) return refused("PROTOCOL_PROOF", "the batch key did not sign");
  if (!verify("sha256", signed, tlsKey.value, request.tlsProof)) return refused("PROTOCOL_PROOF", "the TLS key did not sign");
  return { kind: "decoded", value: { tlsPublicKey: tlsKey.value, batchPublicKey: batchKey.value } };
}

/** The JSON form of a request: buffers as base64. */
export function enrolmentToJson(request: EnrolmentRequest): Record<keyof EnrolmentRequest, string> {
  return {
    kind: request.kind,
    name: request.name,
    tlsPublicKey: request.tlsPublicKey.toString("base64"),
    batchPublicKey: request.batchPublicKey.toString("base64"),
    nonce: request.nonce.toString("base64"),
    tlsProof: request.tlsProof.toString("base64"),
    batchProof: request.batchProof.toString("base64"),
  };
}

/** Reads the JSON form of a request, each field bounded; the proofs are still to be verified. */
export function enrolmentFromJson(value: unknown): Decoded<EnrolmentRequest> {
  if (typeof value !== "object" || value === null) return refused("PROTOCOL_PROOF", "not an enrolment request");
  const field = (name: keyof EnrolmentRequest): string => {
    const text = (value as Record<string, unknown>)[name];
    return typeof text === "string" && text.length <= 1024 ? text : "";
  };
  const kind = producerKinds.find((known) => known === field("kind"));
  if (kind === undefined) return refused("PROTOCOL_PROOF", "not a kind of producer");
  const raw = (name: keyof EnrolmentRequest): Buffer => Buffer.from(field(name), "base64");
  return {
    kind: "decoded",
    value: {
      kind,
      name: field("name"),
      tlsPublicKey: raw("tlsPublicKey"),
      batchPublicKey: raw("batchPublicKey"),
      nonce: raw("nonce"),
      tlsProof: raw("tlsProof"),
      batchProof: raw("batchProof"),
    },
  };
}

/** The TLS key of a SubjectPublicKeyInfo (DER): P-256 or refused. */
export function importTlsKey(spki: Buffer): Decoded<KeyObject> {
  try {
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    if (key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1") return { kind: "decoded", value: key };
  } catch {
    // Not a key at all: the same answer as for a key of the wrong kind.
  }
  return refused("PROTOCOL_KEY", "the TLS key is not a P-256 public key");
}
