/** A world of evidence in a real database, as gateway and engine would have written it. */
import { type Pool, utcDay } from "ransomeye-db";
import type { Sealed } from "ransomeye-evidence/testing";
import { decodeHeader } from "ransomeye-ingestion/protocol";

/** Stores entries with everything that was made of them; the engine's group has read up to the last. */
export async function storeEntries(pool: Pool, entries: readonly Sealed[]): Promise<void> {
  for (const entry of entries) await storeEntry(pool, entry);
  await pool.query(
    `INSERT INTO bus.consumer_offset (grp, part, off, generation) SELECT 'engine', p.part, p.off, g.id FROM bus.partition_head p CROSS JOIN bus.generation g
     ON CONFLICT (grp, part) DO UPDATE SET off = excluded.off`,
  );
}

const at = (us: number): string => `timestamptz '1970-01-01 00:00:00+00' + ${us} * interval '1 microsecond'`;

async function storeEntry(pool: Pool, entry: Sealed): Promise<void> {
  const { part, off, receivedUs, header, signature, verdicts, payload } = entry;
  const decoded = decodeHeader(header);
  if (decoded.kind === "refused") throw new Error(decoded.detail);
  const link = decoded.value;
  await pool.query("SELECT ops.ensure_partitions($1::date, 1)", [utcDay(receivedUs)]);
  await pool.query(
    `INSERT INTO bus.frames (part, off, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version, mapping_version, key_id, offered,
       prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body)
     VALUES ($1, $2, ${at(receivedUs)}, $3, 2, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 'gateway-1', $20)`,
    [
      part,
      off,
      link.producer,
      link.epoch,
      link.firstSeq,
      link.count,
      link.kind === "events" ? 1 : 2,
      link.schemaVersion,
      link.mappingVersion,
      Buffer.from(link.keyId, "hex"),
      link.offered,
      link.prevEpoch,
      link.prevSeq,
      link.prevHash,
      link.payloadHash,
      link.hash,
      header,
      signature,
      verdicts,
      payload,
    ],
  );
  await pool.query("UPDATE bus.partition_head SET off = $2, received_us = $3 WHERE part = $1", [part, off, receivedUs]);
  for (const row of entry.rows)
    await pool.query(
      `INSERT INTO data.events_agent (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id,
         severity_id, flags, schema_version, mapping_version, normaliser_version, host, message)
       VALUES (${at(receivedUs)}, ${at(row.eventTimeUs)}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
      [
        link.producer,
        link.epoch,
        row.seq,
        part,
        off,
        row.line,
        row.byteOffset,
        row.byteLength,
        row.classUid,
        row.activityId,
        row.severityId,
        row.flags,
        row.schemaVersion,
        row.mappingVersion,
        row.normaliserVersion,
        row.host,
        row.message,
      ],
    );
  for (const { firstSeq, count, code } of entry.deadLetters)
    await pool.query(
      `INSERT INTO data.event_dead_letters (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, code, detail)
       VALUES (${at(receivedUs)}, $1, $2, $3, $4, $5, $6, $7, '')`,
      [link.producer, link.epoch, firstSeq, count, part, off, code],
    );
  for (const { firstSeq, count, reason } of entry.gaps)
    await pool.query(
      `INSERT INTO data.gaps (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, reason) VALUES (${at(receivedUs)}, $1, $2, $3, $4, $5, $6, $7)`,
      [link.producer, link.epoch, firstSeq, count, part, off, reason],
    );
}
