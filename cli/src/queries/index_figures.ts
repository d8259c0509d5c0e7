/**
 * Why it exists: how far the index of observables is, for the command and for benches.
 * Enforces: one snapshot of marks, summaries and segments.
 * Forbids: changing anything.
 */
import type { Pool } from "ransomeye-db";

/** Figures of the index. Keys are counted once for each batch that has them. */
export interface IndexFigures {
  /** Batches that are not indexed yet; bytes of their payloads. */
  readonly behind: { readonly batches: number; readonly bytes: number };
  readonly waiting: { readonly batches: number; readonly keys: number };
  readonly sorted: { readonly segments: number; readonly batches: number; readonly keys: number };
  /** All tables of the index, with their own indexes. */
  readonly bytes: number;
}

/** As ransomeye_reader. Its cost grows with what waits and what is not indexed. */
export async function indexFigures(pool: Pool): Promise<IndexFigures> {
  const { rows } = await pool.query<{ figures: IndexFigures }>(
    `SELECT json_build_object(
       'behind', (SELECT json_build_object('batches', count(*), 'bytes', coalesce(sum(u.bytes), 0)) FROM views.observable_unindexed u),
       'waiting', (SELECT json_build_object('batches', count(*), 'keys', coalesce(sum(octet_length(s.keys) / 4), 0)) FROM views.observable_summaries s),
       'sorted', (SELECT json_build_object('segments', count(*), 'batches', coalesce(sum(s.frames), 0), 'keys', coalesce(sum(s.postings), 0)) FROM views.observable_segments s),
       'bytes', (SELECT coalesce(sum(d.bytes), 0) FROM ops.day_sizes() d WHERE starts_with(d.table_name, 'observable.'))) AS figures`,
  );
  return rows[0]?.figures as IndexFigures;
}
