/**
 * Why it exists: the archive of message streams in our database (0016_message_archive.sql, 0018_message_bounds.sql).
 * Enforces: every step is one function call, durable when it answers.
 * Forbids: closing the pool, which belongs to whoever opened it.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import {
  type ArchivedStream,
  type ArchiveEntry,
  type ArchivePlace,
  type ArchiveWeight,
  type Forgettable,
  type MessageArchive,
  placeKey,
} from "../messages/archive.ts";
import type { ByPriority } from "../messages/delivery_machine.ts";
import type { Message, MessagePriority } from "../messages/message.ts";
import type { StoredMessage } from "../messages/port.ts";
import { BusError } from "../errors.ts";
import { queryOnce } from "./connections.ts";
import type { Stage } from "./failures.ts";

export interface PostgresArchiveOptions {
  /** Asked for when the archive is first used. A pool of role ransomeye_consumer for reading, of the keeper's for all. */
  readonly pool: () => Promise<Pool>;
  readonly telemetry: Telemetry;
}

/** The log that the archive knows the database's own streams by. */
export const logHere = "00000000-0000-0000-0000-000000000000";

/** Rows that go in one step. */
const forgetMax = 10_000;

/** The archive in our database. */
export function openMessageArchive(options: PostgresArchiveOptions): MessageArchive {
  return new PostgresArchive(options);
}

class PostgresArchive implements MessageArchive {
  readonly #o: PostgresArchiveOptions;
  #pool: Promise<Pool> | undefined;

  constructor(options: PostgresArchiveOptions) {
    this.#o = options;
  }

  async put({ log, stream }: ArchivedStream, priority: MessagePriority, entries: readonly ArchiveEntry[]): Promise<number> {
    const text =
      "SELECT bus.message_archive_put($1, $2, $3::smallint, $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[]) AS replaced";
    const columns = [
      entries.map(({ off }) => off),
      entries.map(({ publishedUs }) => publishedUs),
      entries.map(({ messageId }) => storable(messageId)),
      entries.map(({ json }) => storable(json)),
      entries.map(({ endBytes }) => endBytes),
    ];
    const [row] = await this.#ask<{ replaced: number }>("change", "put", text, [log, stream, priority, ...columns]);
    return row?.replaced ?? 0;
  }

  async find({ log, stream }: ArchivedStream, places: readonly ArchivePlace[]): Promise<ReadonlyMap<string, string>> {
    const text = "SELECT * FROM bus.message_archive_find($1, $2, $3::smallint[], $4::bigint[])";
    const values = [log, stream, places.map(({ priority }) => priority), places.map(({ off }) => off)];
    const rows = await this.#ask<ArchivePlace & { readonly body: string }>("read", "find", text, values);
    return new Map(rows.map((row) => [placeKey(row), row.body]));
  }

  async read(
    { log, stream }: ArchivedStream,
    priority: MessagePriority,
    afterOff: number,
    upToOff: number,
    max: number,
  ): Promise<StoredMessage[]> {
    type Row = { readonly off: number; readonly published_us: number; readonly body: string };
    const text = "SELECT * FROM bus.message_archive_read($1, $2, $3::smallint, $4, $5, $6)";
    const rows = await this.#ask<Row>("read", "read", text, [log, stream, priority, afterOff, upToOff, max]);
    return rows.map(({ off, published_us: publishedUs, body }) => ({ off, publishedUs, message: JSON.parse(body) as Message }));
  }

  async seek({ log, stream }: ArchivedStream, offs: ByPriority<number>, publishedUs: number): Promise<ByPriority<number | null>> {
    const text = "SELECT bus.message_archive_seek($1, $2, $3::bigint[], $4) AS found";
    return fourOf(await this.#ask<FourRow>("read", "seek", text, [log, stream, offs, publishedUs]));
  }

  async bytes({ log, stream }: ArchivedStream, offs: ByPriority<number>): Promise<ByPriority<number | null>> {
    const text = "SELECT bus.message_archive_bytes($1, $2, $3::bigint[]) AS found";
    return fourOf(await this.#ask<FourRow>("read", "bytes", text, [log, stream, offs]));
  }

  async weigh(
    { log, stream }: ArchivedStream,
    priority: MessagePriority,
    afterOff: number,
    upToOff: number,
    bytes: number,
  ): Promise<ArchiveWeight | null> {
    const text = "SELECT off, end_bytes FROM bus.message_archive_weigh($1, $2, $3::smallint, $4, $5, $6)";
    type Row = { readonly off: number; readonly end_bytes: number };
    const [row] = await this.#ask<Row>("read", "weigh", text, [log, stream, priority, afterOff, upToOff, bytes]);
    return row === undefined ? null : { off: row.off, endBytes: row.end_bytes };
  }

  async forget({ log, stream }: ArchivedStream, { lows, beforeUs, keptUs }: Forgettable): Promise<number> {
    const text = "SELECT bus.message_archive_forget($1, $2, $3::bigint[], $4, $5, $6) AS removed";
    let removed = 0;
    for (;;) {
      const [row] = await this.#ask<{ removed: number }>("change", "forget", text, [log, stream, lows, beforeUs, keptUs, forgetMax]);
      const step = row?.removed ?? 0;
      removed += step;
      if (step < forgetMax) return removed;
    }
  }

  async #ask<Row extends object>(stage: Stage, name: string, text: string, values: unknown[]): Promise<Row[]> {
    this.#pool ??= this.#o.pool();
    const pool = await this.#pool.catch((cause: unknown) => {
      // Asked for again by whoever comes next.
      this.#pool = undefined;
      throw new BusError("BUS_UNAVAILABLE", "the archive of message streams cannot be reached", { cause });
    });
    return queryOnce<Row>(pool, this.#o.telemetry, stage, { name: `bus_message_archive_${name}`, text, values });
  }
}

interface FourRow {
  readonly found: readonly (number | string | null)[];
}

function fourOf([row]: readonly FourRow[]): ByPriority<number | null> {
  const found = row?.found ?? [null, null, null, null];
  return found.map((off) => (off === null ? null : Number(off))) as unknown as ByPriority<number | null>;
}

/** PostgreSQL's text knows no NUL; ours never hold one, but somebody's own client may write anything. */
function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd");
}
