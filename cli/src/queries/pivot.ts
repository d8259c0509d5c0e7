/**
 * Why it exists: every event with this hash, address, domain, host or user, without reading all that is stored.
 * Enforces: the index says which batches to read; whether an event has the value its document says. What is not indexed yet is read as well, so the answer is complete
 *   up to the snapshot that all of it is asked in; an answer that ran out of time says so, and where.
 * Forbids: an answer by keys alone; a question without a bound on time and rows.
 */
import { copyOut, decodeBinaryCopy, type Pool, type PoolClient, readField, sqlState } from "ransomeye-db";
import { type CandidateFrame, IndexReader, type KeyOf, keysUnder } from "ransomeye-engine";
import { formatInstantUs, kindBits, type Observable, type ObservableKind, observablesOf } from "ransomeye-ingestion/protocol";
import type { Clock } from "ransomeye-kernel";
import { eventColumns, type EventFilter, type EventRow, WhereClause } from "./events.ts";

/** A value that events must have. */
export interface PivotValue {
  readonly kind: ObservableKind;
  readonly value: Observable;
}

/** What was looked at for an answer. */
export interface PivotCoverage {
  /** Days of the log that were asked for. */
  readonly days: number;
  /** Batches that the index named, and that were read. */
  readonly indexed: number;
  /** Batches that were not indexed yet, and were read directly. */
  readonly direct: number;
  /** Of both: batches in which no event has the values. */
  readonly withoutMatch: number;
  /** Null where everything was looked at, or `limit` was reached. Else the time ran out: only what was received later than this, in microseconds, was looked at. */
  readonly reachedUs: number | null;
}

export interface PivotAnswer {
  readonly rows: readonly EventRow[];
  readonly coverage: PivotCoverage;
}

export interface PivotOptions {
  readonly clock: Clock;
  readonly budgetMs: number;
  /** Tests make keys that fall together. */
  readonly keysOf?: (salt: Buffer) => KeyOf;
}

/** Batches that are read at once: at first, and at most. 256 KiB each at most. */
const framesAtOnceMin = 2;
const framesAtOnceMax = 16;
const cancelled = "57014";

/** Rows whose events have all of these values and fit the filter, newest first, at most `filter.limit`. As ransomeye_reader. */
export async function findByValues(pool: Pool, filter: EventFilter, values: readonly PivotValue[], o: PivotOptions): Promise<PivotAnswer> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return await new PivotSearch(client, filter, values, o).run();
  } finally {
    // The settings of this question go with its connection.
    client.release(true);
  }
}

class PivotSearch {
  readonly #client: PoolClient;
  readonly #filter: EventFilter;
  readonly #values: readonly PivotValue[];
  readonly #o: PivotOptions;
  readonly #endMs: number;
  readonly #rows: EventRow[] = [];
  #days = 0;
  #indexed = 0;
  #direct = 0;
  #withoutMatch = 0;
  #reachedUs: number;

  constructor(client: PoolClient, filter: EventFilter, values: readonly PivotValue[], o: PivotOptions) {
    this.#client = client;
    this.#filter = filter;
    this.#values = values;
    this.#o = o;
    this.#endMs = o.clock.monotonicMs() + o.budgetMs;
    this.#reachedUs = filter.receivedBeforeUs ?? o.clock.nowUs();
  }

  async run(): Promise<PivotAnswer> {
    try {
      await this.#search();
      return this.#answer(null);
    } catch (error) {
      if (error === outOfTime || sqlState(error) === cancelled) return this.#answer(this.#reachedUs);
      throw error;
    }
  }

