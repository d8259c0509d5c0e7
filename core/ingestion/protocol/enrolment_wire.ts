/**
 * Why: enrolment, renewal, key rotation and signed time travel as JSON over HTTPS between agents and the registry; both sides need one definition.
 * Enforces: every proof signs the binding of the TLS connection it travels on (RFC 9266 `tls-exporter`), so that it can neither be replayed nor
 *   passed on; every field is bounded and checked; signed time names the asker's nonce.
 * Forbids: defaults for missing fields, and private keys in any message.
 */
import { createHash, type KeyObject, sign, verify } from "node:crypto";
import type { ProducerKind } from "./enrolment.ts";
import { shape, type WireShape } from "./json_shape.ts";
import { ed25519Verify, signedBytes, u64 } from "./signed_bytes.ts";
import { importPublicKey } from "./ed25519_keys.ts";

/** Paths of the enrolment listener. */
export const enrolmentPaths = {
  roots: "/v1/roots",
  time: "/v1/time",
  enrol: "/v1/enrol",
  renew: "/v1/renew",
  rotateKey: "/v1/rotate-key",
} as const;

/** What is exported from a TLS connection to bind proofs to it. */
export const channelBinding = { label: "EXPORTER-Channel-Binding", bytes: 32 } as const;

/** Bytes of a request's body and of an answer's, at most. */
export const enrolmentBodyBytesMax = { request: 8192, answer: 65_536 } as const;

/** Asks for an identity. */
export interface EnrolAsk {
  /** Id and secret of a token, as in its text. */
  readonly tokenId: string;
  readonly tokenSecret: Buffer;
  readonly kind: ProducerKind;
  /** PKCS#10 (DER) signed by the TLS key. */
  readonly csr: Buffer;
  /** Raw Ed25519 public key. */
  readonly batchKey: Buffer;
  readonly batchProof: Buffer;
}

/** Asks for a new certificate; the one to be renewed is the connection's. */
export interface RenewAsk {
  readonly csr: Buffer;
  /** 16 hex digits. */
  readonly keyId: string;
  readonly batchProof: Buffer;
}

/** Registers another batch key; both sign. */
export interface RotateAsk {
  readonly keyId: string;
  readonly newKey: Buffer;
  readonly oldProof: Buffer;
  readonly newProof: Buffer;
}

/** A certificate, and whom to trust from now on. */
export interface Issued {
  readonly certificate: string;
  /** All authorities in force, PEM. */
  readonly roots: string;
}

/** An identity. */
export interface EnrolAnswer extends Issued {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly name: string;
  readonly trustDomain: string;
  readonly known: boolean;
}

/** Signed time. */
export interface SignedTime {
  readonly timeUs: number;
  readonly nonce: Buffer;
  /** Raw Ed25519 key of this registry process, vouched for by the authority. */
  readonly timeKey: Buffer;
  /** ECDSA-SHA256 (DER) by the authority over `timeKeyBytes`. */
  readonly endorsement: Buffer;
  readonly signature: Buffer;
}

/** What the batch key signs to enrol. */
export function enrolProofBytes(binding: Buffer, ask: Pick<EnrolAsk, "tokenId" | "kind" | "csr" | "batchKey">): Buffer {
  return signedBytes("ransomeye.enrol.v1", [binding, ask.tokenId, ask.kind, sha256(ask.csr), ask.batchKey]);
}

/** What the batch key signs to renew. `certificate`: fingerprint of the one to be renewed, hex. */
export function renewProofBytes(binding: Buffer, certificate: string, csr: Buffer): Buffer {
  return signedBytes("ransomeye.renew.v1", [binding, certificate, sha256(csr)]);
}

/** What old and new batch key sign. `certificate`: fingerprint of the connection's, hex. */
export function rotateProofBytes(binding: Buffer, certificate: string, keyId: string, newKey: Buffer): Buffer {
  return signedBytes("ransomeye.rotate_key.v1", [binding, certificate, keyId, newKey]);
}

/** What an authority signs to vouch for a time key. Never the beginning of a certificate: DER begins with another byte. */
export function timeKeyBytes(timeKey: Buffer): Buffer {
  return signedBytes("ransomeye.time_key.v1", [timeKey]);
}

