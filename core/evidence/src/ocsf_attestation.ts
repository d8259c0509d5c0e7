/**
 * Why it exists: an event leaves the house as an OCSF document that carries its own attestation (OCSF's profile `record_integrity`), for tools that read OCSF and not our files.
 * Enforces: one document for one signed line: the producer's own, with the profile named and one attestation behind those that it had; its fingerprint is SHA-256 over
 *   the canonical form (RFC 8785) of the whole event, without the fingerprint and the signatures of that attestation.
 * Forbids: I/O; an attestation of what is no event; leaving out or changing anything that the producer wrote.
 */
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { decodeVerdicts, type FrameHeader, invalidName, lineEnd, splitLines } from "ransomeye-ingestion/protocol";
import { parseStrictJson } from "./strict_json.ts";

/** A batch, as far as one of its events is to be found in it. */
export interface EventBatch {
  readonly header: FrameHeader;
  readonly verdicts: Buffer;
  readonly payload: Buffer;
}

/** An event that can be attested. */
export interface AttestableEvent {
  readonly kind: "event";
  /** producer:epoch:sequence. */
  readonly id: string;
  /** 64 hex digits. */
  readonly fingerprint: string;
  /** The OCSF document in its canonical form, with its fingerprint. `signedUs`: when the sealer signed, if it did. */
  readonly document: (signedUs?: number) => string;
}

export type Attestable = AttestableEvent | { readonly kind: "none"; readonly why: string };

const profile = "record_integrity";
type Fields = Readonly<Record<string, unknown>>;

/** The attestation of an event of a batch. `authority`: the sealer's first key, by which its chain of statements is known; undefined where nothing was ever signed. */
export function attestable(batch: EventBatch, seq: number, authority: string | undefined): Attestable {
  const { producer, epoch } = batch.header;
  const line = lineOf(batch, seq);
  if (typeof line === "string") return none(line);
  const parsed = parseStrictJson(line);
  if (parsed.kind === "refused") return none(`its line ${parsed.why}, so that it has no canonical form (I-JSON, RFC 8785)`);
  const event = parsed.value;
  const metadata = isObject(event) ? event["metadata"] : undefined;
  if (!isObject(event) || !isObject(metadata)) return none("its line is no OCSF event");
  const profiles = metadata["profiles"] ?? [];
  const own = event["attestation_list"] ?? [];
  if (!Array.isArray(profiles) || !Array.isArray(own)) return none("its profiles, or its attestations, are no lists");
  const id = `${producer}:${epoch}:${seq}`;
  const attestation = { uid: id, ...(authority === undefined ? {} : { authority_uid: authority }), chain_uid: `${producer}:${epoch}` };
  const canonical = (attested: Fields): string =>
    canonicalOf({
      ...event,
      metadata: { ...metadata, profiles: profiles.includes(profile) ? profiles : [...profiles, profile] },
      attestation_list: [...own, attested],
    });
  const fingerprint = createHash("sha256").update(canonical(attestation), "utf8").digest("hex");
  const digest = fingerprintObject(fingerprint);
  const document = (signedUs?: number): string =>
    canonical({
      ...attestation,
      fingerprint: digest,
      ...(signedUs === undefined ? {} : { signatures: [signatureObject(digest, signedUs)] }),
    });
  return { kind: "event", id, fingerprint, document };
}

/** Its bytes, or why it is no event. */
function lineOf({ header, verdicts, payload }: EventBatch, seq: number): Buffer | string {
  if (header.kind === "gap") return "its producer has declared it lost";
  const line = seq - header.firstSeq;
  if (line < 0 || line >= header.count) return "it is not in the batch";
  const decoded = decodeVerdicts(verdicts);
  const split = splitLines(payload, header.count);
  if (decoded.kind === "refused" || decoded.value.kind === "frame" || split.kind !== "lines")
    return "it is a dead letter: its batch does not decode to lines";
  const invalid = decoded.value.invalid.find((one) => one.line === line);
  if (invalid !== undefined) return `it is a dead letter: ${invalidName(invalid.code)}`;
  return payload.subarray(split.lineStarts[line], lineEnd(payload, split.lineStarts, line));
}

/** OCSF's `fingerprint`. */
function fingerprintObject(value: string): Fields {
  return { algorithm: "SHA-256", algorithm_id: 3, encoding: "Hex", encoding_id: 1, serialization: "JCS", serialization_id: 2, value };
}

/** OCSF's `digital_signature`: it has no attribute for the signature's bytes; these are in the note beside the document, whose text is what was signed. */
function signatureObject(digest: Fields, signedUs: number): Fields {
  return {
    algorithm: "Ed25519",
    algorithm_id: 99,
    created_time: Math.floor(signedUs / 1000),
    digest,
    serialization: "c2sp.org/signed-note",
    serialization_id: 99,
  };
}

/** RFC 8785. */
export function canonicalOf(value: unknown): string {
  return canonicalize(value) as string;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function none(why: string): Attestable {
  return { kind: "none", why };
}
