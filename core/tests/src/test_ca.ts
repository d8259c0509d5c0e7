/**
 * Why: tests of the listener need certificates, also wrong ones, made while they run: none is committed, none expires.
 * Enforces: small CAs of their own; every property that a check looks at can be chosen.
 * Forbids: use outside tests. The installation's authority is the registry's.
 */
import "reflect-metadata";
import { createHash, createPrivateKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;

/** Key and certificate as PEM, with the fingerprint that a directory lists. */
export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
  readonly fingerprint: string;
}

/** What a leaf certificate says. */
export interface LeafOptions {
  readonly names: readonly x509.JsonGeneralName[];
  /** Extended key usages; default client authentication. */
  readonly usages?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Default P-256. */
  readonly key?: KeyKind;
  /** Key usages; default none stated. */
  readonly keyUsages?: number;
  /** The leaf may issue certificates itself. */
  readonly isAuthority?: boolean;
  /** Signed with its own key instead of the CA's. */
  readonly selfSigned?: boolean;
  /** Hash of the CA's signature. */
  readonly hash?: "SHA-256" | "SHA-1";
}

/** Keys of leaves. */
export type KeyKind = "P-256" | "P-384" | "RSA-2048" | "RSA-1024" | "Ed25519";

/** A certificate authority of a test. */
export interface TestCa {
  readonly cert: string;
  /** A CA under this one. */
  intermediate(name: string): Promise<TestCa>;
  leaf(options: LeafOptions): Promise<TestCertificate>;
}

/** Key usages of RFC 5280 that checks look at. */
export const keyUsages: { readonly digitalSignature: number; readonly keyEncipherment: number } = {
  digitalSignature: x509.KeyUsageFlags.digitalSignature,
  keyEncipherment: x509.KeyUsageFlags.keyEncipherment,
};

/** Client and server authentication. */
export const usages: { readonly client: string; readonly server: string } = {
  client: x509.ExtendedKeyUsage.clientAuth,
  server: x509.ExtendedKeyUsage.serverAuth,
};

function keyAlgorithm(kind: KeyKind): webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | webcrypto.Algorithm {
  if (kind === "Ed25519") return { name: "Ed25519" };
  if (kind === "P-256" || kind === "P-384") return { name: "ECDSA", namedCurve: kind };
  return { name: "RSASSA-PKCS1-v1_5", modulusLength: Number(kind.slice(4)), publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
}

async function keyPair(kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(keyAlgorithm(kind), true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** Makes a CA. */
export async function createTestCa(name: string): Promise<TestCa> {
  return makeCa(name, undefined);
}

async function makeCa(name: string, issuer: { readonly subject: string; readonly key: webcrypto.CryptoKey } | undefined): Promise<TestCa> {
  const keys = await keyPair("P-256");
  const root = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${name}`,
    issuer: issuer?.subject ?? `CN=${name}`,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
    publicKey: keys.publicKey,
    signingKey: issuer?.key ?? keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  return {
    cert: root.toString("pem"),
    intermediate: (below) => makeCa(below, { subject: root.subject, key: keys.privateKey }),
    async leaf(options) {
      const own = await keyPair(options.key ?? "P-256");
      const extensions: x509.Extension[] = [
        new x509.BasicConstraintsExtension(options.isAuthority ?? false, undefined, true),
        new x509.ExtendedKeyUsageExtension([...(options.usages ?? [usages.client])], true),
      ];
      if (options.keyUsages !== undefined) extensions.push(new x509.KeyUsagesExtension(options.keyUsages, true));
      if (options.names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension([...options.names], true));
      const cert = await x509.X509CertificateGenerator.create({
        serialNumber: serial(),
        subject: options.selfSigned === true ? "CN=self" : options.names.length > 0 ? "" : "CN=nameless",
        issuer: options.selfSigned === true ? "CN=self" : root.subject,
        notBefore: options.notBefore ?? new Date(Date.now() - dayMs / 24),
        notAfter: options.notAfter ?? new Date(Date.now() + dayMs / 2),
        publicKey: own.publicKey,
        signingKey: options.selfSigned === true ? own.privateKey : keys.privateKey,
        signingAlgorithm: { ...algorithm, hash: options.hash ?? algorithm.hash },
        extensions,
      });
      const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", own.privateKey));
      return {
        key: createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }).toString(),
        cert: cert.toString("pem"),
        fingerprint: createHash("sha256").update(Buffer.from(cert.rawData)).digest("hex"),
      };
    },
  };
}

function serial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}
