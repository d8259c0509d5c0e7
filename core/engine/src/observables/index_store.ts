/**
 * Why it exists: every statement of the indexer in one place, each with what it guards.
 * Enforces: a mark moves from where it was read, in the transaction of the summaries that it stands for, so that two indexers, or one that has died, index a batch once;
 *   what is sorted leaves the summaries in the transaction that writes the segment.
 * Forbids: statements on tables that are not the indexer's in the ownership matrix.
 */
import {
  BinaryCopyEncoder,
  copyIn,
  copyOut,
  decodeBinaryCopy,
  inTransaction,
  instantSql,
  type Pool,
  type PoolClient,
  readField,
} from "ransomeye-db";
import { type FrameSummary, makeSegment, segmentFramesMax, segmentPostingsMax } from "./segment.ts";

/** How far a partition is indexed, and how far it could be. Times in microseconds since 1970. */
export interface IndexPlace {
  readonly part: number;
  readonly off: number;
  readonly received_at: number;
  readonly fence: number;
  readonly mark_off: number | null;
  readonly mark_at: number | null;
  readonly mark_fence: number | null;
}

/** A batch that is to be indexed. */
export interface UnindexedFrame {
  readonly off: number;
  readonly receivedUs: number;
  readonly payload: Buffer;
}

/** A mark's way. */
export interface MarkMove {
  readonly from: IndexPlace;
  readonly off: number;
  readonly receivedUs: number;
  /** The engine's token, once all of its history is indexed. */
  readonly fence: number | null;
}

const dayUs = 86_400_000_000;
/** Ends a transaction; leaves this file as an answer. */
const markLost = new Error("a mark was moved by somebody else");

/** As ransomeye_indexer. */
export class IndexStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** The key of the hash, and the rules that the index was made by. */
  async state(): Promise<{ readonly salt: Buffer; readonly rules: number }> {
    const { rows } = await this.#pool.query<{ salt: Buffer; rules: number }>("SELECT salt, rules FROM views.observable_state");
    return rows[0] as { salt: Buffer; rules: number };
  }

  /** Begins anew, by the rules of this version. */
  async rebuild(rules: number): Promise<void> {
    await this.#pool.query("SELECT observable.rebuild($1)", [rules]);
  }

  async places(): Promise<IndexPlace[]> {
    const { rows } = await this.#pool.query<IndexPlace>(
      `SELECT p.part, p.off, p.entry_received_us AS received_at, p.fence, m.off AS mark_off, m.received_at AS mark_at, m.fence AS mark_fence
       FROM views.row_places p LEFT JOIN observable.mark m USING (part) ORDER BY p.part`,
    );
    return rows;
  }

  /** Batches behind a mark, up to the engine's place, in the order of marks; at most `limit`. They come as they are read: a round holds one of them at a time. */
  async *frames(place: IndexPlace, limit: number): AsyncGenerator<UnindexedFrame, void, undefined> {
    const { part, off, received_at: at, mark_off: markOff, mark_at: markAt } = place;
    const [from, to] = [instantSql(markAt ?? 0), instantSql(at)];
    // COPY takes no parameters; these are whole numbers by type, and instantSql has checked the times.
    const [partSql, offSql, markSql, limitSql] = [part, off, markOff ?? 0, limit].map(wholeNumber);
    const behind = isSameHistory(place)
      ? `e.off > ${markSql} AND e.off <= ${offSql}`
      : `(e.received_at, e.off) > (${from}, ${markSql}) AND (e.received_at, e.off) <= (${to}, ${offSql})`;
    const order = isSameHistory(place) ? "e.off" : "e.received_at, e.off";
    const sql = `COPY (SELECT e.off, e.received_at, e.body FROM views.log_entries e
      WHERE e.part = ${partSql} AND e.received_at >= ${from} AND e.received_at <= ${to} AND ${behind} ORDER BY ${order} LIMIT ${limitSql}) TO STDOUT (FORMAT binary)`;
    const client = await this.#pool.connect();
    let fit = false;
    try {
      for await (const [frameOff, received, payload] of decodeBinaryCopy(copyOut(client, sql), { fields: 3 }))
        if (frameOff && received && payload)
          yield { off: readField.int8(frameOff), receivedUs: readField.timestamptzUs(received), payload };
      fit = true;
    } finally {
      client.release(!fit);
    }
  }

  /** Writes summaries and moves the marks over them, all or nothing. False: somebody else has moved one of them. */
  async write(moves: readonly MarkMove[], summaries: readonly FrameSummary[]): Promise<boolean> {
    try {
      await inTransaction(this.#pool, async (client) => {
        // A crash may take the newest of it, and the marks with it.
        await client.query("SET LOCAL synchronous_commit = off");
        for (const move of moves) if (!(await moveMark(client, move))) throw markLost;
        await copySummaries(client, summaries);
      });
      return true;
    } catch (error) {
      if (error === markLost) return false;
      throw error;
    }
  }

  /** Keys that wait to be sorted, by day (its beginning, microseconds). */
  async pending(): Promise<Map<number, number>> {
    const { rows } = await this.#pool.query<{ day: number; postings: number }>(
      `SELECT date_trunc('day', s.received_at, 'UTC') AS day, sum(octet_length(s.keys) / 4)::bigint AS postings FROM observable.summary s GROUP BY 1 ORDER BY 1`,
    );
    return new Map(rows.map(({ day, postings }) => [day, postings]));
  }

  /** Sorts what waits of one day, as much as fits a segment; says how many batches that were. */
  async sort(dayStartUs: number, probe: () => Promise<void>): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await client.query("SET LOCAL synchronous_commit = off");
      const cutUs = await cutOf(client, dayStartUs);
      if (cutUs === null) return 0;
      const range = `s.received_at >= ${instantSql(dayStartUs)} AND s.received_at <= ${instantSql(cutUs)}`;
      const { frames, postings, places, blocks } = makeSegment(await summariesIn(client, range));
      const firstUs = Number(places.readBigInt64BE(12));
      const { rows } = await client.query<{ number: number }>(
        `INSERT INTO observable.segment (received_at, number, frames, postings, places)
         SELECT ${instantSql("$1")}, coalesce(max(s.number), 0) + 1, $2, $3, $4 FROM observable.segment s RETURNING number`,
        [firstUs, frames, postings, places],
      );
      const number = rows[0]?.number ?? 0;
      const encoder = new BinaryCopyEncoder();
      for (const [index, { firstKey, bytes }] of blocks.entries()) {
        encoder.row(5);
        encoder.timestamptzUs(firstUs);
        encoder.int8(number);
        encoder.int8(firstKey);
        encoder.int4(index);
        encoder.bytea(bytes);
      }
      await copyIn(client, "COPY observable.posting (received_at, segment, first_key, number, block) FROM STDIN (FORMAT binary)", [
        encoder.finish(),
      ]);
      await probe();
      const gone = await client.query(`DELETE FROM observable.summary s WHERE ${range}`);
      if (gone.rowCount !== frames) throw new Error(`${gone.rowCount} summaries left for ${frames} that were sorted`);
      return frames;
    });
  }
}

