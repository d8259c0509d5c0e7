/**
 * Why it exists: the frame log as consumers read it from PostgreSQL.
 * Enforces: binary COPY instead of results, dense offsets and checked payloads, positions verified by hash, one cheap query
 * for all tails, day pruning by received time.
 * Forbids: long transactions: every call is one statement, so a slow consumer never holds a snapshot.
 */
import { copyOut, decodeBinaryCopy, type Pool } from "ransomeye-db";
import { invariant, type Telemetry } from "ransomeye-kernel";
import type { BusEntry, FrameReader, PartitionTail, Position, ReadOptions } from "../bus.ts";
import { type BusCode, BusError } from "../errors.ts";
import { busStopped } from "../events.ts";
import { callFailed, connect, giveBack, queryOnce } from "./connections.ts";
import { decodeEntry, entryColumns, timestampLiteral } from "./entry.ts";
import type { BusFacts } from "./facts.ts";
import { busFailure } from "./failures.ts";

export interface PostgresReaderOptions {
  /** A pool of a consumer's role (the engine's). */
  readonly pool: Pool;
  readonly telemetry: Telemetry;
}

export const readerFactsSql = "SELECT generation, partitions FROM views.log";
const tailsSql = "SELECT part, off, received_us, generation FROM views.log_heads ORDER BY part";
const endsSql = "SELECT off, low_off FROM views.log_heads WHERE part = $1";
const placeSql = `
  SELECT p.generation, p.low_off, p.low_received_us, p.low_hash,
         (SELECT f.hash FROM views.log_entries f WHERE f.part = p.part AND f.off = $2 AND f.received_at = $3::timestamptz) AS hash
  FROM views.log_heads p WHERE p.part = $1`;
const seekSql = `
  SELECT f.off, (extract(epoch FROM f.received_at) * 1000000)::bigint AS received_us, f.hash
  FROM views.log_entries f WHERE f.part = $1 AND f.off = bus.seek($1, $2) AND f.received_at < $3::timestamptz
  UNION ALL
  SELECT p.low_off, p.low_received_us, p.low_hash FROM views.log_heads p WHERE p.part = $1 AND p.low_off > 0
  ORDER BY off DESC LIMIT 1`;

export class PostgresReader implements FrameReader {
  readonly generation: string;
  readonly partitions: number;
  readonly #pool: Pool;
  readonly #telemetry: Telemetry;

  constructor(facts: BusFacts, options: PostgresReaderOptions) {
    this.generation = facts.generation;
    this.partitions = facts.partitions;
    this.#pool = options.pool;
    this.#telemetry = options.telemetry;
  }

