/**
 * Why it exists: what the sealer reads and writes in the database, each in one place.
 * Enforces: a statement, its ranges and its leaves in one transaction; a number is taken once, whoever else signs; statements are durable before anybody is told.
 * Forbids: judging; keys.
 */
import { instantSql, inTransaction, type Pool, type PoolClient } from "ransomeye-db";
import type { ExpiredChain, SealedRange } from "ransomeye-evidence";
import { type Batch, int, readBatches, uuid } from "../evidence/batches.ts";
import { LeafProofs } from "../evidence/leaf_proofs.ts";
import type { EventId } from "../queries/events.ts";

/** The end of the chain of statements. */
export interface ChainEnd {
  readonly number: number;
  /** 64 hex digits. */
  readonly hash: string;
  readonly madeUs: number;
}

/** The same, with its text. */
export interface StoredEnd extends ChainEnd {
  readonly note: string;
}

/** What of a partition may be sealed: entries after `afterOff`, up to `upToOff`. */
export interface Sealable extends SealedRange {
  readonly generation: string;
  /** Entries after it were received at this time or later, microseconds. */
  readonly fromUs: number;
}

/** An entry, as far as its leaf needs it. */
export interface SealableEntry {
  readonly off: number;
  readonly receivedUs: number;
  readonly hash: Buffer;
  readonly verdicts: Buffer;
}

/** A statement as it is stored. */
export interface StoredStatement {
  readonly number: number;
  readonly kind: "key" | "checkpoint" | "expiry";
  /** YYYY-MM-DD; null for a key. */
  readonly day: string | null;
  readonly madeUs: number;
  readonly hash: string;
  readonly note: string;
}

/** What stands behind a checkpoint. */
export interface SealedEntries {
  readonly generation: string;
  readonly ranges: readonly (SealedRange & { readonly receivedUs: number })[];
  /** Leaf hashes, chunk after chunk. */
  readonly chunks: readonly Buffer[];
}

/** A batch, and what shows that a checkpoint covers it. */
export interface SealedBatch {
  readonly batch: Batch;
  readonly proof: Awaited<ReturnType<LeafProofs["entry"]>>;
}

export interface ExpiryWish {
  readonly day: string;
  readonly policy: string;
  readonly actor: string;
}

/** Leaves in a row of `evidence.leaves`. */
export const leavesPerChunk = 1024;
const chainsPerInsert = 2000;

