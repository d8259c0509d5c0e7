/**
 * Why: a rate says nothing without the limit of the same machine in the same minute. This is the limit: the rows that the run has just stored,
 * already encoded, copied again by a client that does nothing else.
 * Enforces: same columns, same partitioning, same index, same durability as the real table; two connections, because the engine has two writers.
 * Forbids: an encoder or a parser on the way; what the system spends there is part of what the ratio shows.
 */
import { type Client, type Connection, copyIn, copyOut, instantSql, openClient } from "ransomeye-db";
import { cpuSecondsOfTree } from "../cpu_account.ts";

const CONNECTIONS = 2;
/** What its connections call themselves. */
export const rawCopyName = "bench-raw-copy";
/** As many as the engine's commit groups have. */
const ROWS_PER_TRANSACTION = 20_000;

export interface RawCopyResult {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** CPU seconds of PostgreSQL for a million rows. */
  readonly postgresCpuPerMillion: number;
  readonly clientCpuPerMillion: number;
}

/** What one transaction copies, in the binary COPY format. */
export type EncodedRows = readonly Buffer[];

/** Enough transactions for `rows` rows, all of the same ones. */
export async function encodedSample(administrator: Connection, table: string, rows: number): Promise<EncodedRows[]> {
  return await withClient(administrator, async (client) => {
    const one = await encoded(client, `SELECT * FROM ${table} LIMIT ${ROWS_PER_TRANSACTION}`);
    return Array.from({ length: Math.ceil(rows / ROWS_PER_TRANSACTION) }, () => one);
  });
}

/** All rows received after a moment (microseconds since 1970), in the order of their frames. */
export async function encodedSince(administrator: Connection, table: string, afterUs: number): Promise<EncodedRows[]> {
  return await withClient(administrator, async (client) => {
    const { rows: bounds } = await client.query<{ us: number }>(
      `SELECT (extract(epoch FROM max(received_at)) * 1000000)::bigint AS us
       FROM (SELECT received_at, sum(count) OVER (ORDER BY received_at, part, off) AS events FROM bus.frames WHERE received_at > ${instantSql("$1")}) f
       GROUP BY ceil(events / ${ROWS_PER_TRANSACTION}.0) ORDER BY 1`,
      [afterUs],
    );
    const transactions: EncodedRows[] = [];
    let fromUs = afterUs;
    for (const { us } of bounds) {
      const where = `received_at > ${instantSql(String(fromUs))} AND received_at <= ${instantSql(String(us))}`;
      transactions.push(await encoded(client, `SELECT * FROM ${table} WHERE ${where}`));
      fromUs = us;
    }
    return transactions;
  });
}

/**
 * Copies these rows of `table` into a scratch table beside it.
 * @param administrator a superuser's connection; the scratch schema is dropped afterwards
 */
export async function rawCopy(
  administrator: Connection,
  postgresPid: number,
  table: string,
  transactions: readonly EncodedRows[],
): Promise<RawCopyResult> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => openClient(administrator, rawCopyName)));
  try {
    const [first] = clients;
    if (first === undefined) throw new Error("no connection");
    await first.query(`
      DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
      -- INCLUDING ALL brings the BRIN index along.
      CREATE TABLE bench.raw (LIKE ${table} INCLUDING ALL) PARTITION BY RANGE (received_at);
      CREATE TABLE bench.raw_all PARTITION OF bench.raw FOR VALUES FROM (MINVALUE) TO (MAXVALUE);`);
    await first.query("CHECKPOINT");

    const cpuBefore = cpuSecondsOfTree(postgresPid);
    const ownBefore = process.cpuUsage();
    const startedAt = performance.now();
    const waiting = transactions.values();
    let copied = 0;
    await Promise.all(
      clients.map(async (client) => {
        for (const rows of waiting) {
          const count = await copyIn(client, "COPY bench.raw FROM STDIN (FORMAT binary)", rows);
          copied += count;
        }
      }),
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    const own = process.cpuUsage(ownBefore);
    const postgresCpu = cpuSecondsOfTree(postgresPid) - cpuBefore;
    await first.query("DROP SCHEMA bench CASCADE");
    const millions = copied / 1e6;
    return {
      rows: copied,
      seconds,
      rowsPerSecond: copied / seconds,
      postgresCpuPerMillion: postgresCpu / millions,
      clientCpuPerMillion: (own.user + own.system) / 1e6 / millions,
    };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function encoded(client: Client, query: string): Promise<EncodedRows> {
  const pieces: Buffer[] = [];
  for await (const piece of copyOut(client, `COPY (${query}) TO STDOUT (FORMAT binary)`)) pieces.push(Buffer.from(piece));
  return pieces;
}

async function withClient<T>(administrator: Connection, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openClient(administrator, rawCopyName);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
