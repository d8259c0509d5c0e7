/**
 * Why: a machine becomes a producer, and stays one, without anybody carrying files to it.
 * Enforces: keys are made here, and a request that is repeated after a crash is the same request (`pending_keys.ts`); both keys are proven on the connection that
 *   asks; what was answered is in place whole or not at all.
 * Forbids: telling the token to anyone but the registry whose authority it names.
 */
import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import {
  authorityPin,
  ed25519Sign,
  enrolmentPaths,
  enrolmentWire,
  enrolProofBytes,
  keyIdOf,
  parseToken,
  type ProducerKind,
  rawPublicKey,
  renewProofBytes,
  rotateProofBytes,
} from "ransomeye-ingestion/protocol";
import { SdkError } from "./codes.ts";
import { certificationRequest } from "./csr.ts";
import { loadIdentity, pemOf, type ProducerIdentity, saveIdentity, saveRenewal } from "./identity.ts";
import { enrolmentKeys, enrolmentOver, nextKey, nextKeyTaken } from "./pending_keys.ts";
import { askRegistry, type RegistryContext, rootsByPin } from "./registry_connection.ts";

/** What enrolment gave. */
export interface Enrolled {
  readonly identity: ProducerIdentity;
  readonly name: string;
  /** The registry knew the batch key: the request was a repeated one. */
  readonly known: boolean;
}

/** Enrols with a token and saves the identity in `directory`. May be repeated until it succeeds. Rejects with SDK_ENROL_…, SDK_IDENTITY_… */
export async function enrolWithToken(
  context: RegistryContext,
  o: { readonly directory: string; readonly token: string; readonly kind: ProducerKind },
): Promise<Enrolled> {
  const token = parseToken(o.token.trim());
  if (token === undefined) throw new SdkError("SDK_OPTIONS_INVALID", "this is not a token; one looks like re1.….….…");
  const { tlsKey, batchKey } = await enrolmentKeys(o.directory);
  const root = await rootsByPin(context, (pem) => authorityPin(pem).equals(token.pin));
  const csr = certificationRequest(tlsKey);
  const ask = { tokenId: token.id, tokenSecret: token.secret, kind: o.kind, csr, batchKey: rawPublicKey(batchKey) };
  const answer = await askRegistry(context, { roots: root }, enrolmentPaths.enrol, enrolmentWire.enrolAnswer, (binding) =>
    enrolmentWire.enrolAsk.write({ ...ask, batchProof: ed25519Sign(enrolProofBytes(binding, ask), batchKey) }),
  );
  refuseForeign(answer.certificate, tlsKey);
  const identity: ProducerIdentity = {
    producer: answer.producer,
    kind: answer.kind,
    trustDomain: answer.trustDomain,
    tlsKeyPem: pemOf(tlsKey),
    tlsCertPem: answer.certificate,
    caPem: answer.roots,
    batchKey,
    enrolment: context.address,
  };
  await saveIdentity(o.directory, identity);
  await enrolmentOver(o.directory);
  return { identity, name: answer.name, known: answer.known };
}

/** Renews the certificate of the identity in `directory`, also one that has ended, within the registry's grace. */
export async function renewIdentity(context: RegistryContext, directory: string): Promise<ProducerIdentity> {
  const identity = await loadIdentity(directory);
  const { batchKey } = identity;
  const tlsKey = await nextKey(directory, "tls");
  const csr = certificationRequest(tlsKey);
  const shown = fingerprintOf(identity.tlsCertPem);
  const answer = await askRegistry(context, trustOf(identity), enrolmentPaths.renew, enrolmentWire.issued, (binding) =>
    enrolmentWire.renewAsk.write({
      csr,
      keyId: keyIdOf(rawPublicKey(batchKey)),
      batchProof: ed25519Sign(renewProofBytes(binding, shown, csr), batchKey),
    }),
  );
  refuseForeign(answer.certificate, tlsKey);
  const renewed = { ...identity, tlsKeyPem: pemOf(tlsKey), tlsCertPem: answer.certificate, caPem: answer.roots };
  await saveRenewal(directory, renewed);
  await nextKeyTaken(directory, "tls");
  return renewed;
}

/** Registers a fresh batch key for the identity in `directory`; the old one ends at `retiredUs`. What it has signed until then stays good. */
export async function rotateBatchKey(
  context: RegistryContext,
  directory: string,
): Promise<{ readonly identity: ProducerIdentity; readonly retiredUs: number }> {
  const identity = await loadIdentity(directory);
  const next = await nextKey(directory, "batch");
  const newKey = rawPublicKey(next);
  const keyId = keyIdOf(rawPublicKey(identity.batchKey));
  const shown = fingerprintOf(identity.tlsCertPem);
  const { retiredUs } = await askRegistry(context, trustOf(identity), enrolmentPaths.rotateKey, enrolmentWire.rotated, (binding) => {
    const signed = rotateProofBytes(binding, shown, keyId, newKey);
    return enrolmentWire.rotateAsk.write({
      keyId,
      newKey,
      oldProof: ed25519Sign(signed, identity.batchKey),
      newProof: ed25519Sign(signed, next),
    });
  });
  // One rename switches: before it the old key signs, which is good for the whole overlap, after it the new one.
  await writeFileAtomic(join(directory, "batch.key"), pemOf(next), 0o600);
  await nextKeyTaken(directory, "batch");
  return { identity: { ...identity, batchKey: next }, retiredUs };
}

function trustOf(identity: ProducerIdentity): Parameters<typeof askRegistry>[1] {
  const { caPem, trustDomain, tlsKeyPem, tlsCertPem } = identity;
  return { roots: caPem, trustDomain, client: { keyPem: tlsKeyPem, certPem: tlsCertPem } };
}

/** A certificate for another key would lock us out as soon as it is in place. */
function refuseForeign(certificate: string, tlsKey: KeyObject): void {
  if (!new X509Certificate(certificate).checkPrivateKey(tlsKey))
    throw new SdkError("SDK_ENROL_UNTRUSTED", "the registry certified another key than ours");
}

function fingerprintOf(certificate: string): string {
  return createHash("sha256").update(new X509Certificate(certificate).raw).digest("hex");
}