/** Whether offsets alone say what is behind the mark: the engine's place has only moved forward since. */
function isSameHistory({ fence, mark_fence }: IndexPlace): boolean {
  return fence === mark_fence;
}

function wholeNumber(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`);
  return String(value);
}

async function moveMark(client: PoolClient, { from, off, receivedUs, fence }: MarkMove): Promise<boolean> {
  const to = instantSql("$3");
  const moved =
    from.mark_off === null
      ? await client.query(
          `INSERT INTO observable.mark (part, off, received_at, fence) VALUES ($1, $2, ${to}, $4) ON CONFLICT (part) DO NOTHING`,
          [from.part, off, receivedUs, fence],
        )
      : await client.query(
          `UPDATE observable.mark m SET off = $2, received_at = ${to}, fence = $4 WHERE m.part = $1 AND m.off = $5 AND m.received_at = ${instantSql("$6")}`,
          [from.part, off, receivedUs, fence, from.mark_off, from.mark_at],
        );
  return moved.rowCount === 1;
}

async function copySummaries(client: PoolClient, summaries: readonly FrameSummary[]): Promise<void> {
  const some = summaries.filter(({ keys }) => keys.length > 0);
  if (some.length === 0) return;
  const encoder = new BinaryCopyEncoder();
  for (const { part, off, receivedUs, keys } of some) {
    encoder.row(4);
    encoder.timestamptzUs(receivedUs);
    encoder.int8(off);
    encoder.int4(part);
    encoder.bytea(keys);
  }
  await copyIn(client, "COPY observable.summary (received_at, off, part, keys) FROM STDIN (FORMAT binary)", [encoder.finish()]);
}

/** Received time of the last summary of a day that fits a segment; null where none waits. Those of the same microsecond come along. */
async function cutOf(client: PoolClient, dayStartUs: number): Promise<number | null> {
  const { rows } = await client.query<{ cut: number | null }>(
    `SELECT max(w.received_at) AS cut FROM (
       SELECT s.received_at, sum(octet_length(s.keys) / 4) OVER placed AS postings, row_number() OVER placed AS frames FROM observable.summary s
       WHERE s.received_at >= ${instantSql("$1")} AND s.received_at < ${instantSql("$2")} WINDOW placed AS (ORDER BY s.received_at, s.part, s.off)) w
     WHERE w.postings <= $3 AND w.frames <= $4`,
    [dayStartUs, dayStartUs + dayUs, segmentPostingsMax, segmentFramesMax / 2],
  );
  return rows[0]?.cut ?? null;
}

async function summariesIn(client: PoolClient, range: string): Promise<FrameSummary[]> {
  const sql = `COPY (SELECT s.part, s.off, s.received_at, s.keys FROM observable.summary s WHERE ${range}) TO STDOUT (FORMAT binary)`;
  const summaries: FrameSummary[] = [];
  for await (const [part, off, received, keys] of decodeBinaryCopy(copyOut(client, sql), { fields: 4 }))
    if (part && off && received && keys)
      summaries.push({
        part: readField.int4(part),
        off: readField.int8(off),
        receivedUs: readField.timestamptzUs(received),
        // The chunk that it came in is larger than it.
        keys: Buffer.from(keys),
      });
  return summaries;
}