/** What a time key signs. */
export function timeBytes(nonce: Buffer, timeUs: number): Buffer {
  return signedBytes("ransomeye.time.v1", [nonce, u64(timeUs)]);
}

/** Vouches for a time key. */
export function endorseTimeKey(timeKey: Buffer, authorityKey: KeyObject): Buffer {
  return sign("sha256", timeKeyBytes(timeKey), authorityKey);
}

/** Whether this is the time that one of the authorities vouches for, in answer to this nonce. */
export function signedTimeHolds(time: SignedTime, nonce: Buffer, authorities: readonly KeyObject[]): boolean {
  const key = importPublicKey(time.timeKey);
  return (
    key.kind === "decoded" &&
    time.nonce.equals(nonce) &&
    ed25519Verify(timeBytes(nonce, time.timeUs), time.signature, key.value) &&
    authorities.some((authority) => verify("sha256", timeKeyBytes(time.timeKey), authority, time.endorsement))
  );
}

/** The messages in both directions. */
export interface EnrolmentWire {
  readonly enrolAsk: WireShape<EnrolAsk>;
  readonly renewAsk: WireShape<RenewAsk>;
  readonly rotateAsk: WireShape<RotateAsk>;
  readonly issued: WireShape<Issued>;
  readonly enrolAnswer: WireShape<EnrolAnswer>;
  /** Authorities in force and, while one takes over from another, the new one's certificate signed by the old one; else empty. */
  readonly roots: WireShape<{ readonly roots: string; readonly link: string }>;
  readonly rotated: WireShape<{ readonly retiredUs: number }>;
  readonly time: WireShape<SignedTime>;
  readonly refusal: WireShape<{ readonly code: string; readonly message: string; readonly retryAfterMs: number }>;
}

/** Reads and writes them. */
export const enrolmentWire: EnrolmentWire = {
  enrolAsk: shape((f) => ({
    tokenId: f.text("token_id", /^[0-9a-f]{16}$/),
    tokenSecret: f.bytes("token_secret", 32, 32),
    kind: f.kind("kind"),
    csr: f.bytes("csr", 1, 2048),
    batchKey: f.bytes("batch_key", 32, 32),
    batchProof: f.bytes("batch_proof", 64, 64),
  })),
  renewAsk: shape((f) => ({
    csr: f.bytes("csr", 1, 2048),
    keyId: f.text("key_id", /^[0-9a-f]{16}$/),
    batchProof: f.bytes("batch_proof", 64, 64),
  })),
  rotateAsk: shape((f) => ({
    keyId: f.text("key_id", /^[0-9a-f]{16}$/),
    newKey: f.bytes("new_key", 32, 32),
    oldProof: f.bytes("old_proof", 64, 64),
    newProof: f.bytes("new_proof", 64, 64),
  })),
  issued: shape((f) => ({ certificate: f.text("certificate", pem), roots: f.text("roots", pem) })),
  enrolAnswer: shape((f) => ({
    certificate: f.text("certificate", pem),
    roots: f.text("roots", pem),
    producer: f.uuid("producer"),
    kind: f.kind("kind"),
    name: f.text("name", /^.{1,128}$/u),
    trustDomain: f.text("trust_domain", /^[a-z0-9._-]{1,255}$/),
    known: f.flag("known"),
  })),
  roots: shape((f) => ({
    roots: f.text("roots", pem),
    link: f.text("link", /^$|^-----BEGIN CERTIFICATE-----/),
  })),
  rotated: shape((f) => ({ retiredUs: f.integer("retired_us") })),
  time: shape((f) => ({
    timeUs: f.integer("time_us"),
    nonce: f.bytes("nonce", 32, 32),
    timeKey: f.bytes("time_key", 32, 32),
    endorsement: f.bytes("endorsement", 8, 80),
    signature: f.bytes("signature", 64, 64),
  })),
  refusal: shape((f) => ({
    code: f.text("code", /^[A-Z_]{1,64}$/),
    message: f.text("message", /^.{0,1000}$/su),
    retryAfterMs: f.integer("retry_after_ms"),
  })),
};

const pem = /^-----BEGIN CERTIFICATE-----[\s\S]{1,30000}-----END CERTIFICATE-----\s*$/;

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}
