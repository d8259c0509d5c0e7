/**
 * Why: a producer is its two keys: the TLS key that opens the door and the batch key that signs what it says.
 * Enforces: keys are made here and never leave; the enrolment request proves possession of both; on disk an identity is readable by its owner alone, and one that
 *   others can read is refused instead of used.
 * Forbids: private keys in requests, logs or error messages.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Random, writeFileAtomic } from "ransomeye-kernel";
import {
  type EnrolmentRequest,
  enrolmentBytes,
  isUuid,
  type ProducerKind,
  producerKinds,
  rawPublicKey,
} from "ransomeye-ingestion/protocol";
import { certificatesOf } from "./chain_check.ts";
import { SdkError } from "./codes.ts";

/** Everything that a producer needs to be itself. */
export interface ProducerIdentity {
  /** Canonical uuid. */
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly trustDomain: string;
  readonly tlsKeyPem: string;
  readonly tlsCertPem: string;
  /** The authority that signs gateways. */
  readonly caPem: string;
  /** Ed25519 private key. */
  readonly batchKey: KeyObject;
  /** Raw Ed25519 keys that receipts may be signed with; without them the first Welcome of each gateway is believed. */
  readonly receiptKeys?: readonly Buffer[];
  /** Where the registry answers agents; absent for an identity that was enrolled on the registry's own host. */
  readonly enrolment?: { readonly host: string; readonly port: number };
}

/** The private halves of a producer's two keys. */
export interface KeyPairs {
  readonly tlsKey: KeyObject;
  readonly batchKey: KeyObject;
}

/** Keys and the request that proves them. */
export interface Enrolment {
  readonly request: EnrolmentRequest;
  readonly tlsKeyPem: string;
  readonly batchKey: KeyObject;
}

/** The enrolment request of a producer, by fresh keys unless there are some. Keys come from OpenSSL's generator, the nonce from `random`. */
export function createEnrolmentRequest(
  producer: { readonly kind: ProducerKind; readonly name: string },
  random: Random,
  { tlsKey, batchKey }: KeyPairs = freshKeys(),
): Enrolment {
  const fields = {
    kind: producer.kind,
    name: producer.name,
    tlsPublicKey: createPublicKey(tlsKey).export({ format: "der", type: "spki" }),
    batchPublicKey: rawPublicKey(batchKey),
    nonce: random.bytes(32),
  };
  const signed = enrolmentBytes(fields);
  return {
    request: { ...fields, tlsProof: sign("sha256", signed, tlsKey), batchProof: sign(null, signed, batchKey) },
    tlsKeyPem: pemOf(tlsKey),
    batchKey,
  };
}

/** A key for TLS. */
export function freshTlsKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** A key that signs batches. */
export function freshBatchKey(): KeyObject {
  return generateKeyPairSync("ed25519").privateKey;
}

/** Both. */
export function freshKeys(): KeyPairs {
  return { tlsKey: freshTlsKey(), batchKey: freshBatchKey() };
}

/** Writes an identity: directory 0700, files 0600, `identity.json` last, so that half an identity is none. */
export async function saveIdentity(directory: string, identity: ProducerIdentity): Promise<void> {
  await makePrivateDirectory(directory);
  await saveRenewal(directory, identity);
  await writeFileAtomic(join(directory, "batch.key"), pemOf(identity.batchKey), 0o600);
  const { producer, kind, trustDomain } = identity;
  const json = {
    version: 1,
    producer,
    kind,
    trust_domain: trustDomain,
    receipt_keys: (identity.receiptKeys ?? []).map((key) => key.toString("hex")),
    ...(identity.enrolment === undefined ? {} : { enrolment: identity.enrolment }),
  };
  await writeFileAtomic(join(directory, "identity.json"), `${JSON.stringify(json, undefined, 2)}\n`, 0o600);
}

/**
 * Replaces TLS key, certificate and authorities of a saved identity. They are three files and one change: it is made when the journal is written, and
 * a crash after that leaves the journal for `loadIdentity` to read and the next renewal to finish.
 */
export async function saveRenewal(directory: string, identity: ProducerIdentity): Promise<void> {
  const { tlsKeyPem, tlsCertPem, caPem } = identity;
  await writeFileAtomic(join(directory, renewalJournal), JSON.stringify({ tlsKeyPem, tlsCertPem, caPem }), 0o600);
  await saveTls(directory, identity);
  await rm(join(directory, renewalJournal), { force: true });
}

/**
 * Makes a directory that its owner alone may enter, or closes one of our own to others. Rejects with SDK_IDENTITY_EXPOSED where others may enter it and other
 * things lie in it: to close somebody's `/etc` would be worse than to refuse it.
 */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { mode } = await stat(directory);
  if ((mode & 0o077) === 0) return;
  const names = await readdir(directory);
  if (names.length > 0 && !names.some((name) => ownFiles.has(name)))
    throw new SdkError(
      "SDK_IDENTITY_EXPOSED",
      `${directory} is open to others and holds other things; name a folder of the identity's own`,
    );
  await chmod(directory, 0o700);
}

/** The keys of an enrolment that was begun. */
export const enrolmentFile = "enrolment.json";
/** Any of these makes a directory one of ours. */
const ownFiles: ReadonlySet<string> = new Set(["identity.json", enrolmentFile]);

