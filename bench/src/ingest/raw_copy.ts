/**
 * Why: a rate says nothing without the limit of the same machine in the same minute. This is the limit: the rows that the run has just stored,
 * already encoded, copied again by a client that does nothing else.
 * Enforces: same columns, same partitioning, same index, same durability as the real table; two connections, because the engine has two writers.
 * Forbids: an encoder or a parser on the way; what the system spends there is part of what the ratio shows.
 */
import { type Connection, copyIn, copyOut, openClient } from "ransomeye-db";
import { cpuSecondsOfTree } from "../cpu_account.ts";

const CONNECTIONS = 2;
const ROWS_PER_TRANSACTION = 20_000;

export interface RawCopyResult {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** CPU seconds of PostgreSQL for a million rows. */
  readonly postgresCpuPerMillion: number;
  readonly clientCpuPerMillion: number;
}

/**
 * Copies at least `rows` rows of `table` into a scratch table beside it.
 * @param administrator a superuser's connection; the scratch schema is dropped afterwards
 */
export async function rawCopy(administrator: Connection, postgresPid: number, table: string, rows: number): Promise<RawCopyResult> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => openClient(administrator, "bench-raw-copy")));
  try {
    const [first] = clients;
    if (first === undefined) throw new Error("no connection");
    await first.query(`
      DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
      -- INCLUDING ALL brings the BRIN index along.
      CREATE TABLE bench.raw (LIKE ${table} INCLUDING ALL) PARTITION BY RANGE (received_at);
      CREATE TABLE bench.raw_all PARTITION OF bench.raw FOR VALUES FROM (MINVALUE) TO (MAXVALUE);`);
    const chunk: Buffer[] = [];
    for await (const piece of copyOut(first, `COPY (SELECT * FROM ${table} LIMIT ${ROWS_PER_TRANSACTION}) TO STDOUT (FORMAT binary)`))
      chunk.push(Buffer.from(piece));
    await first.query("CHECKPOINT");

    const transactions = Math.ceil(rows / ROWS_PER_TRANSACTION);
    const cpuBefore = cpuSecondsOfTree(postgresPid);
    const ownBefore = process.cpuUsage();
    const startedAt = performance.now();
    let begun = 0;
    let copied = 0;
    await Promise.all(
      clients.map(async (client) => {
        while (begun < transactions) {
          begun++;
          copied += await copyIn(client, "COPY bench.raw FROM STDIN (FORMAT binary)", chunk);
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
