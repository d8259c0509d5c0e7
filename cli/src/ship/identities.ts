/**
 * Why it exists: who ships is decided by an identity: two keys and a certificate in a private folder.
 * Enforces: keys are made by the SDK, saved before anybody is asked (a kill in between leaves no name without its keys), and stay where they were made; enrolling again keeps producer and batch key and renews TLS key and
 * certificate; a local identity is enrolled over the 0600 socket of this host only, one for each kind.
 * Forbids: identities that are not shown to whoever uses them.
 */
import { X509Certificate } from "node:crypto";
import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { createEnrolmentRequest, enrolmentKeys, enrolmentOver, loadIdentity, type ProducerIdentity, saveIdentity } from "ransomeye-sdk";
import { CliError } from "../errors.ts";
import { registryRequest } from "../registry/client.ts";
import type { EnrolResult } from "../registry/wire.ts";

export interface EnrolOptions {
  readonly directory: string;
  readonly name: string;
  readonly kind: ProducerKind;
  readonly registrySocket: string;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Enrolled {
  readonly producer: string;
  readonly name: string;
  readonly known: boolean;
  readonly notAfterUs: number;
  readonly identity: ProducerIdentity;
}

/** A local identity's name; one for each kind. */
export function localName(kind: ProducerKind): string {
  return `local-${kind}`;
}

/** True if an identity lies in the folder. */
export async function hasIdentity(directory: string): Promise<boolean> {
  return access(join(directory, "identity.json")).then(
    () => true,
    () => false,
  );
}

/** Enrols, or renews what lies in the folder, and saves it there. @throws CliError CLI_REGISTRY_REFUSED, CLI_UNREACHABLE; SdkError for a damaged identity */
export async function enrolIdentity(o: EnrolOptions): Promise<Enrolled> {
  const old = (await hasIdentity(o.directory)) ? await loadIdentity(o.directory) : undefined;
  if (old !== undefined && old.kind !== o.kind)
    throw new CliError("CLI_KIND_MISMATCH", `the identity in ${o.directory} is of kind ${old.kind}`);
  const keys = await enrolmentKeys(o.directory);
  const { request, tlsKeyPem, batchKey } = createEnrolmentRequest({ kind: o.kind, name: o.name }, o.random, {
    tlsKey: keys.tlsKey,
    // The registry knows the producer by its batch key.
    batchKey: old?.batchKey ?? keys.batchKey,
  });
  const result = (await registryRequest(o.registrySocket, { op: "enrol", request }, o.clock)) as EnrolResult;
  const identity: ProducerIdentity = {
    producer: result.producer,
    kind: result.kind,
    trustDomain: result.trust_domain,
    tlsKeyPem,
    tlsCertPem: result.certificate,
    caPem: result.ca,
    batchKey,
    ...(old?.receiptKeys === undefined ? {} : { receiptKeys: old.receiptKeys }),
    ...(old?.enrolment === undefined ? {} : { enrolment: old.enrolment }),
  };
  await saveIdentity(o.directory, identity);
  await enrolmentOver(o.directory);
  return { producer: result.producer, name: result.name, known: result.known, notAfterUs: certificateEndUs(result.certificate), identity };
}

/** Loads the identity in the folder, enrolling or renewing it first where that is needed. */
export async function ensureIdentity(o: EnrolOptions): Promise<ProducerIdentity> {
  if (await hasIdentity(o.directory)) {
    const identity = await loadIdentity(o.directory);
    if (certificateEndUs(identity.tlsCertPem) - renewBeforeUs > o.clock.nowUs()) return identity;
  }
  return (await enrolIdentity(o)).identity;
}

const renewBeforeUs = 30 * 86_400_000_000;

function certificateEndUs(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo) * 1000;
}
