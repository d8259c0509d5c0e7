/**
 * Why it exists: `events` finds rows by what analysts ask for.
 * Enforces: filters are parameters, never text in SQL; the newest first; a bound on rows and on time.
 * Forbids: tables; role ransomeye_reader sees views only.
 */
import { instantSql, type Pool, type Queryable } from "ransomeye-db";

/** What to look for; all that are given must hold. Times in microseconds since 1970, by `event_time`; `receivedBeforeUs` by `received_at`. */
export interface EventFilter {
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly classUid?: number;
  readonly kind?: string;
  readonly producer?: string;
  readonly text?: string;
  readonly severityMin?: number;
  readonly receivedBeforeUs?: number;
  readonly limit: number;
}

/** One row as the view gives it; times in microseconds. */
export interface EventRow {
  readonly id: string;
  readonly kind: string | null;
  readonly received_at: number;
  readonly event_time: number;
  readonly producer_id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly frame_part: number;
  readonly frame_off: number;
  readonly line: number;
  readonly byte_offset: number;
  readonly byte_length: number;
  readonly class_uid: number;
  readonly activity_id: number;
  readonly severity_id: number;
  readonly flags: number;
  readonly host: string | null;
  readonly user_name: string | null;
  readonly process_name: string | null;
  readonly process_pid: number | null;
  readonly file_path: string | null;
  readonly file_sha256: Buffer | null;
  readonly src_ip: string | null;
  readonly src_port: number | null;
  readonly dst_ip: string | null;
  readonly dst_port: number | null;
  readonly domain: string | null;
  readonly message: string | null;
}

/** Times as integers; inet without the mask that its text form carries. */
export const eventColumns: string = `id, kind, received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id,
  severity_id, flags, host, user_name, process_name, process_pid, file_path, file_sha256, host(src_ip) AS src_ip, src_port, host(dst_ip) AS dst_ip, dst_port,
  domain, message`;

const textColumns = ["message", "host", "user_name", "process_name", "file_path", "domain"] as const;

/** The newest rows lie in the newest days, so these windows of received time are searched one after the other; the last has no bound. */
const windowsUs: readonly number[] = [15 * 60_000_000, 24 * 3_600_000_000, Number.POSITIVE_INFINITY];

/** Rows that fit, newest first. `timeoutMs` bounds each search on the server. */
export async function findEvents(
  pool: Pool,
  filter: EventFilter,
  o: { readonly nowUs: number; readonly timeoutMs: number },
): Promise<EventRow[]> {
  const client = await pool.connect();
  try {
    await client.query("SELECT set_config('statement_timeout', $1, false)", [String(o.timeoutMs)]);
    let rows: EventRow[] = [];
    for (const windowUs of windowsUs) {
      const fromUs = windowUs === Number.POSITIVE_INFINITY ? undefined : o.nowUs - windowUs;
      rows = await newestIn(client, filter, { fromUs, beforeUs: filter.receivedBeforeUs });
      if (rows.length === filter.limit) break;
    }
    return rows;
  } finally {
    client.release(true);
  }
}

/** Rows that fit and were received in [fromUs, beforeUs), newest first, at most `filter.limit`. */
export async function newestIn(
  client: Queryable,
  filter: EventFilter,
  { fromUs, beforeUs }: { readonly fromUs: number | undefined; readonly beforeUs: number | undefined },
): Promise<EventRow[]> {
  const where = new WhereClause();
  if (fromUs !== undefined) where.add(`e.received_at >= ${where.time(fromUs)}`);
  if (beforeUs !== undefined) where.add(`e.received_at < ${where.time(beforeUs)}`);
  where.addFilter(filter);
  const sql = `SELECT ${eventColumns} FROM views.events e ${where.sql} ORDER BY e.received_at DESC, e.seq DESC, e.producer_id DESC LIMIT ${where.parameter(filter.limit)}`;
  return (await client.query<EventRow>(sql, where.values)).rows;
}

/** Conditions with their parameters. */
export class WhereClause {
  readonly values: unknown[] = [];
  readonly #conditions: string[] = [];

  parameter(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  time(us: number): string {
    return instantSql(this.parameter(us));
  }

  add(condition: string): void {
    this.#conditions.push(condition);
  }

  get sql(): string {
    return this.#conditions.length === 0 ? "" : `WHERE ${this.#conditions.join(" AND ")}`;
  }

  /** What a filter says of a row `e` of views.events. */
  addFilter(filter: EventFilter): void {
    if (filter.sinceUs !== undefined) this.add(`e.event_time >= ${this.time(filter.sinceUs)}`);
    if (filter.untilUs !== undefined) this.add(`e.event_time < ${this.time(filter.untilUs)}`);
    if (filter.classUid !== undefined) this.add(`e.class_uid = ${this.parameter(filter.classUid)}::int`);
    if (filter.producer !== undefined) this.add(`e.producer_id = ${this.parameter(filter.producer)}::uuid`);
    if (filter.kind !== undefined) this.add(`e.kind = ${this.parameter(filter.kind)}`);
    if (filter.severityMin !== undefined) this.add(`e.severity_id >= ${this.parameter(filter.severityMin)}::int`);
    if (filter.text !== undefined) {
      const p = this.parameter(`%${filter.text.replace(/[\\%_]/g, "\\$&")}%`);
      this.add(`(${textColumns.map((column) => `e.${column} ILIKE ${p}`).join(" OR ")})`);
    }
  }
}

/** One row by its id. */
export async function findEvent(pool: Pool, id: EventId): Promise<EventRow | undefined> {
  return (await pool.query<EventRow>(`SELECT ${eventColumns} FROM views.event($1, $2, $3)`, [id.producer, id.epoch, id.seq])).rows[0];
}

/** The three parts of an event's id. */
export interface EventId {
  readonly producer: string;
  readonly epoch: number;
  readonly seq: number;
}

/** Reads `producer:epoch:seq`; undefined for anything else. */
export function parseEventId(text: string): EventId | undefined {
  const match = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(\d{1,16}):(\d{1,16})$/i.exec(text.trim());
  if (match === null) return undefined;
  const epoch = Number(match[2]);
  const seq = Number(match[3]);
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(seq) ? { producer: (match[1] ?? "").toLowerCase(), epoch, seq } : undefined;
}
