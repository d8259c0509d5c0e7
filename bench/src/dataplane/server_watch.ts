/**
 * Why: "no lock wait over 100 ms, no deadlock, no bloat" are the server's own observations, not a sample of ours.
 * Enforces: PostgreSQL writes each wait for a lock of more than `deadlock_timeout` into its log, and counts deadlocks and dead rows itself.
 * Forbids: estimates.
 */
import { readFile } from "node:fs/promises";
import type { Pool } from "ransomeye-db";
import { rawCopyName } from "../ingest/raw_copy.ts";

/** A wait for a lock is written into the server's log from this on, in milliseconds. */
export const lockWaitMs = 100;

/** Settings under which the server tells. */
export const watchSettings: Readonly<Record<string, string>> = { log_lock_waits: "on", deadlock_timeout: `${lockWaitMs}ms` };

/** What it has come to. */
export interface ServerFacts {
  /** Lines of the log: one for each wait. */
  readonly lockWaits: readonly string[];
  /** Of the bare COPY's connections for each other: the limit's own. */
  readonly limitWaits: number;
  readonly deadlocks: number;
  readonly tables: readonly TableFacts[];
  /** Of tables that are updated in place. */
  readonly heads: readonly HeadFacts[];
}

/** A table whose rows are written once. */
export interface TableFacts {
  readonly table: string;
  readonly rows: number;
  readonly deadRows: number;
  /** With TOAST. */
  readonly heapBytes: number;
  readonly indexBytes: number;
}

/** A table whose rows are updated with each batch or commit. */
export interface HeadFacts {
  readonly table: string;
  readonly rows: number;
  readonly updates: number;
  /** Of these, without touching an index. */
  readonly hotUpdates: number;
  readonly bytes: number;
}

const headTables = ["bus.partition_head", "bus.producer_head", "bus.consumer_offset", "data.sink_head"] as const;

/** Reads log and statistics. As administrator, once everybody has been quiet for a second: sessions tell their counts late. */
export async function serverFacts(pool: Pool, logFile: string): Promise<ServerFacts> {
  const log = await readFile(logFile, "utf8");
  const waits = log.split("\n").filter((line) => /still waiting for|deadlock detected/.test(line));
  const lockWaits = waits.filter((line) => !line.includes(` ${rawCopyName} `));
  const deadlocks = await pool.query<{ deadlocks: number }>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
  const tables = await pool.query<TableFacts>(
    `SELECT t.schema_name || '.' || t.table_name AS "table", sum(s.n_tup_ins)::bigint AS rows, sum(s.n_dead_tup)::bigint AS "deadRows",
            sum(pg_table_size(s.relid))::bigint AS "heapBytes", sum(pg_indexes_size(s.relid))::bigint AS "indexBytes"
     FROM ops.day_table t
     JOIN pg_inherits i ON i.inhparent = format('%I.%I', t.schema_name, t.table_name)::regclass
     JOIN pg_stat_user_tables s ON s.relid = i.inhrelid
     GROUP BY 1 HAVING sum(s.n_tup_ins) > 0 ORDER BY 1`,
  );
  const heads = await pool.query<HeadFacts>(
    `SELECT s.schemaname || '.' || s.relname AS "table", s.n_live_tup AS rows, s.n_tup_upd AS updates, s.n_tup_hot_upd AS "hotUpdates",
            pg_total_relation_size(s.relid) AS bytes
     FROM pg_stat_user_tables s WHERE s.schemaname || '.' || s.relname = ANY ($1) ORDER BY 1`,
    [headTables],
  );
  return {
    lockWaits,
    limitWaits: waits.length - lockWaits.length,
    deadlocks: deadlocks.rows[0]?.deadlocks ?? 0,
    tables: tables.rows,
    heads: heads.rows,
  };
}
