/**
 * Why it exists: batches come out of the log whole, for an export and for the sealer.
 * Enforces: binary COPY; a bounded number at once.
 * Forbids: text from outside in a query: COPY takes no parameters, so that only numbers and uuids go into it, each checked here.
 */
import { copyOut, decodeBinaryCopy, type PoolClient } from "ransomeye-db";
import { type EntryRecord, EvidenceError } from "ransomeye-evidence";

/** A batch as the log holds it, without what was made of it. */
export type Batch = Omit<EntryRecord, "type" | "generation" | "leaf" | "rows" | "deadLetters" | "gaps" | "stored">;

/** Batches in full. What stands in `where` is put together with `int` and `uuid`. */
export async function readBatches(client: PoolClient, where: string, order: string, limit: number): Promise<Batch[]> {
  const columns = "part::bigint, off, (extract(epoch FROM received_at) * 1000000)::bigint, header, signature, verdicts, body";
  const sql = `COPY (SELECT ${columns} FROM views.log_entries WHERE ${where} ORDER BY ${order} LIMIT ${int(limit)}) TO STDOUT (FORMAT binary)`;
  const batches: Batch[] = [];
  for await (const row of decodeBinaryCopy(copyOut(client, sql), { fields: 7 })) {
    const [part, off, receivedUs, header, signature, verdicts, payload] = row;
    if (!part || !off || !receivedUs || !header || !signature || !verdicts || !payload)
      throw new EvidenceError("EVIDENCE_ENTRY_MISSING", "an entry lacks a column");
    const number = (bytes: Buffer): number => Number(bytes.readBigInt64BE());
    batches.push({ part: number(part), off: number(off), receivedUs: number(receivedUs), header, signature, verdicts, payload });
  }
  return batches;
}

/** A whole number, for a query. */
export function int(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`);
  return String(value);
}

/** A uuid, for a query. */
export function uuid(text: string): string {
  if (!/^[0-9a-f-]{36}$/.test(text)) throw new RangeError(`${text} is no uuid`);
  return text;
}
