/**
 * Why it exists: one row of bus.frames, as binary COPY delivers it, becomes a bus entry.
 * Enforces: columns and their order spelled once, for the query and for the decoder; payload bytes checked against their hash.
 * Forbids: copying: payloads are views on the bytes that came in.
 */
import { createHash } from "node:crypto";
import { type BinaryRow, readField } from "ransomeye-db";
import { frameKindCodes, producerKindCodes } from "../arguments.ts";
import type { BusEntry, FrameKind, ProducerKind } from "../bus.ts";
import { BusError } from "../errors.ts";

export const entryColumns: readonly string[] = [
  "part",
  "off",
  "received_at",
  "producer_id",
  "producer_kind",
  "epoch",
  "first_seq",
  "count",
  "kind",
  "codec",
  "schema_version",
  "mapping_version",
  "key_id",
  "offered",
  "prev_epoch",
  "prev_seq",
  "prev_hash",
  "payload_hash",
  "hash",
  "header",
  "signature",
  "verdicts",
  "gateway",
  "body",
  "incarnation",
];

const producerKinds = new Map(Object.entries(producerKindCodes).map(([kind, code]) => [code, kind as ProducerKind]));
const frameKinds = new Map(Object.entries(frameKindCodes).map(([kind, code]) => [code, kind as FrameKind]));

/** @throws BusError BUS_CORRUPT if the payload does not match its hash, or the row is none that this bus writes */
export function decodeEntry(row: BinaryRow, generation: string): BusEntry {
  const fields = row as readonly Buffer[];
  let at = 0;
  const next = (): Buffer => {
    const field = fields[at++];
    if (field === undefined || field === null) throw new BusError("BUS_CORRUPT", "a column of an entry is missing");
    return field;
  };
  const part = readField.int4(next());
  const off = readField.int8(next());
  const receivedUs = readField.timestamptzUs(next());
  const producer = readField.uuid(next());
  const producerKind = producerKinds.get(readField.int2(next()));
  const epoch = readField.int8(next());
  const firstSeq = readField.int8(next());
  const count = readField.int4(next());
  const kind = frameKinds.get(readField.int2(next()));
  const codec = readField.int2(next());
  const schemaVersion = readField.int4(next());
  const mappingVersion = readField.int4(next());
  const keyId = next().toString("hex");
  const offered = readField.int8(next());
  const prevEpoch = readField.int8(next());
  const prevSeq = readField.int8(next());
  const prevHash = next();
  const payloadHash = next();
  const hash = next();
  const header = next();
  const signature = next();
  const verdicts = next();
  const gateway = readField.text(next());
  const payload = next();
  const incarnation = fields[at] ?? null;
  if (producerKind === undefined || kind === undefined || !createHash("sha256").update(payload).digest().equals(payloadHash)) {
    throw new BusError("BUS_CORRUPT", "an entry does not match the hash that was stored with it", { fields: { part, off, producer } });
  }
  return {
    position: { generation, part, off, receivedUs, hash },
    receivedUs,
    producerKind,
    gateway,
    incarnation: incarnation === null ? null : readField.uuid(incarnation),
    header,
    signature,
    payload,
    verdicts,
    link: {
      producer,
      keyId,
      kind,
      codec,
      schemaVersion,
      mappingVersion,
      epoch,
      firstSeq,
      count,
      offered,
      prevEpoch,
      prevSeq,
      prevHash,
      payloadHash,
      hash,
    },
  };
}

/** Integer microseconds since 1970 as a literal that PostgreSQL reads without loss, so that the planner can choose the day. */
export function timestampLiteral(us: number): string {
  const ms = Math.floor(us / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(us - ms * 1000).padStart(3, "0")}+00`;
}
