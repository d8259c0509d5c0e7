/**
 * Why it exists: a question asks the index which batches may hold its values, and reads those.
 * Enforces: every batch that holds the values is among the answers: from summaries, from segments, or because it is not indexed yet. Others may be, too.
 * Forbids: judging by keys; more in memory than ordinals of all days and the places of one.
 */
import type { Queryable } from "ransomeye-db";
import { formatInstantUs, OBSERVABLE_RULES } from "ransomeye-ingestion/protocol";
import { type Block, type FramePlace, ordinalsIn, placeAt, placeBytes } from "./segment.ts";

/** A batch that is to be read. */
export interface CandidateFrame extends FramePlace {
  readonly isIndexed: boolean;
}

const dayUs = 86_400_000_000;
/** A segment's places are fetched whole where at least this share of them is wanted. */
const wholeShare = 50;

/** A segment that has the keys of a question. */
interface FoundSegment {
  readonly at: number;
  readonly number: number;
  readonly frames: number;
  readonly ordinals: readonly number[];
}

/** What was found of one day. */
interface FoundDay {
  readonly frames: CandidateFrame[];
  readonly segments: FoundSegment[];
}

/** Asks the index one question, on one connection in one snapshot: REPEATABLE READ. As ransomeye_reader. */
export class IndexReader {
  readonly #client: Queryable;
  /** By the beginning of the day; undefined: the index was not asked, and every batch is a candidate. */
  #found: Map<number, FoundDay> | undefined;

  constructor(client: Queryable) {
    this.#client = client;
  }

  /** The key of the hash; undefined where the index was made by other rules than these and is of no use. */
  async salt(): Promise<Buffer | undefined> {
    const { rows } = await this.#client.query<{ salt: Buffer; rules: number }>("SELECT salt, rules FROM views.observable_state");
    return rows[0]?.rules === OBSERVABLE_RULES ? rows[0].salt : undefined;
  }

  /** Beginnings of the days of the log, microseconds, the newest first. */
  async days(): Promise<number[]> {
    const { rows } = await this.#client.query<{ day: string }>(
      "SELECT DISTINCT day FROM ops.day_sizes() WHERE table_name = 'bus.frames' AND attached ORDER BY day DESC",
    );
    return rows.map(({ day }) => Date.parse(`${day}T00:00:00Z`) * 1000);
  }

  /** Looks for batches of all days that may hold all of these keys: three questions, whatever the number of days. */
  async look(keys: readonly number[]): Promise<void> {
    const found = new Map<number, FoundDay>();
    this.#found = found;
    const dayOf = (us: number): FoundDay => {
      const day = Math.floor(us / dayUs) * dayUs;
      const known = found.get(day) ?? { frames: [], segments: [] };
      found.set(day, known);
      return known;
    };
    for (const place of await this.#places("views.observable_unindexed p"))
      dayOf(place.receivedUs).frames.push({ ...place, isIndexed: false });
    const holds = keys.map((_, n) => `position($${n + 1}::bytea IN p.keys) > 0`).join(" AND ");
    for (const place of await this.#places(`views.observable_summaries p WHERE ${holds}`, keys.map(keyBytes)))
      dayOf(place.receivedUs).frames.push({ ...place, isIndexed: true });
    for (const segment of await this.#segments(keys)) dayOf(segment.at).segments.push(segment);
  }

  /** Batches of a day that may hold the keys, the newest first; without a look before, every batch of the day. */
  async candidates(dayStartUs: number): Promise<CandidateFrame[]> {
    const frames: CandidateFrame[] = [];
    if (this.#found === undefined) {
      const range = `p.received_at >= timestamptz '${formatInstantUs(dayStartUs)}' AND p.received_at < timestamptz '${formatInstantUs(dayStartUs + dayUs)}'`;
      for (const place of await this.#places(`views.log_entries p WHERE ${range}`)) frames.push({ ...place, isIndexed: false });
    } else {
      const { frames: known = [], segments = [] } = this.#found.get(dayStartUs) ?? {};
      for (const frame of known) frames.push(frame);
      for (const segment of segments) for (const place of await this.#placesOf(segment)) frames.push({ ...place, isIndexed: true });
    }
    return frames.sort((a, b) => b.receivedUs - a.receivedUs || b.part - a.part || b.off - a.off);
  }

  async #places(from: string, values: readonly Buffer[] = []): Promise<FramePlace[]> {
    const { rows } = await this.#client.query<{ part: number; off: number; at: number }>(
      `SELECT p.part, p.off, p.received_at AS at FROM ${from}`,
      [...values],
    );
    return rows.map(({ part, off, at }) => ({ part, off, receivedUs: at }));
  }

  async #segments(keys: readonly number[]): Promise<FoundSegment[]> {
    type Row = { at: number; segment: number; frames: number; key: number; first_key: number; block: Buffer };
    // Blocks that begin with the key, and the last one that begins before it: its end may hold the key.
    const { rows } = await this.#client.query<Row>(
      `SELECT s.received_at AS at, s.number AS segment, s.frames, k.key, b.first_key, b.block
       FROM views.observable_segments s CROSS JOIN unnest($1::bigint[]) AS k (key) CROSS JOIN LATERAL (
         SELECT p.first_key, p.block FROM views.observable_postings p
         WHERE p.received_at = s.received_at AND p.segment = s.number AND p.first_key = k.key
         UNION ALL
         (SELECT p.first_key, p.block FROM views.observable_postings p
          WHERE p.received_at = s.received_at AND p.segment = s.number AND p.first_key < k.key ORDER BY p.first_key DESC, p.number DESC LIMIT 1)) b`,
      [keys],
    );
    const segments = new Map<string, { readonly row: Row; readonly of: Map<number, Set<number>> }>();
    for (const row of rows) {
      const name = `${row.at} ${row.segment}`;
      const { of } = segments.get(name) ?? { of: new Map<number, Set<number>>() };
      segments.set(name, { row, of });
      const ordinals = of.get(row.key) ?? new Set<number>();
      of.set(row.key, ordinals);
      const block: Block = { firstKey: row.first_key, bytes: row.block };
      for (const ordinal of ordinalsIn(block, row.key)) ordinals.add(ordinal);
    }
    return [...segments.values()].flatMap(({ row: { at, segment, frames }, of }) => {
      const [first = new Set<number>(), ...others] = keys.map((key) => of.get(key) ?? new Set<number>());
      const ordinals = [...first].filter((ordinal) => others.every((other) => other.has(ordinal)));
      return ordinals.length === 0 ? [] : [{ at, number: segment, frames, ordinals }];
    });
  }

  async #placesOf({ at, number, frames, ordinals }: FoundSegment): Promise<FramePlace[]> {
    const segment = `views.observable_segments s WHERE s.received_at = timestamptz '${formatInstantUs(at)}' AND s.number = $1`;
    if (ordinals.length * wholeShare >= frames) {
      const { rows } = await this.#client.query<{ places: Buffer }>(`SELECT s.places FROM ${segment}`, [number]);
      const places = rows[0]?.places ?? Buffer.alloc(0);
      return ordinals.map((ordinal) => placeAt(places, ordinal));
    }
    const { rows } = await this.#client.query<{ place: Buffer }>(
      `SELECT substring(s.places FROM o.ordinal * ${placeBytes} + 1 FOR ${placeBytes}) AS place FROM unnest($2::int[]) AS o (ordinal), ${segment}`,
      [number, ordinals],
    );
    return rows.map(({ place }) => placeAt(place, 0));
  }
}

function keyBytes(key: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(key);
  return bytes;
}