  async tails(): Promise<PartitionTail[]> {
    type Row = { readonly part: number; readonly off: number; readonly received_us: number; readonly generation: string };
    const rows = await queryOnce<Row>(this.#pool, this.#telemetry, "read", { name: "bus_tails", text: tailsSql, values: [] });
    return rows.map(({ part, off, received_us: receivedUs, generation }) => {
      // Somebody has restored the database under this process: nothing it knows of positions is true any more.
      if (generation !== this.generation) throw this.#stopped("BUS_HISTORY_DIVERGED", "the bus has another generation", part, off);
      return { part, off, receivedUs };
    });
  }

  async read(part: number, after: Position | null, options: ReadOptions): Promise<BusEntry[]> {
    invariant(Number.isSafeInteger(part) && options.framesMax > 0, "a read names a partition and a bound");
    if (after !== null && after.generation !== this.generation)
      throw this.#stopped("BUS_HISTORY_DIVERGED", "the position is of another generation", part, after.off);
    const from = after?.off ?? (await this.#ends(part)).low_off;
    let entries = await this.#copy(part, from, after?.receivedUs ?? null, options);
    if (entries.length === 0) {
      const ends = await this.#ends(part);
      if (from < ends.low_off) throw this.#stopped("BUS_TRIMMED", "entries after the position have been removed", part, from);
      if (ends.off < from) throw this.#stopped("BUS_HISTORY_DIVERGED", "the position lies behind the end of the partition", part, from);
      if (ends.off === from) return [];
      // Appended between the two looks, or gone: the head vouches that the entry was committed, so a second look must see it.
      entries = await this.#copy(part, from, after?.receivedUs ?? null, options);
    }
    if (entries[0]?.position.off !== from + 1 && from < (await this.#ends(part)).low_off)
      throw this.#stopped("BUS_TRIMMED", "entries after the position have been removed", part, from);
    this.#assertDense(part, from, entries);
    return entries;
  }

  async checkPosition(position: Position): Promise<"same" | "diverged" | "trimmed"> {
    type Row = {
      readonly generation: string;
      readonly low_off: number;
      readonly low_received_us: number;
      readonly low_hash: Buffer;
      readonly hash: Buffer | null;
    };
    const values = [position.part, position.off, timestampLiteral(position.receivedUs)];
    const [row] = await queryOnce<Row>(this.#pool, this.#telemetry, "read", { name: "bus_place", text: placeSql, values });
    if (row === undefined || row.generation !== position.generation) return "diverged";
    if (position.off < row.low_off) return "trimmed";
    const atLow = position.off === row.low_off && position.receivedUs === row.low_received_us;
    const hash = atLow ? row.low_hash : row.hash;
    return hash?.equals(position.hash) === true ? "same" : "diverged";
  }

  async seek(part: number, receivedUs: number): Promise<Position | null> {
    type Row = { readonly off: number; readonly received_us: number; readonly hash: Buffer };
    const [row] = await queryOnce<Row>(this.#pool, this.#telemetry, "read", {
      name: "bus_seek",
      text: seekSql,
      values: [part, receivedUs, timestampLiteral(receivedUs)],
    });
    return row === undefined ? null : { generation: this.generation, part, off: row.off, receivedUs: row.received_us, hash: row.hash };
  }

  async close(): Promise<void> {
    // The pool belongs to whoever opened it.
  }

  async #ends(part: number): Promise<{ readonly off: number; readonly low_off: number }> {
    type Row = { readonly off: number; readonly low_off: number };
    const [row] = await queryOnce<Row>(this.#pool, this.#telemetry, "read", { name: "bus_ends", text: endsSql, values: [part] });
    if (row === undefined) throw new BusError("BUS_BAD_ARGUMENT", "no such partition", { fields: { part } });
    return row;
  }

  async #copy(part: number, from: number, fromUs: number | null, options: ReadOptions): Promise<BusEntry[]> {
    const client = await connect(this.#pool, this.#telemetry, "read");
    const entries: BusEntry[] = [];
    let failure: unknown;
    try {
      for await (const row of decodeBinaryCopy(copyOut(client, readSql(part, from, fromUs, options)), { fields: entryColumns.length })) {
        entries.push(decodeEntry(row, this.generation));
      }
      return entries;
    } catch (error) {
      failure = error;
      if (error instanceof BusError) throw this.#stopped(error.code, error.message, part, from + entries.length + 1);
      throw callFailed(this.#telemetry, "read", busFailure(error, "read"), 0);
    } finally {
      giveBack(client, failure);
    }
  }

  #assertDense(part: number, from: number, entries: readonly BusEntry[]): void {
    for (const [index, { position }] of entries.entries()) {
      if (position.off !== from + index + 1) throw this.#stopped("BUS_HOLE", "an offset is missing", part, from + index + 1);
    }
    if (entries.length === 0) throw this.#stopped("BUS_HOLE", "the head is ahead of the last entry", part, from + 1);
  }

  #stopped(code: BusCode, message: string, part: number, off: number): BusError {
    this.#telemetry.emit(busStopped, { part, off, code });
    return new BusError(code, message, { fields: { part, off } });
  }
}

/** COPY takes no parameters; every value in it is a checked number. Sizes are read from the TOAST pointers, no body is fetched for them. */
function readSql(part: number, from: number, fromUs: number | null, options: ReadOptions): string {
  const columns = entryColumns.join(", ");
  const since = fromUs === null ? "" : ` AND received_at >= '${timestampLiteral(fromUs)}'`;
  return `COPY (
    SELECT ${columns} FROM (
      SELECT ${columns}, sum(octet_length(header) + octet_length(body)) OVER (ORDER BY off) AS upto FROM (
        SELECT ${columns} FROM views.log_entries WHERE part = ${integer(part)} AND off > ${integer(from)}${since} ORDER BY off LIMIT ${integer(options.framesMax)}
      ) AS next
    ) AS sized WHERE upto <= ${integer(options.bytesMax)} OR off = ${integer(from) + 1} ORDER BY off
  ) TO STDOUT (FORMAT binary)`;
}

function integer(value: number): number {
  invariant(Number.isSafeInteger(value), "only integers go into a COPY");
  return value;
}
