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
}

/** A certificate authority of a test. */
export interface TestCa {
  readonly cert: string;
  leaf(options: LeafOptions): Promise<TestCertificate>;
}

/** Client and server authentication. */
export const usages: { readonly client: string; readonly server: string } = {
  client: x509.ExtendedKeyUsage.clientAuth,
  server: x509.ExtendedKeyUsage.serverAuth,
};

/** Makes a CA. */
export async function createTestCa(name: string): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  return {
    cert: root.toString("pem"),
    async leaf(options) {
      const own = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const extensions: x509.Extension[] = [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([...(options.usages ?? [usages.client])], true),
      ];
      if (options.names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension([...options.names], true));
      const cert = await x509.X509CertificateGenerator.create({
        serialNumber: serial(),
        subject: options.names.length > 0 ? "" : "CN=nameless",
        issuer: root.subject,
        notBefore: options.notBefore ?? new Date(Date.now() - dayMs / 24),
        notAfter: options.notAfter ?? new Date(Date.now() + dayMs / 2),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
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
