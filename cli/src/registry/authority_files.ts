/**
 * Why it exists: keys must outlive the process that made them, and must not be readable by anybody else.
 * Enforces: private keys are written 0600, whole or not at all; a key file that others can read is refused, not repaired (it may be known
 * already); the gateway's certificate is renewed well before it ends and when its names change.
 * Forbids: replacing a CA that exists: every producer would be locked out.
 */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { gatewaySpiffeId } from "ransomeye-ingestion/protocol";
import { type Clock, type Random, writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { type Authority, createRoot, openAuthority } from "./authority.ts";
import { gatewayId, keyFiles, readIfPresent, readPrivate } from "./key_files.ts";

const renewBeforeUs = 30 * 86_400_000_000;

/** Opens the CA in `secrets`, making it first if there is none. */
export async function ensureAuthority(secrets: string, trustDomain: string, clock: Clock, random: Random): Promise<Authority> {
  const keyPem = await readPrivate(join(secrets, keyFiles.caKey.name));
  const certPem = await readIfPresent(join(secrets, keyFiles.caCert.name));
  if (keyPem !== undefined && certPem !== undefined) return openAuthority({ keyPem, certPem }, clock, random);
  if (keyPem !== undefined || certPem !== undefined) {
    throw new CliError(
      "CLI_START_FAILED",
      `of ${keyFiles.caKey.name} and ${keyFiles.caCert.name} in ${secrets} one is missing; restore it from a copy, or remove the other to begin with a new CA`,
    );
  }
  const root = await createRoot(trustDomain, clock, random);
  // The key first: a crash in between leaves a key without certificate, which the next start names instead of guessing.
  await writeFileAtomic(join(secrets, keyFiles.caKey.name), root.keyPem, 0o600);
  await writeFileAtomic(join(secrets, keyFiles.caCert.name), root.certPem, 0o644);
  return openAuthority(root, clock, random);
}

/** Makes sure that the gateway has a certificate for `names` that lasts, and that there is a key to sign receipts with. */
export async function ensureGatewayKeys(
  secrets: string,
  authority: Authority,
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
  if (isCurrent(await readPrivate(keyPath), await readIfPresent(certPath), authority, spiffeId, names, clock)) return;
  const issued = await authority.issueGateway({ spiffeId, names });
  await writeFileAtomic(keyPath, issued.keyPem, 0o600);
  await writeFileAtomic(certPath, issued.certPem, 0o644);
}

function isCurrent(
  keyPem: string | undefined,
  certPem: string | undefined,
  authority: Authority,
  spiffeId: string,
  names: readonly string[],
  clock: Clock,
): boolean {
  if (keyPem === undefined || certPem === undefined) return false;
  const cert = new X509Certificate(certPem);
  const alternatives = (cert.subjectAltName ?? "").split(", ");
  return (
    cert.checkPrivateKey(createPrivateKey(keyPem)) &&
    cert.verify(new X509Certificate(authority.caPem).publicKey) &&
    Date.parse(cert.validTo) * 1000 - renewBeforeUs > clock.nowUs() &&
    alternatives.includes(`URI:${spiffeId}`) &&
    names.every((name) => (isIP(name) === 0 ? alternatives.includes(`DNS:${name}`) : cert.checkIP(name) !== undefined))
  );
}
