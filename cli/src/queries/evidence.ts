/**
 * Why it exists: the proof of an event needs its frame, the frame before it, and what the sink made of it.
 * Enforces: frames are read by COPY in binary form, never as a query result.
 * Forbids: judging; that is the room evidence.
 */
import { copyOut, decodeBinaryCopy, instantSql, type Pool } from "ransomeye-db";
import type { EvidenceFrame } from "ransomeye-evidence";
import { decodeHeader } from "ransomeye-ingestion/protocol";
import type { EventId } from "./events.ts";

/** A sequence number that became a dead letter or was declared lost. */
export interface Settled {
  readonly state: "dead_letter" | "gap";
  readonly code: string;
  readonly detail: string;
  readonly received_at: number;
}

/** The frame that carries a sequence number. */
export async function frameOf(pool: Pool, id: EventId): Promise<EvidenceFrame | undefined> {
  const place = (
    await pool.query<{ part: number; off: number; received_at: number }>("SELECT part, off, received_at FROM views.frame_of($1, $2, $3)", [
      id.producer,
      id.epoch,
      id.seq,
    ])
  ).rows[0];
  return place === undefined ? undefined : readFrame(pool, id.producer, place);
}

/** Header of the frame that ends just where this one begins its chain link. */
export async function previousHeaderOf(pool: Pool, frame: EvidenceFrame): Promise<Buffer | undefined> {
  const header = decodeHeader(frame.header);
  if (header.kind === "refused" || header.value.prevEpoch === 0) return undefined;
  return (await frameOf(pool, { producer: frame.producer, epoch: header.value.prevEpoch, seq: header.value.prevSeq }))?.header;
}

/** What became of a sequence number that is no row. */
export async function settledOf(pool: Pool, id: EventId): Promise<Settled | undefined> {
  const covers = "producer_id = $1 AND epoch = $2 AND first_seq <= $3 AND $3 < first_seq + count";
  const values = [id.producer, id.epoch, id.seq];
  const dead = await pool.query<Settled>(
    `SELECT 'dead_letter' AS state, code, detail, received_at FROM views.dead_letters WHERE ${covers}`,
    values,
  );
  const gap = await pool.query<Settled>(
    `SELECT 'gap' AS state, 'GAP' AS code, reason AS detail, received_at FROM views.gaps WHERE ${covers}`,
    values,
  );
  return dead.rows[0] ?? gap.rows[0];
}

async function readFrame(
  pool: Pool,
  producer: string,
  place: { readonly part: number; readonly off: number; readonly received_at: number },
): Promise<EvidenceFrame | undefined> {
  const numbers = [place.part, place.off, place.received_at];
  // COPY takes no parameters; these three are integers by type and by this check.
  if (!numbers.every((n) => Number.isSafeInteger(n))) return undefined;
  const at = instantSql(place.received_at);
  const client = await pool.connect();
  let fit = false;
  try {
    const sql = `COPY (SELECT header, signature, verdicts, body FROM views.frame(${place.part}, ${place.off}, ${at})) TO STDOUT (FORMAT binary)`;
    let frame: EvidenceFrame | undefined;
    for await (const [header, signature, verdicts, payload] of decodeBinaryCopy(copyOut(client, sql), { fields: 4 })) {
      if (header && signature && verdicts && payload)
        frame = { producer, receivedUs: place.received_at, header, signature, verdicts, payload };
    }
    fit = true;
    return frame;
  } finally {
    client.release(!fit);
  }
}
