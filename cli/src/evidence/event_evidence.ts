/**
 * Why it exists: what is known of one event, put together from the log, the sink and the registry, for `ransomeye event` and for checks in bulk.
 * Enforces: one way to get at an event and its original, whoever asks; the proof is made anew each time.
 * Forbids: an answer without its proof.
 */
import type { Pool } from "ransomeye-db";
import { type Proof, proveEvent } from "ransomeye-evidence";
import type { RowColumns } from "ransomeye-ingestion/protocol";
import type { Clock } from "ransomeye-kernel";
import { originalOf } from "ransomeye-shipper";
import { type EventId, type EventRow, findEvent } from "../queries/events.ts";
import { frameOf, previousHeaderOf, type Settled, settledOf } from "../queries/evidence.ts";
import { registeredProducers } from "../queries/names.ts";

/** Where to ask. */
export interface EvidenceSources {
  /** As ransomeye_reader. */
  readonly pool: Pool;
  readonly registrySocket: string;
  readonly clock: Clock;
}

export interface EventEvidence {
  /** Absent where the event is no row, or not yet. */
  readonly row: EventRow | undefined;
  /** What it became instead. */
  readonly settled: Settled | undefined;
  readonly proof: Proof;
  /** Its producer's name, if the registry knows it. */
  readonly name: string | undefined;
  /** The source's own record, byte for byte, where the shipper kept it; a native event is its own original. */
  readonly original: Buffer;
}

/** What is known of an event; undefined if nothing is. */
export async function eventEvidence({ pool, registrySocket, clock }: EvidenceSources, id: EventId): Promise<EventEvidence | undefined> {
  const [frame, row, settled] = await Promise.all([frameOf(pool, id), findEvent(pool, id), settledOf(pool, id)]);
  if (frame === undefined) return undefined;
  const producer = (await registeredProducers(registrySocket, clock)).find((p) => p.id === id.producer);
  const publicKeys = new Map(producer?.keys.map((key) => [key.key_id, Buffer.from(key.public_key, "base64")]));
  const proof = proveEvent({
    frame,
    event: { epoch: id.epoch, seq: id.seq, ...(row === undefined ? {} : { row: derivedColumns(row) }) },
    publicKeyOf: (keyId) => publicKeys.get(keyId),
    previousHeader: await previousHeaderOf(pool, frame),
  });
  return { row, settled, proof, name: producer?.name, original: originalIn(proof.line) };
}

/** The document in a line; undefined if it holds none. */
export function documentIn(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

function originalIn(line: Buffer): Buffer {
  const document = documentIn(line);
  return (typeof document === "object" && document !== null ? originalOf(document as Record<string, unknown>) : undefined) ?? line;
}

function derivedColumns(row: EventRow): RowColumns & { readonly line: number; readonly byteOffset: number; readonly byteLength: number } {
  return {
    line: row.line,
    byteOffset: row.byte_offset,
    byteLength: row.byte_length,
    eventTimeUs: row.event_time,
    classUid: row.class_uid,
    activityId: row.activity_id,
    severityId: row.severity_id,
    flags: row.flags,
    host: row.host,
    userName: row.user_name,
    processName: row.process_name,
    processPid: row.process_pid,
    filePath: row.file_path,
    fileSha256: row.file_sha256,
    srcIp: row.src_ip,
    srcPort: row.src_port,
    dstIp: row.dst_ip,
    dstPort: row.dst_port,
    domain: row.domain,
    message: row.message,
  };
}
