/**
 * Why it exists: the gateway's key, certificate chain and authorities are made by the registry and read by gateways, while both run.
 * Enforces: the certificate is renewed well before it ends, when its names change and when another authority signs; what a gateway reads fits
 * together (the key is the certificate's) or is not used; both sides compute one revision, by which a gateway knows that it is behind.
 * Forbids: touching the receipt key once it exists: producers have pinned it.
 */
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import type { TlsMaterial } from "ransomeye-ingestion";
import { gatewaySpiffeId } from "ransomeye-ingestion/protocol";
import { type Clock, writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import type { AuthorityKeeper } from "./authority_keeper.ts";
import { gatewayId, keyFiles, readIfPresent, readPrivate } from "./key_files.ts";

const renewBeforeUs = 30 * 86_400_000_000;

/** What a gateway serves with. */
export interface GatewayMaterial {
  readonly tls: TlsMaterial;
  /** The same on both sides exactly while both mean the same material. */
  readonly revision: string;
  readonly notAfterUs: number;
}

/** Makes sure that the gateway has a certificate for `names` that lasts, and that there is a key to sign receipts with. */
export async function ensureGatewayKeys(
  secrets: string,
  keeper: Pick<AuthorityKeeper, "current" | "link">,
  trustDomain: string,
  names: readonly string[],
  clock: Clock,
): Promise<void> {
  const receiptPath = join(secrets, keyFiles.receiptKey.name);
  if ((await readPrivate(receiptPath)) === undefined) {
    const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
    await writeFileAtomic(receiptPath, pem, 0o600);
  }
  const keyPath = join(secrets, keyFiles.gatewayKey.name);
  const certPath = join(secrets, keyFiles.gatewayCert.name);
  const spiffeId = gatewaySpiffeId(trustDomain, gatewayId);
  if (isCurrent(await readPrivate(keyPath), await readIfPresent(certPath), keeper, spiffeId, names, clock)) return;
  const issued = await keeper.current.issueServer({ spiffeId, names });
  await writeFileAtomic(keyPath, issued.keyPem, 0o600);
  await writeFileAtomic(certPath, chainOf(issued.certPem, keeper.link), 0o644);
}

/** Reads what the gateway serves with. @throws CliError CLI_START_FAILED where a file is missing or key and certificate do not fit */
export async function readGatewayMaterial(secrets: string): Promise<GatewayMaterial> {
  const read = async (file: { readonly name: string; readonly private: boolean }): Promise<string> => {
    const path = join(secrets, file.name);
    const text = await (file.private ? readPrivate(path) : readIfPresent(path));
    if (text === undefined) throw new CliError("CLI_START_FAILED", `${path} is missing`);
    return text;
  };
  const [key, cert, ca] = [await read(keyFiles.gatewayKey), await read(keyFiles.gatewayCert), await read(keyFiles.caBundle)];
  const leaf = new X509Certificate(cert);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new CliError("CLI_START_FAILED", "the gateway's key and certificate do not fit");
  const revision = createHash("sha256").update(cert).update("\0").update(ca).digest("hex");
  return { tls: { key, cert, ca }, revision, notAfterUs: Date.parse(leaf.validTo) * 1000 };
}

function chainOf(leaf: string, link: string): string {
  return link === "" ? leaf : `${leaf.trim()}\n${link.trim()}\n`;
}

function isCurrent(
  keyPem: string | undefined,
  certPem: string | undefined,
  keeper: Pick<AuthorityKeeper, "current" | "link">,
  spiffeId: string,
  names: readonly string[],
  clock: Clock,
): boolean {
  if (keyPem === undefined || certPem === undefined) return false;
  const cert = new X509Certificate(certPem);
  const alternatives = (cert.subjectAltName ?? "").split(", ");
  return (
    certPem === chainOf(firstOf(certPem), keeper.link) &&
    cert.checkPrivateKey(createPrivateKey(keyPem)) &&
    cert.verify(new X509Certificate(keeper.current.caPem).publicKey) &&
    Date.parse(cert.validTo) * 1000 - renewBeforeUs > clock.nowUs() &&
    alternatives.includes(`URI:${spiffeId}`) &&
    names.every((name) => (isIP(name) === 0 ? alternatives.includes(`DNS:${name}`) : cert.checkIP(name) !== undefined))
  );
}

const endLine = "-----END CERTIFICATE-----";

/** The first certificate of a chain, as it was written. */
function firstOf(chain: string): string {
  const end = chain.indexOf(endLine) + endLine.length;
  return chain.slice(end).trim() === "" ? chain : chain.slice(0, end);
}
