/**
 * Why it exists: the SDK proves what it asks for; whoever does not is no user of the SDK.
 * Enforces: requests of any content over one TLS connection each, with proofs for that connection, honest but for what a test changes.
 * Forbids: use outside tests.
 */
import "reflect-metadata";
import { generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import {
  channelBinding,
  ed25519Sign,
  enrolmentPaths,
  enrolmentWire,
  enrolProofBytes,
  keyIdOf,
  parseToken,
  rawPublicKey,
  renewProofBytes,
  rotateProofBytes,
} from "ransomeye-ingestion/protocol";
import type { ProducerIdentity } from "ransomeye-sdk";

/** What the registry answered: `ok`, or the code of its refusal, with all that it said. */
export interface RawAnswer {
  readonly code: string;
  readonly text: string;
}

type Where = { readonly host: string; readonly port: number };

/** A certification request for a key made now. */
export async function certificationRequest(): Promise<Buffer> {
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
  return Buffer.from((await x509.Pkcs10CertificateRequestGenerator.create({ name: "CN=any", keys, signingAlgorithm })).rawData);
}

/** One request over a connection of its own; `body` is made for the connection's binding. */
export async function ask(
  at: Where,
  path: string,
  body: (binding: Buffer) => unknown,
  identity?: Pick<ProducerIdentity, "tlsCertPem" | "tlsKeyPem">,
): Promise<RawAnswer> {
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const shown = identity === undefined ? {} : { cert: identity.tlsCertPem, key: identity.tlsKeyPem };
    const opened = connect({ ...at, ...shown, rejectUnauthorized: false }, () => resolve(opened));
    opened.on("error", reject);
  });
  const text = JSON.stringify(body(socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0))));
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
  let heard = "";
  for await (const chunk of socket) heard += String(chunk);
  return { code: heard.startsWith("HTTP/1.1 200") ? "ok" : (/ENROL_\w+/.exec(heard)?.[0] ?? heard), text: heard };
}

/** What an enrolment shows, and who signs it. */
export interface EnrolShown {
  readonly csr: Buffer;
  readonly batchKey: Buffer;
  readonly signer: KeyObject;
}

/** Asks for an identity by a token. */
export async function askToEnrol(at: Where, tokenText: string, change: Partial<EnrolShown> = {}): Promise<RawAnswer> {
  const token = parseToken(tokenText);
  if (token === undefined) throw new Error("no token");
  const batch = generateKeyPairSync("ed25519");
  const { csr, batchKey, signer } = {
    csr: await certificationRequest(),
    batchKey: rawPublicKey(batch.publicKey),
    signer: batch.privateKey,
    ...change,
  };
  const shown = { tokenId: token.id, tokenSecret: token.secret, kind: "linux" as const, csr, batchKey };
  return ask(at, enrolmentPaths.enrol, (binding) =>
    enrolmentWire.enrolAsk.write({ ...shown, batchProof: ed25519Sign(enrolProofBytes(binding, shown), signer) }),
  );
}

const fingerprintOf = ({ tlsCertPem }: ProducerIdentity): string =>
  new X509Certificate(tlsCertPem).fingerprint256.replaceAll(":", "").toLowerCase();

/** Asks for a new certificate. */
export async function askToRenew(at: Where, identity: ProducerIdentity, change: Partial<EnrolShown> = {}): Promise<RawAnswer> {
  const { csr, signer } = { csr: await certificationRequest(), signer: identity.batchKey, ...change };
  const keyId = keyIdOf(rawPublicKey(identity.batchKey));
  const proof = (binding: Buffer): Buffer => ed25519Sign(renewProofBytes(binding, fingerprintOf(identity), csr), signer);
  return ask(at, enrolmentPaths.renew, (binding) => enrolmentWire.renewAsk.write({ csr, keyId, batchProof: proof(binding) }), identity);
}

/** Asks for another batch key. */
export function askToRotate(
  at: Where,
  identity: ProducerIdentity,
  change: { readonly newKey?: Buffer; readonly oldSigner?: KeyObject; readonly newSigner?: KeyObject } = {},
): Promise<RawAnswer> {
  const next = generateKeyPairSync("ed25519");
  const { newKey, oldSigner, newSigner } = {
    newKey: rawPublicKey(next.publicKey),
    oldSigner: identity.batchKey,
    newSigner: next.privateKey,
    ...change,
  };
  const keyId = keyIdOf(rawPublicKey(identity.batchKey));
  return ask(
    at,
    enrolmentPaths.rotateKey,
    (binding) => {
      const signed = rotateProofBytes(binding, fingerprintOf(identity), keyId, newKey);
      return enrolmentWire.rotateAsk.write({
        keyId,
        newKey,
        oldProof: ed25519Sign(signed, oldSigner),
        newProof: ed25519Sign(signed, newSigner),
      });
    },
    identity,
  );
}
