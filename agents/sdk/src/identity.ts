/**
 * Why: a producer is its two keys: the TLS key that opens the door and the batch key that signs what it says.
 * Enforces: keys are made here and never leave; the enrolment request proves possession of both; on disk an identity is readable by its owner alone, and one that
 *   others can read is refused instead of used.
 * Forbids: private keys in requests, logs or error messages.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { chmod, mkdir, open, readFile, rm, stat } from "node:fs/promises";
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

/** Fresh keys and the request that proves them. */
export interface Enrolment {
  readonly request: EnrolmentRequest;
  readonly tlsKeyPem: string;
  readonly batchKey: KeyObject;
}

/** Makes the keys of a new producer and its enrolment request. Keys come from OpenSSL's generator, the nonce from `random`. */
export function createEnrolmentRequest(producer: { readonly kind: ProducerKind; readonly name: string }, random: Random): Enrolment {
  const tls = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const batch = generateKeyPairSync("ed25519");
  const fields = {
    kind: producer.kind,
    name: producer.name,
    tlsPublicKey: tls.publicKey.export({ format: "der", type: "spki" }),
    batchPublicKey: rawPublicKey(batch.publicKey),
    nonce: random.bytes(32),
  };
  const signed = enrolmentBytes(fields);
  return {
    request: { ...fields, tlsProof: sign("sha256", signed, tls.privateKey), batchProof: sign(null, signed, batch.privateKey) },
    tlsKeyPem: tls.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    batchKey: batch.privateKey,
  };
}

/** Writes an identity: directory 0700, files 0600, `identity.json` last, so that half an identity is none. */
export async function saveIdentity(directory: string, identity: ProducerIdentity): Promise<void> {
  await makePrivateDirectory(directory);
  const batchKeyPem = identity.batchKey.export({ format: "pem", type: "pkcs8" });
  await saveRenewal(directory, identity);
  await writeFileAtomic(join(directory, "batch.key"), batchKeyPem, 0o600);
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

/** Makes a directory that its owner alone may enter, or closes it to others. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
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
  if (journal !== undefined) return JSON.parse(journal) as TlsFiles;
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
    return {
      producer,
      kind,
      trustDomain,
      ...(await loadTls(directory)),
      batchKey,
      ...(receiptKeys.length === 0 ? {} : { receiptKeys }),
      ...(enrolment === undefined ? {} : { enrolment }),
    };
  } catch (error) {
    if (error instanceof SdkError) throw error;
    throw new SdkError("SDK_IDENTITY_INVALID", "the identity cannot be read", { cause: error, fields: { directory } });
  }
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
