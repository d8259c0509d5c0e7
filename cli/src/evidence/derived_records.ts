/**
 * Why it exists: rows, dead letters and gaps of some batches, in the verifier's words.
 * Enforces: one question per table for many batches, within their time of receipt, so that days are pruned and their time index is used.
 * Forbids: anything but reading.
 */
import { instantSql, type PoolClient } from "ransomeye-db";
import type { DeadLetterFacts, GapFacts, SequencedRow } from "ransomeye-evidence";

/** What was made of one batch. */
export interface DerivedRecords {
  readonly rows: SequencedRow[];
  readonly deadLetters: DeadLetterFacts[];
  readonly gaps: GapFacts[];
}

/** A batch's place. */
interface Place {
  readonly part: number;
  readonly off: number;
  readonly receivedUs: number;
}

const rowsSql = `SELECT frame_part, frame_off, seq, line, byte_offset AS "byteOffset", byte_length AS "byteLength", schema_version AS "schemaVersion",
  mapping_version AS "mappingVersion", normaliser_version AS "normaliserVersion", event_time AS "eventTimeUs", class_uid AS "classUid",
  activity_id AS "activityId", severity_id AS "severityId", flags, host, user_name AS "userName", process_name AS "processName", process_pid AS "processPid",
  file_path AS "filePath", file_sha256 AS "fileSha256", host(src_ip) AS "srcIp", src_port AS "srcPort", host(dst_ip) AS "dstIp", dst_port AS "dstPort",
  domain, message`;
const within = `received_at >= ${instantSql("$1")}
  AND received_at <= ${instantSql("$2")}
  AND (frame_part, frame_off) IN (SELECT * FROM unnest($3::int[], $4::bigint[]))`;

/** By `part:off`. `only`: of rows, this sequence number alone. */
export async function derivedFrom(client: PoolClient, batches: readonly Place[], only?: number): Promise<Map<string, DerivedRecords>> {
  const found = new Map<string, DerivedRecords>();
  if (batches.length === 0) return found;
  for (const { part, off } of batches) found.set(`${part}:${off}`, { rows: [], deadLetters: [], gaps: [] });
  const times = batches.map(({ receivedUs }) => receivedUs);
  const values = [Math.min(...times), Math.max(...times), batches.map(({ part }) => part), batches.map(({ off }) => off)];
  type Placed<T> = T & { readonly frame_part: number; readonly frame_off: number };
  const at = (row: { readonly frame_part: number; readonly frame_off: number }): DerivedRecords =>
    found.get(`${row.frame_part}:${row.frame_off}`) as DerivedRecords;
  const rows = await client.query<Placed<SequencedRow>>(
    `${rowsSql} FROM views.events WHERE ${within}${only === undefined ? "" : " AND seq = $5"} ORDER BY frame_part, frame_off, seq`,
    only === undefined ? values : [...values, only],
  );
  for (const row of rows.rows) at(row).rows.push(row);
  const letters = await client.query<Placed<DeadLetterFacts>>(
    `SELECT frame_part, frame_off, first_seq AS "firstSeq", count, code FROM views.dead_letters WHERE ${within} ORDER BY first_seq`,
    values,
  );
  for (const row of letters.rows) at(row).deadLetters.push({ firstSeq: row.firstSeq, count: row.count, code: row.code });
  const gaps = await client.query<Placed<GapFacts>>(
    `SELECT frame_part, frame_off, first_seq AS "firstSeq", count, reason FROM views.gaps WHERE ${within} ORDER BY first_seq`,
    values,
  );
  for (const row of gaps.rows) at(row).gaps.push({ firstSeq: row.firstSeq, count: row.count, reason: row.reason });
  return found;
}