  #answer(reachedUs: number | null): PivotAnswer {
    const coverage = { days: this.#days, indexed: this.#indexed, direct: this.#direct, withoutMatch: this.#withoutMatch, reachedUs };
    return { rows: this.#rows.slice(0, this.#filter.limit), coverage };
  }

  async #search(): Promise<void> {
    const index = new IndexReader(this.#client);
    await this.#bound();
    const salt = await index.salt();
    const keyOf = salt === undefined ? undefined : (this.#o.keysOf ?? keysUnder)(salt);
    const keys = keyOf === undefined ? undefined : [...new Set(this.#values.map(({ value }) => keyOf(value)))];
    const { receivedBeforeUs = Number.POSITIVE_INFINITY } = this.#filter;
    let atOnce = framesAtOnceMin;
    const days = (await index.days()).filter((dayUs) => dayUs < receivedBeforeUs);
    const nowUs = this.#o.clock.nowUs();
    if (keys !== undefined) await index.look(keys);
    for (const dayUs of days) {
      await this.#bound();
      const candidates = (await index.candidates(dayUs)).filter(({ receivedUs }) => receivedUs < receivedBeforeUs);
      // Days ahead are there and empty.
      if (dayUs <= nowUs) this.#days += 1;
      for (let from = 0; from < candidates.length; ) {
        const to = endOfChunk(candidates, from, atOnce);
        // A value that many have is found in the first few; one that few have is in all that the index names.
        atOnce = Math.min(atOnce * 2, framesAtOnceMax);
        const chunk = candidates.slice(from, to);
        await this.#readFrames(chunk);
        this.#reachedUs = chunk.at(-1)?.receivedUs ?? this.#reachedUs;
        if (this.#rows.length >= this.#filter.limit) return;
        from = to;
      }
      this.#reachedUs = Math.min(this.#reachedUs, dayUs);
    }
  }

  /** No statement goes on beyond the time that is left. */
  async #bound(): Promise<void> {
    const leftMs = Math.floor(this.#endMs - this.#o.clock.monotonicMs());
    if (leftMs <= 0) throw outOfTime;
    await this.#client.query("SELECT set_config('statement_timeout', $1, true)", [String(leftMs)]);
  }

  async #readFrames(frames: readonly CandidateFrame[]): Promise<void> {
    await this.#bound();
    const lines = await this.#linesOf(frames);
    const matches: RowLine[] = [];
    const matching = new Set<string>();
    if (lines.size > 0) {
      for await (const { part, off, receivedUs, body } of readBodies(
        this.#client,
        frames.filter((frame) => lines.has(placeName(frame))),
      ))
        for (const line of lines.get(placeName({ part, off, receivedUs })) ?? []) {
          if (!this.#hasAll(body, line.byte_offset)) continue;
          matches.push(line);
          matching.add(placeName({ part, off, receivedUs }));
        }
    }
    for (const { isIndexed } of frames) {
      if (isIndexed) this.#indexed += 1;
      else this.#direct += 1;
    }
    this.#withoutMatch += frames.length - matching.size;
    if (matches.length > 0) this.#rows.push(...(await this.#rowsOf(matches)));
  }

  /** Whether the document has every value, each as what it is asked for. */
  #hasAll(body: Buffer, from: number): boolean {
    const found = observablesOf(body, from);
    return this.#values.every(({ kind, value }) =>
      found.some(({ space, kinds, text }) => space === value.space && text === value.text && (kinds & askedBit(kind, value)) !== 0),
    );
  }

  /** Rows of these batches that fit the filter, by batch. */
  async #linesOf(frames: readonly CandidateFrame[]): Promise<Map<string, RowLine[]>> {
    const where = new WhereClause();
    where.add(`e.received_at = ANY (${where.parameter(frames.map(momentOf))}::timestamptz[])`);
    where.addFilter(this.#filter);
    const { rows } = await this.#client.query<RowLine>(
      `SELECT e.frame_part, e.frame_off, e.received_at AS us, e.line, e.byte_offset FROM views.events e ${where.sql}`,
      where.values,
    );
    const lines = new Map<string, RowLine[]>(frames.map((frame) => [placeName(frame), []]));
    for (const row of rows) lines.get(placeName({ part: row.frame_part, off: row.frame_off, receivedUs: row.us }))?.push(row);
    return new Map([...lines].filter(([, found]) => found.length > 0));
  }

  async #rowsOf(lines: readonly RowLine[]): Promise<EventRow[]> {
    const sorted = lines.toSorted((a, b) => b.us - a.us);
    // No more than is asked for; of one moment all, for their order is the sequence's.
    const lastUs = sorted[this.#filter.limit - 1]?.us ?? 0;
    const newest = sorted.filter(({ us }) => us >= lastUs);
    const moments = [...new Set(newest.map(({ us }) => us))].map((receivedUs) => momentOf({ receivedUs }));
    const { rows } = await this.#client.query<EventRow>(
      `SELECT ${eventColumns} FROM views.events e
       WHERE e.received_at = ANY ($1::timestamptz[]) AND (e.frame_part, e.frame_off, e.line) IN (SELECT * FROM unnest($2::int[], $3::bigint[], $4::int[]))
       ORDER BY e.received_at DESC, e.seq DESC, e.producer_id DESC`,
      [moments, newest.map((line) => line.frame_part), newest.map((line) => line.frame_off), newest.map((line) => line.line)],
    );
    return rows;
  }
}

/** A time as a constant, by which the planner leaves other days alone; an expression would have it open all of them. */
function momentOf({ receivedUs }: { readonly receivedUs: number }): string {
  return formatInstantUs(receivedUs);
}

/** Batches of one moment are read together, so that their events come out in their order. */
function endOfChunk(candidates: readonly CandidateFrame[], from: number, atOnce: number): number {
  let to = Math.min(from + atOnce, candidates.length);
  while (to < candidates.length && candidates[to]?.receivedUs === candidates[to - 1]?.receivedUs) to++;
  return to;
}

/** Ends a search; leaves this file as an answer. */
const outOfTime = new Error("the time of the question is over");

/** A name that is an address is compared as one, whatever it was asked for as. */
function askedBit(kind: ObservableKind, { kinds }: Observable): number {
  return (kinds & kindBits[kind]) === 0 ? kinds : kindBits[kind];
}

interface RowLine {
  readonly frame_part: number;
  readonly frame_off: number;
  readonly us: number;
  readonly line: number;
  readonly byte_offset: number;
}

function placeName({ part, off, receivedUs }: { readonly part: number; readonly off: number; readonly receivedUs: number }): string {
  return `${part} ${off} ${receivedUs}`;
}

/** Payloads of batches, by COPY. */
async function* readBodies(
  client: PoolClient,
  frames: readonly CandidateFrame[],
): AsyncGenerator<{ readonly part: number; readonly off: number; readonly receivedUs: number; readonly body: Buffer }, void, undefined> {
  if (frames.length === 0) return;
  // COPY takes no parameters; these are whole numbers by this check.
  const places = frames.map(({ part, off, receivedUs }) => {
    if (![part, off, receivedUs].every(Number.isSafeInteger)) throw new RangeError(`${part} ${off} is no place`);
    return `SELECT f.part, f.off, f.received_at, f.body FROM views.log_entries f WHERE f.part = ${part} AND f.off = ${off} AND f.received_at = timestamptz '${momentOf({ receivedUs })}'`;
  });
  const sql = `COPY (${places.join(" UNION ALL ")}) TO STDOUT (FORMAT binary)`;
  for await (const [part, off, received, body] of decodeBinaryCopy(copyOut(client, sql), { fields: 4 }))
    if (part && off && received && body)
      yield { part: readField.int4(part), off: readField.int8(off), receivedUs: readField.timestamptzUs(received), body };
}
