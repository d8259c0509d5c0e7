/**
 * Why it exists: what was received in a window of time is read again: to make a day's rows anew, or to run it through another consumer.
 * Enforces: every signed batch of the window that is still there, also behind the low marks, where a legal hold keeps days; partition by partition in the log's order, in
 *   pages of bounded size; no group is made, moved or looked at.
 * Forbids: judging by density: days between held ones are gone; and long transactions: each page is one statement.
 */
import { copyOut, decodeBinaryCopy, type Pool } from "ransomeye-db";
import { invariant, type Telemetry } from "ransomeye-kernel";
import type { BusEntry } from "../bus.ts";
import { BusError } from "../errors.ts";
import { callFailed, connect, giveBack } from "./connections.ts";
import { decodeEntry, entryColumns, timestampLiteral } from "./entry.ts";
import { readFacts } from "./facts.ts";
import { busFailure } from "./failures.ts";
import { readerFactsSql } from "./reader.ts";

export interface WindowOptions {
  /** A pool of a role that reads the log's entries. */
  readonly pool: Pool;
  readonly telemetry: Telemetry;
  /** Received time, microseconds since 1970: from … */
  readonly sinceUs: number;
  /** … and before. */
  readonly untilUs: number;
  /** Only this one's batches. */
  readonly producer?: string;
  /** Bounds of a page; one batch is always given. */
  readonly framesMax?: number;
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
}

const framesMaxDefault = 512;
const bytesMaxDefault = 8 * 1024 * 1024;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Where a page ended. */
interface Place {
  readonly off: number;
  readonly receivedUs: number;
}

/**
 * The batches of a window, in pages. Where the log lies on other servers these are the batches that have become rows: the archive.
 * @throws BusError BUS_BAD_ARGUMENT, BUS_CORRUPT, BUS_UNAVAILABLE
 */
export async function* readWindow(o: WindowOptions): AsyncGenerator<BusEntry[], void, undefined> {
  const { pool, telemetry, producer, signal } = o;
  if (producer !== undefined && !uuid.test(producer))
    throw new BusError("BUS_BAD_ARGUMENT", "a producer's id is a UUID", { fields: { producer } });
  const { generation, partitions } = await readFacts(pool, readerFactsSql, telemetry);
  for (let part = 0; part < partitions; part += 1) {
    for (let after: Place | undefined; ; ) {
      signal?.throwIfAborted();
      const entries = await page(o, generation, part, after);
      const last = entries.at(-1)?.position;
      if (last === undefined) break;
      yield entries;
      after = last;
    }
  }
}

/**
 * Runs every batch of a window through a consumer's handler, one after the other, as it would come from the log. No offset is read or moved: what consumers of the log
 * have done with these batches, and where they stand, is as it was.
 * @returns how many batches there were
 */
export async function replayWindow(o: WindowOptions, handle: (entry: BusEntry) => void | Promise<void>): Promise<number> {
  let frames = 0;
  for await (const entries of readWindow(o)) {
    for (const entry of entries) {
      o.signal?.throwIfAborted();
      await handle(entry);
      frames += 1;
    }
  }
  return frames;
}

async function page(o: WindowOptions, generation: string, part: number, after: Place | undefined): Promise<BusEntry[]> {
  const client = await connect(o.pool, o.telemetry, "read");
  let failure: unknown;
  try {
    const entries: BusEntry[] = [];
    const rows = decodeBinaryCopy(copyOut(client, pageSql(o, part, after)), { fields: entryColumns.length });
    for await (const row of rows) entries.push(decodeEntry(row, generation));
    return entries;
  } catch (error) {
    failure = error;
    if (error instanceof BusError) throw error;
    throw callFailed(o.telemetry, "read", busFailure(error, "read"), 0);
  } finally {
    giveBack(client, failure);
  }
}

/** COPY takes no parameters; every value in it is a checked number or UUID. Offsets may have been given again by a log that was made anew: received time is part of the place. */
function pageSql(o: WindowOptions, part: number, after: Place | undefined): string {
  const { framesMax = framesMaxDefault, bytesMax = bytesMaxDefault } = o;
  const columns = entryColumns.join(", ");
  const conditions = [
    `part = ${integer(part)}`,
    `received_at >= '${timestampLiteral(integer(o.sinceUs))}'`,
    `received_at < '${timestampLiteral(integer(o.untilUs))}'`,
    ...(after === undefined ? [] : [`(off, received_at) > (${integer(after.off)}, '${timestampLiteral(integer(after.receivedUs))}')`]),
    ...(o.producer === undefined ? [] : [`producer_id = '${o.producer}'`]),
  ];
  return `COPY (
    SELECT ${columns} FROM (
      SELECT ${columns}, sum(octet_length(header) + octet_length(body)) OVER place AS upto, row_number() OVER place AS nth FROM (
        SELECT ${columns} FROM views.log_entries WHERE ${conditions.join(" AND ")} ORDER BY off, received_at LIMIT ${integer(framesMax)}
      ) AS next WINDOW place AS (ORDER BY off, received_at)
    ) AS sized WHERE upto <= ${integer(bytesMax)} OR nth = 1 ORDER BY off, received_at
  ) TO STDOUT (FORMAT binary)`;
}

function integer(value: number): number {
  invariant(Number.isSafeInteger(value), "only integers go into a COPY");
  return value;
}
