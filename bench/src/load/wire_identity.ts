/**
 * Why: identities are enrolled by the bench and used in other processes of it.
 * Enforces: they travel over the channel between parent and child, never over a command line or a shared file.
 * Forbids: keys that outlive the run.
 */
import { createPrivateKey } from "node:crypto";
import type { ProducerIdentity } from "ransomeye-sdk";

/** A `ProducerIdentity` as plain data. */
export interface WireIdentity {
  readonly producer: string;
  readonly trustDomain: string;
  readonly tlsKeyPem: string;
  readonly tlsCertPem: string;
  readonly caPem: string;
  readonly batchKeyPem: string;
}

export function toWire(identity: ProducerIdentity): WireIdentity {
  const { producer, trustDomain, tlsKeyPem, tlsCertPem, caPem, batchKey } = identity;
  return { producer, trustDomain, tlsKeyPem, tlsCertPem, caPem, batchKeyPem: batchKey.export({ format: "pem", type: "pkcs8" }).toString() };
}

export function fromWire({ batchKeyPem, ...identity }: WireIdentity): ProducerIdentity {
  return { ...identity, kind: "linux", batchKey: createPrivateKey(batchKeyPem) };
}
