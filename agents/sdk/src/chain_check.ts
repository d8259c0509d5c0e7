/**
 * Why: where this host's clock is wrong, OpenSSL refuses every certificate, and its one verdict does not say whether the dates were all that was
 *   wrong (a later fault replaces an earlier one). Then the chain has to be judged again, at the right time.
 * Enforces: a leaf for servers, signed by an authority that we have, or by one whose key an authority that we have has signed (a link, while one authority
 *   takes over from another); every certificate on the way is valid at the time given.
 * Forbids: use where OpenSSL's own verdict will do, and longer chains than this house makes.
 */
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** Why a chain is not believed. `dates`: it would be, at another time. */
export type ChainFault = "untrusted" | "dates" | "purpose";

const serverAuth = "1.3.6.1.5.5.7.3.1";
/** Leaf, link, root. */
const chainMax = 4;

/** Why the certificates that a server presented are not believed at `atUs`; undefined where they are. */
export function chainFault(presented: readonly X509Certificate[], roots: readonly X509Certificate[], atUs: number): ChainFault | undefined {
  const [leaf, ...others] = presented;
  if (leaf === undefined) return "untrusted";
  const paths: (readonly X509Certificate[])[] = [];
  for (const root of roots) {
    if (isSignedBy(leaf, root)) paths.push([leaf, root]);
    for (const link of others) if (isSignedBy(link, root) && isSignedBy(leaf, link)) paths.push([leaf, link, root]);
  }
  if (paths.length === 0) return "untrusted";
  const usages: readonly string[] | undefined = leaf.keyUsage;
  if (leaf.ca || usages?.includes(serverAuth) !== true) return "purpose";
  return paths.some((path) => path.every((certificate) => isValidAt(certificate, atUs))) ? undefined : "dates";
}

/** What a peer presented, leaf first. */
export function presentedChain(socket: Pick<TLSSocket, "getPeerX509Certificate">): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined && chain.length < chainMax; next = next.issuerCertificate) {
    if (chain.some((known) => known.fingerprint256 === next?.fingerprint256)) break;
    chain.push(next);
  }
  return chain;
}

/** Whether `issuer` is an authority and has signed `certificate`. */
export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isValidAt(certificate: X509Certificate, atUs: number): boolean {
  return Date.parse(certificate.validFrom) * 1000 <= atUs && atUs <= Date.parse(certificate.validTo) * 1000;
}

/** The certificates of a PEM bundle. Throws where one is none. */
export function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one));
}