/** As ransomeye_sealer. */
export class SealStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async end(): Promise<StoredEnd | undefined> {
    const { rows } = await this.#pool.query<StoredEnd>(
      `SELECT number, encode(hash, 'hex') AS hash, made_us AS "madeUs", note FROM evidence.statement ORDER BY number DESC LIMIT 1`,
    );
    return rows[0];
  }

  /** The hash of a statement; undefined if there is none of that number. */
  async hashOf(number: number): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ hash: string }>(
      "SELECT encode(hash, 'hex') AS hash FROM evidence.statement WHERE number = $1",
      [number],
    );
    return rows[0]?.hash;
  }

  /** The note that named the key of today. */
  async keyNote(): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ note: string }>(
      "SELECT note FROM evidence.statement WHERE kind = 'key' ORDER BY number DESC LIMIT 1",
    );
    return rows[0]?.note;
  }

  /** Notes of the statements behind a number, in order. */
  async notesBehind(number: number, limit: number): Promise<string[]> {
    const { rows } = await this.#pool.query<{ note: string }>(
      "SELECT note FROM evidence.statement WHERE number > $1 ORDER BY number LIMIT $2",
      [number, limit],
    );
    return rows.map(({ note }) => note);
  }

  /** The batch that may carry an event, with the proof of its place under a checkpoint where there is one; undefined where the log has none. */
  async batchOf({ producer, epoch, seq }: EventId): Promise<SealedBatch | undefined> {
    return inTransaction(this.#pool, async (client) => {
      const where = `producer_id = '${uuid(producer)}' AND epoch = ${int(epoch)} AND first_seq <= ${int(seq)}`;
      const [batch] = await readBatches(client, where, "first_seq DESC", 1);
      return batch && { batch, proof: await new LeafProofs(client).entry(batch.part, batch.off) };
    });
  }

  /** Partitions with entries that rows were made of and no checkpoint covers. */
  async sealable(): Promise<Sealable[]> {
    const { rows } = await this.#pool.query<Sealable>(
      `SELECT s.part, s.generation, s.off AS "upToOff", coalesce(r.up_to_off, f.off - 1) AS "afterOff", coalesce(r.received_us, 0)::bigint AS "fromUs"
       FROM views.sealable s
       LEFT JOIN LATERAL (
         SELECT r.up_to_off, (extract(epoch FROM r.received_at) * 1000000)::bigint AS received_us FROM evidence.sealed_range r
         WHERE r.part = s.part ORDER BY r.up_to_off DESC LIMIT 1) r ON true
       LEFT JOIN LATERAL (
         SELECT min(e.off) AS off FROM views.log_entries e WHERE r.up_to_off IS NULL AND e.part = s.part AND s.off > 0) f ON true
       WHERE s.off > coalesce(r.up_to_off, f.off - 1) ORDER BY s.part`,
    );
    return rows;
  }

  /** Entries of one partition in the order of offsets, at most `limit`, received before `beforeUs`. */
  async entries({ part, afterOff, upToOff, fromUs }: Sealable, beforeUs: number, limit: number): Promise<SealableEntry[]> {
    const { rows } = await this.#pool.query<SealableEntry>(
      `SELECT e.off, (extract(epoch FROM e.received_at) * 1000000)::bigint AS "receivedUs", e.hash, e.verdicts FROM views.log_entries e
       WHERE e.part = $1 AND e.off > $2 AND e.off <= $3 AND e.received_at >= ${instantSql("$4")} AND e.received_at < ${instantSql("$5")} ORDER BY e.off LIMIT $6`,
      [part, afterOff, upToOff, fromUs, beforeUs, limit],
    );
    return rows;
  }

  async write(statement: StoredStatement, sealed?: SealedEntries): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await insertStatement(client, statement);
      if (sealed === undefined) return;
      const { ranges, chunks, generation } = sealed;
      await client.query(
        `INSERT INTO evidence.sealed_range (part, after_off, up_to_off, received_at, statement, generation)
         SELECT r.part, r.after_off, r.up_to_off, ${instantSql("r.received_us")}, $5, $6 FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])
           AS r (part, after_off, up_to_off, received_us)`,
        [
          ranges.map(({ part }) => part),
          ranges.map(({ afterOff }) => afterOff),
          ranges.map(({ upToOff }) => upToOff),
          ranges.map(({ receivedUs }) => receivedUs),
          statement.number,
          generation,
        ],
      );
      for (const [chunk, hashes] of chunks.entries())
        await client.query(
          "INSERT INTO evidence.leaves (received_at, statement, chunk, hashes) VALUES ($1::date::timestamp AT TIME ZONE 'UTC', $2, $3, $4)",
          [statement.day, statement.number, chunk, hashes],
        );
    });
  }

  /** Days that retention wants gone, the oldest first. */
  async wishes(): Promise<ExpiryWish[]> {
    return (
      await this.#pool.query<ExpiryWish>("SELECT to_char(day, 'YYYY-MM-DD') AS day, policy, actor FROM views.expiry_wishes ORDER BY day")
    ).rows;
  }

  /** Whether a checkpoint covers each entry that was received on a day. */
  async allSealed(day: string): Promise<boolean> {
    const { rows } = await this.#pool.query<{ open: boolean }>(
      `SELECT EXISTS (
         SELECT FROM views.log_entries e WHERE e.received_at >= $1::date::timestamp AT TIME ZONE 'UTC' AND e.received_at < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'
           AND e.off > coalesce((SELECT max(r.up_to_off) FROM evidence.sealed_range r WHERE r.part = e.part), 0)) AS open`,
      [day],
    );
    return rows[0]?.open === false;
  }

  /** Notes of a day's checkpoints. */
  async checkpointsOf(day: string): Promise<string[]> {
    const { rows } = await this.#pool.query<{ note: string }>(
      "SELECT note FROM evidence.statement WHERE kind = 'checkpoint' AND day = $1::date ORDER BY number",
      [day],
    );
    return rows.map(({ note }) => note);
  }

  /** What a day holds of each chain, by producer and epoch. */
  async chainsOf(day: string): Promise<ExpiredChain[]> {
    const { rows } = await this.#pool.query<ExpiredChain>(
      `SELECT f.producer_id AS producer, f.epoch, f.first_seq AS "firstSeq", l.first_seq + l.count - 1 AS "lastSeq", f.hash AS "firstHash", l.hash AS "lastHash"
       FROM (SELECT DISTINCT ON (e.producer_id, e.epoch) e.producer_id, e.epoch, e.first_seq, e.hash FROM views.log_entries e
             WHERE e.received_at >= $1::date::timestamp AT TIME ZONE 'UTC' AND e.received_at < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'
             ORDER BY e.producer_id, e.epoch, e.first_seq) f
       JOIN (SELECT DISTINCT ON (e.producer_id, e.epoch) e.producer_id, e.epoch, e.first_seq, e.count, e.hash FROM views.log_entries e
             WHERE e.received_at >= $1::date::timestamp AT TIME ZONE 'UTC' AND e.received_at < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'
             ORDER BY e.producer_id, e.epoch, e.first_seq DESC) l USING (producer_id, epoch)
       ORDER BY 1, 2`,
      [day],
    );
    return rows;
  }

  /** False: a hold keeps the day now, or it was signed away before; nothing is written. */
  async writeExpiry(statement: StoredStatement, chains: readonly ExpiredChain[]): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      // A hold is placed under this lock: it is seen here, or it waits until the day is signed away.
      await client.query("SELECT pg_advisory_xact_lock_shared(hashtextextended('ransomeye retention', 0))");
      const wished = await client.query("SELECT FROM views.expiry_wishes WHERE day = $1::date", [statement.day]);
      if (wished.rowCount !== 1) return false;
      await insertStatement(client, statement);
      for (let from = 0; from < chains.length; from += chainsPerInsert) {
        const some = chains.slice(from, from + chainsPerInsert);
        await client.query(
          `INSERT INTO evidence.expired_chain (statement, index, producer_id, epoch, first_seq, last_seq, first_hash, last_hash)
           SELECT $1, $2 + c.n - 1, c.producer, c.epoch, c.first_seq, c.last_seq, c.first_hash, c.last_hash
           FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bytea[])
             WITH ORDINALITY AS c (producer, epoch, first_seq, last_seq, first_hash, last_hash, n)`,
          [
            statement.number,
            from,
            some.map(({ producer }) => producer),
            some.map(({ epoch }) => epoch),
            some.map(({ firstSeq }) => firstSeq),
            some.map(({ lastSeq }) => lastSeq),
            some.map(({ firstHash }) => firstHash),
            some.map(({ lastHash }) => lastHash),
          ],
        );
      }
      return true;
    });
  }
}

async function insertStatement(client: PoolClient, { number, kind, day, madeUs, hash, note }: StoredStatement): Promise<void> {
  await client.query("SET LOCAL synchronous_commit = on");
  await client.query(
    "INSERT INTO evidence.statement (number, kind, day, made_us, hash, note) VALUES ($1, $2, $3::date, $4, decode($5, 'hex'), $6)",
    [number, kind, day, madeUs, hash, note],
  );
}
