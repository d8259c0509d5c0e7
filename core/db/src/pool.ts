/**
 * Why it exists: every process reaches PostgreSQL through a pool that reads values the same way.
 * Enforces: int8 becomes a safe integer or an error, never a string or a rounded number; times become integer
 * microseconds since 1970; dates stay text; sessions run in UTC; idle connections that die are reported, not thrown.
 * Forbids: pg's global type parsers (another library could change them), and pools without a bound.
 */
import pg from "pg";
import type { Telemetry } from "ransomeye-kernel";
import type { Connection } from "./connection.ts";
import { DbError } from "./errors.ts";
import { poolConnectionLost } from "./events.ts";

/** A pool of connections; `pg`'s own, opened by {@link openPool} alone. */
export type Pool = pg.Pool;
/** One connection taken from a {@link Pool}; give it back with `release()`, or `release(true)` to close it. */
export type PoolClient = pg.PoolClient;
/** A connection of its own, opened by {@link openClient}. */
export type Client = pg.Client;
/** Anything that runs a query. */
export type Queryable = Pick<pg.ClientBase, "query">;

/** Type OIDs of PostgreSQL's catalogue; they never change. */
const oid = { int8: 20, int8Array: 1016, date: 1082, dateArray: 1182, timestamp: 1114, timestamptz: 1184, timestamptzArray: 1185 } as const;

/** @throws DbError DB_VALUE_UNSAFE beyond 2^53 */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new DbError("DB_VALUE_UNSAFE", `The integer ${text} does not fit a JavaScript number.`);
  return value;
}

const timestampPattern = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00(?::00)?)?$/;

/**
 * PostgreSQL's ISO text of a timestamp in a UTC session, as integer microseconds since 1970.
 * @throws DbError DB_VALUE_UNSAFE for infinity, years before 1 or a session that is not in UTC
 */
export function parseTimestampUs(text: string): number {
  const match = timestampPattern.exec(text);
  if (match === null) throw new DbError("DB_VALUE_UNSAFE", `The timestamp "${text}" cannot be read as UTC microseconds.`);
  const [, year, month, day, hour, minute, second, fraction = ""] = match;
  const seconds = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) / 1000;
  return seconds * 1_000_000 + Number(fraction.padEnd(6, "0"));
}

/** A one-dimensional array of unquoted items, as PostgreSQL writes arrays of numbers and dates. */
function parseFlatArray<T>(text: string, item: (text: string) => T): (T | null)[] {
  const inner = text.slice(1, -1);
  if (inner === "") return [];
  return inner.split(",").map((part) => {
    const bare = part.startsWith('"') ? part.slice(1, -1) : part;
    return bare === "NULL" ? null : item(bare);
  });
}

const parsers = new Map<number, (text: string) => unknown>([
  [oid.int8, parseInt8],
  [oid.int8Array, (text) => parseFlatArray(text, parseInt8)],
  [oid.date, (text) => text],
  [oid.dateArray, (text) => parseFlatArray(text, (item) => item)],
  [oid.timestamp, parseTimestampUs],
  [oid.timestamptz, parseTimestampUs],
  [oid.timestamptzArray, (text) => parseFlatArray(text, parseTimestampUs)],
]);

/** Our readers first, pg's defaults for every other type. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format?: "text" | "binary") =>
    (format !== "binary" ? parsers.get(id) : undefined) ?? pg.types.getTypeParser(id, format)) as typeof pg.types.getTypeParser,
};

function clientConfig(connection: Connection, applicationName: string): pg.ClientConfig {
  return {
    host: connection.host,
    port: connection.port,
    database: connection.database,
    user: connection.user,
    password: connection.password,
    ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
    application_name: applicationName,
    // DateStyle and TimeZone are given at start, so that an administrator's ALTER ROLE cannot change how times are read.
    options: "-c TimeZone=UTC -c DateStyle=ISO",
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    types,
  };
}

/** How a pool is opened. */
export interface PoolOptions {
  readonly connection: Connection;
  /** Connections at most; the host's budget is divided by the caller. */
  readonly max: number;
  /** Shown in pg_stat_activity, such as `ransomeye engine`. */
  readonly applicationName: string;
  readonly telemetry: Telemetry;
}

/** Opens a bounded pool. It connects at the first query; idle connections keep no process alive. */
export function openPool(options: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...clientConfig(options.connection, options.applicationName),
    max: options.max,
    allowExitOnIdle: true,
  });
  // The pool listens only while a connection is idle. One that dies in somebody's hands fails that one's query as well; without a listener its
  // own event would end the process.
  pool.on("connect", (client) => client.on("error", () => {}));
  pool.on("error", (error) => options.telemetry.emit(poolConnectionLost, { application: options.applicationName, reason: error.message }));
  return pool;
}

/**
 * Opens one connection outside any pool, for long or special work (migrations, COPY, doctor). Close it with `end()`.
 * @throws pg's error of the failed connection
 */
export async function openClient(connection: Connection, applicationName: string): Promise<Client> {
  const client = new pg.Client(clientConfig(connection, applicationName));
  // Without a listener, a server that goes away while the connection is idle would end this process;
  // whoever uses the connection next gets the error from its own query.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/**
 * Runs `work` between BEGIN and COMMIT on one connection of the pool. On any error it rolls back; a connection whose
 * rollback fails too is closed, never given back in an unknown state.
 */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
