/**
 * Why it exists: the keeper asks PostgreSQL each second how it is, and gates are told (ING-6).
 * Enforces: nothing is asked that needs more rights than anybody has; the word holds for a few seconds, so that it ends with the keeper; a strain that begins,
 *   changes or ends is a line in the log.
 * Forbids: writing while nothing is strained.
 */
import type { Pool } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { serverStrained, serverStrainOver } from "../events.ts";
import { CheckpointPace, type DiskLeft, type ServerSignals, serverStrain, type Strain, type StrainBounds } from "./server_strain.ts";

/** How long gates believe it. */
const strainMs = 5000;

export interface StrainWatchOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly bounds: StrainBounds;
  /** Of the embedded server. */
  readonly disk: () => Promise<DiskLeft | undefined>;
}

/** Asks and tells. */
export class StrainWatch {
  readonly #options: StrainWatchOptions;
  readonly #pace = new CheckpointPace();
  #signalsSql: string | undefined;
  #told: Strain | undefined;

  constructor(options: StrainWatchOptions) {
    this.#options = options;
  }

  /** One look. */
  async look(): Promise<void> {
    const { pool, clock, disk, bounds } = this.#options;
    this.#signalsSql ??= await signalsSql(pool);
    const signals = await askServer(pool, this.#signalsSql);
    const intervalMs = this.#pace.seen(signals.requestedCheckpoints, clock.monotonicMs());
    const strain = serverStrain(signals, intervalMs, await disk(), bounds);
    if (strain !== undefined || this.#told !== undefined)
      await pool.query("SELECT bus.strain_put($1, $2, $3)", [strain?.name ?? "", strain?.level ?? 0, strainMs]);
    this.#tell(strain);
    this.#told = strain;
  }

  #tell(strain: Strain | undefined): void {
    const { telemetry } = this.#options;
    if (strain?.name === this.#told?.name) return;
    if (strain !== undefined) telemetry.emit(serverStrained, { signal: strain.name, level: Math.round(strain.level * 100) / 100 });
    else if (this.#told !== undefined) telemetry.emit(serverStrainOver, { signal: this.#told.name });
  }
}

/** What the server shows of itself now; `sql` is {@link signalsSql}'s. */
export async function askServer(pool: Pool, sql: string): Promise<ServerSignals> {
  const { rows } = await pool.query<ServerSignals>(sql);
  return rows[0] as ServerSignals;
}

/** Bytes of write-ahead log that are kept back: by the slowest slot, and by an archive that does not take the file it was offered last. */
const keptBackSql = `
    (SELECT coalesce(max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)), 0)::bigint FROM pg_catalog.pg_replication_slots),
    (SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), (substr(last_failed_wal, 9, 8) || '/' ||
              to_hex(('x' || substr(last_failed_wal, 17, 8))::bit(32)::bigint * pg_catalog.pg_size_bytes(current_setting('wal_segment_size'))))::pg_lsn)::bigint
     FROM pg_catalog.pg_stat_archiver
     WHERE last_failed_wal ~ '^[0-9A-F]{24}$' AND last_failed_time > coalesce(last_archived_time, '-infinity'))`;

/** The question. Since PostgreSQL 17 checkpoints have a view of their own. */
export async function signalsSql(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version");
  const checkpoints =
    (rows[0]?.version ?? 0) >= 170_000
      ? "SELECT num_requested FROM pg_catalog.pg_stat_checkpointer"
      : "SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter";
  return `SELECT
    greatest(${keptBackSql}) AS "replicationLagBytes",
    (${checkpoints})::bigint AS "requestedCheckpoints",
    (SELECT setting::bigint * 1000 FROM pg_catalog.pg_settings WHERE name = 'checkpoint_warning') AS "checkpointWarningMs",
    (SELECT coalesce(max(extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart) * 1000), 0)::bigint
     FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
     WHERE NOT l.granted AND a.datname = pg_catalog.current_database() AND l.locktype IN ('relation', 'extend', 'page', 'tuple', 'transactionid'))
      AS "lockWaitMs",
    (SELECT sum(numbackends)::int FROM pg_catalog.pg_stat_database) AS "connections",
    (SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int FROM pg_catalog.pg_settings
     WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) AS "connectionsMax"`;
}