/** A private key as it is saved. */
export function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}

/** Reads a private file; undefined where there is none. Rejects with SDK_IDENTITY_EXPOSED where others may read it. */
export async function readPrivateIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readPrivate(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const renewalJournal = "renewal.json";

async function saveTls(directory: string, identity: TlsFiles): Promise<void> {
  await writeFileAtomic(join(directory, "tls.key"), identity.tlsKeyPem, 0o600);
  await writeFileAtomic(join(directory, "tls.crt"), identity.tlsCertPem, 0o600);
  await writeFileAtomic(join(directory, "ca.crt"), identity.caPem, 0o600);
}

type TlsFiles = Pick<ProducerIdentity, "tlsKeyPem" | "tlsCertPem" | "caPem">;

async function loadTls(directory: string): Promise<TlsFiles> {
  const journal = await readPrivateIfPresent(join(directory, renewalJournal));
  if (journal !== undefined) return tlsFilesOf(journal);
  return {
    tlsKeyPem: await readPrivate(join(directory, "tls.key")),
    tlsCertPem: await readPrivate(join(directory, "tls.crt")),
    caPem: await readPrivate(join(directory, "ca.crt")),
  };
}

/** Reads an identity. Rejects with SDK_IDENTITY_EXPOSED where others may read it, SDK_IDENTITY_INVALID where it is not one. */
export async function loadIdentity(directory: string): Promise<ProducerIdentity> {
  try {
    await refuseExposed(directory, 0o077);
    const json: unknown = JSON.parse(await readPrivate(join(directory, "identity.json")));
    const { producer, kind, trustDomain, receiptKeys, enrolment } = parseIdentity(json);
    const batchKey = createPrivateKey(await readPrivate(join(directory, "batch.key")));
    if (batchKey.asymmetricKeyType !== "ed25519") throw new TypeError("batch.key is not an Ed25519 key");
    const tls = await loadTls(directory);
    if (!new X509Certificate(tls.tlsCertPem).checkPrivateKey(createPrivateKey(tls.tlsKeyPem)))
      throw new TypeError("tls.crt is not the certificate of tls.key");
    if (certificatesOf(tls.caPem).length === 0) throw new TypeError("ca.crt holds no certificate");
    return {
      producer,
      kind,
      trustDomain,
      ...tls,
      batchKey,
      ...(receiptKeys.length === 0 ? {} : { receiptKeys }),
      ...(enrolment === undefined ? {} : { enrolment }),
    };
  } catch (error) {
    if (error instanceof SdkError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SdkError("SDK_IDENTITY_INVALID", `no identity can be read in ${directory}: ${why}`, { cause: error, fields: { directory } });
  }
}

/** The journal's files. What is wrong with it is said in words of ours: a parser's would quote the private key. */
function tlsFilesOf(journal: string): TlsFiles {
  try {
    const { tlsKeyPem, tlsCertPem, caPem } = JSON.parse(journal) as TlsFiles;
    if ([tlsKeyPem, tlsCertPem, caPem].every((pem) => typeof pem === "string")) return { tlsKeyPem, tlsCertPem, caPem };
  } catch {
    // As if it had other fields.
  }
  throw new TypeError(`${renewalJournal} is damaged`);
}

interface IdentityFile {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly trustDomain: string;
  readonly receiptKeys: readonly Buffer[];
  readonly enrolment: ProducerIdentity["enrolment"] | undefined;
}

function parseIdentity(json: unknown): IdentityFile {
  const fields = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
  const { producer, trust_domain: trustDomain, receipt_keys: keys } = fields;
  const kind = producerKinds.find((known) => known === fields["kind"]);
  if (typeof producer !== "string" || !isUuid(producer)) throw new TypeError("producer is not a uuid");
  if (kind === undefined) throw new TypeError("kind is not a kind of producer");
  if (typeof trustDomain !== "string" || trustDomain === "") throw new TypeError("trust_domain is missing");
  const receiptKeys = (Array.isArray(keys) ? keys : []).map((key) => Buffer.from(String(key), "hex"));
  if (receiptKeys.some((key) => key.length !== 32)) throw new TypeError("a receipt key is not 32 bytes");
  const { host, port } = (fields["enrolment"] ?? {}) as Readonly<Record<string, unknown>>;
  if (fields["enrolment"] !== undefined && (typeof host !== "string" || !Number.isInteger(port)))
    throw new TypeError("enrolment is not an address");
  const enrolment = typeof host === "string" ? { host, port: port as number } : undefined;
  return { producer, kind, trustDomain, receiptKeys, enrolment };
}

/** Reads through one handle, so that what was checked is what is read. */
async function readPrivate(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) throw exposed(path, mode);
    return await readFile(file, "utf8");
  } finally {
    await file.close();
  }
}

async function refuseExposed(path: string, mask: number): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & mask) !== 0) throw exposed(path, mode);
}

function exposed(path: string, mode: number): SdkError {
  return new SdkError("SDK_IDENTITY_EXPOSED", `${path} has mode ${(mode & 0o777).toString(8)}`, { fields: { path } });
}
