/**
 * The certificate authority of one RansomEye installation.
 *
 * Why it exists: producers and gateways recognise each other by mutual TLS, and somebody has to say whose key is whose.
 * Enforces: a producer's certificate names exactly one producer, by exactly one URI SAN (architecture part 4); a gateway's
 * certificate names one gateway by URI and the addresses it answers on; client and server usages are never mixed; the
 * certificates cannot sign others.
 * Forbids: any process but the registry from importing this file: whoever holds the CA key can be anyone.
 */
import "reflect-metadata";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { authorityPin, endorseTimeKey } from "ransomeye-ingestion/protocol";
import type { Clock, Random } from "ransomeye-kernel";

const caDays = 3650;
const leafDays = 90;
/** A clock that is a little behind must not find its fresh certificate "not yet valid". */
const backdateUs = 5 * 60 * 1_000_000;
const dayUs = 86_400_000_000;
const ecAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export interface CertifiedKey {
  readonly keyPem: string;
  readonly certPem: string;
}

export interface IssuedCertificate {
  readonly certPem: string;
  /** SHA-256 over the DER certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly serial: string;
  /** Microseconds since 1970. */
  readonly notAfterUs: number;
  /** SHA-256 of the issuing authority's public key: its pin, hex. */
  readonly issuer: string;
  /** SHA-256 of the certified public key (SubjectPublicKeyInfo), hex. */
  readonly tlsKey: string;
}

export interface Authority {
  readonly caPem: string;
  /** SHA-256 of its public key, hex: what tokens carry and certificates are filed under. */
  readonly pin: string;
  /** Signs a client certificate for the key that the producer made itself; the key never travels. */
  issueProducer(request: { readonly spiffeId: string; readonly publicKey: KeyObject }): Promise<IssuedCertificate>;
  /** Makes key and server certificate of a gateway, or of the enrolment listener. `names` are IP addresses and DNS names. */
  issueServer(request: { readonly spiffeId: string; readonly names: readonly string[] }): Promise<CertifiedKey & IssuedCertificate>;
  /** Vouches for a key that signs time. */
  endorseTimeKey(timeKey: Buffer): Buffer;
  /**
   * Signs a successor's public key under the common name (RFC 4210's "new with old"): whoever knows only this authority believes the successor's
   * certificates, once they come with this link.
   */
  link(successor: CertifiedKey): Promise<string>;
}

/** Makes a new self-signed root. Its private key is returned as PEM for a 0600 file and lives nowhere else. */
export async function createRoot(trustDomain: string, clock: Clock, random: Random): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(ecAlgorithm, true, ["sign", "verify"]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: `CN=RansomEye root ${trustDomain}`,
    ...validity(clock, caDays),
    keys,
    signingAlgorithm: ecAlgorithm,
    extensions: [...rootExtensions(), await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  return { keyPem: await privateKeyPem(keys.privateKey), certPem: cert.toString("pem") };
}

/** Opens an existing root for signing; throws when key and certificate do not belong together. */
export async function openAuthority(root: CertifiedKey, clock: Clock, random: Random): Promise<Authority> {
  if (!new X509Certificate(root.certPem).checkPrivateKey(createPrivateKey(root.keyPem))) {
    throw new Error("the CA key and the CA certificate do not belong together");
  }
  const ca = new x509.X509Certificate(root.certPem);
  const der = createPrivateKey(root.keyPem).export({ type: "pkcs8", format: "der" });
  const pin = authorityPin(root.certPem).toString("hex");
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, ecAlgorithm, false, ["sign"]);

  async function issue(publicKey: KeyObject, names: readonly x509.JsonGeneralName[], usage: string): Promise<IssuedCertificate> {
    const spki = new x509.PublicKey(publicKey.export({ type: "spki", format: "der" }));
    const lifetime = validity(clock, leafDays);
    const cert = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(random),
      // The SAN is the identity (RFC 5280 wants it critical when the subject is empty); nothing may read a name from the subject.
      subject: "",
      issuer: ca.subject,
      ...lifetime,
      publicKey: spki,
      signingKey,
      signingAlgorithm: ecAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage], true),
        new x509.SubjectAlternativeNameExtension([...names], true),
        await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
        await x509.SubjectKeyIdentifierExtension.create(spki),
      ],
    });
    return {
      certPem: cert.toString("pem"),
      fingerprint: createHash("sha256").update(Buffer.from(cert.rawData)).digest("hex"),
      serial: cert.serialNumber,
      notAfterUs: lifetime.notAfter.getTime() * 1000,
      issuer: pin,
      tlsKey: createHash("sha256").update(Buffer.from(spki.rawData)).digest("hex"),
    };
  }

  return {
    caPem: root.certPem,
    pin,
    endorseTimeKey: (timeKey) => endorseTimeKey(timeKey, createPrivateKey(root.keyPem)),
    async link(successor) {
      const next = new x509.X509Certificate(successor.certPem);
      const link = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(random),
        subject: next.subject,
        issuer: ca.subject,
        notBefore: next.notBefore,
        // It outlives neither of the two.
        notAfter: next.notAfter < ca.notAfter ? next.notAfter : ca.notAfter,
        publicKey: next.publicKey,
        signingKey,
        signingAlgorithm: ecAlgorithm,
        extensions: [
          ...rootExtensions(),
          await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
          await x509.SubjectKeyIdentifierExtension.create(next.publicKey),
        ],
      });
      return link.toString("pem");
    },
    issueProducer: (request) => issue(request.publicKey, [{ type: "url", value: request.spiffeId }], x509.ExtendedKeyUsage.clientAuth),
    async issueServer(request) {
      const keys = await webcrypto.subtle.generateKey(ecAlgorithm, true, ["sign", "verify"]);
      const keyPem = await privateKeyPem(keys.privateKey);
      const names: x509.JsonGeneralName[] = [{ type: "url", value: request.spiffeId }];
      for (const name of new Set(request.names)) names.push({ type: isIP(name) === 0 ? "dns" : "ip", value: name });
      const issued = await issue(createPublicKey(keyPem), names, x509.ExtendedKeyUsage.serverAuth);
      return { ...issued, keyPem };
    },
  };
}

/** No authority below an authority; a link has the same name on both sides, which the path length does not count (RFC 5280). */
function rootExtensions(): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ];
}

function validity(clock: Clock, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const nowUs = clock.nowUs();
  return { notBefore: new Date((nowUs - backdateUs) / 1000), notAfter: new Date(Math.floor((nowUs + days * dayUs) / 1_000_000) * 1000) };
}

/** 16 random bytes with the top bit clear: a positive DER integer that needs no padding. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }).toString();
}
