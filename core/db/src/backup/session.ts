/**
 * Why it exists: a base backup is a promise of the server, which lasts as long as one session of its administrator.
 * Enforces: the log of changes from the backup's beginning on is kept by a slot of this session, which goes with it, however it ends; the log's last file is whole
 * when the end is told.
 * Forbids: touching files.
 */
import type { Connection } from "../connection.ts";
import { DbError } from "../errors.ts";
import { openClient } from "../pool.ts";
import { parseLsn, walFiles } from "./lsn.ts";

/** What the server says when the copying may begin. */
export interface BackupBegin {
  readonly clusterDirectory: string;
  readonly version: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly dataChecksums: boolean;
  readonly startLsn: string;
}

/** What it says when the copying is over. */
export interface BackupEnd {
  readonly stopLsn: string;
  readonly madeUs: number;
  /** Content of the file `backup_label` without which the copy is no database. */
  readonly label: string;
  /** Files of the log that belong to the backup; they stay where they are until the session is closed. */
  readonly walFiles: readonly string[];
}

/** A backup under way. */
export interface BackupSession {
  readonly begin: BackupBegin;
  /** The copying is over. @throws DbError DB_BACKUP_UNSUPPORTED, or the server's own error */
  finish(): Promise<BackupEnd>;
  /** Ends it, finished or not. */
  close(): Promise<void>;
}

/**
 * Begins a backup with a checkpoint of its own, at once.
 * @param connection an administrator's; on a server that has no other session of this kind
 */
export async function beginBackup(connection: Connection): Promise<BackupSession> {
  const client = await openClient(connection, "ransomeye backup");
  try {
    await client.query("SET statement_timeout = 0");
    await client.query("SET idle_session_timeout = 0");
    // Before the start: no checkpoint may recycle what the copy needs. Temporary: gone with the session, also when we are killed.
    await client.query("SELECT pg_create_physical_replication_slot('ransomeye_backup_' || pg_backend_pid(), true, true)");
    const { rows: starts } = await client.query<{ lsn: string }>("SELECT pg_backup_start('ransomeye', true)::text AS lsn");
    const { rows } = await client.query<Omit<BackupBegin, "startLsn"> & { readonly segmentBytes: number }>(
      `SELECT current_setting('data_directory') AS "clusterDirectory", current_setting('server_version') AS version,
              (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier", (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
              current_setting('data_checksums') = 'on' AS "dataChecksums", pg_size_bytes(current_setting('wal_segment_size')) AS "segmentBytes"`,
    );
    const [start, facts] = [starts[0], rows[0]];
    if (start === undefined || facts === undefined)
      throw new DbError("DB_BACKUP_INTERRUPTED", "The server did not say where the backup begins.");
    const { segmentBytes, ...server } = facts;
    return {
      begin: { ...server, startLsn: start.lsn },
      finish: async () => {
        const stops = await client.query<{ lsn: string; labelfile: string; spcmapfile: string; us: number }>(
          `SELECT lsn::text, labelfile, spcmapfile, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us FROM pg_backup_stop(wait_for_archive => false)`,
        );
        const stop = stops.rows[0];
        if (stop === undefined) throw new DbError("DB_BACKUP_INTERRUPTED", "The server did not say where the backup ends.");
        if (stop.spcmapfile !== "") throw new DbError("DB_BACKUP_UNSUPPORTED", "The server has tablespaces outside of its data directory.");
        const names = walFiles(facts.timeline, parseLsn(start.lsn), parseLsn(stop.lsn), segmentBytes);
        return { stopLsn: stop.lsn, madeUs: stop.us, label: stop.labelfile, walFiles: names };
      },
      close: () => client.end().catch(() => undefined),
    };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}
