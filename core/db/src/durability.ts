/**
 * Why it exists: a receipt means durable, and that rests on settings of a server that may not be ours.
 * Enforces: fsync, full_page_writes and synchronous_commit are on, and data_sync_retry is off, as the asking session sees them (role and database
 * settings included); PostgreSQL 15 or newer.
 * Forbids: going on with a warning.
 */
import { DbError } from "./errors.ts";
import type { Queryable } from "./pool.ts";

const versionNumberMin = 150_000;

/** Values under which a COMMIT's answer means that its log is on disk here. */
const durableValues: Readonly<Record<string, readonly string[]>> = {
  fsync: ["on"],
  full_page_writes: ["on"],
  // remote_apply, remote_write and local all flush here first; only off does not.
  synchronous_commit: ["on", "remote_apply", "remote_write", "local"],
  // With it on, a flush that failed is tried again, and Linux says yes for pages that it has thrown away.
  data_sync_retry: ["off"],
};

/**
 * Refuses a server on which a receipt could not mean durable, and one older than 15. Ask with the connection of each role that commits:
 * a role may have a setting of its own.
 * @throws DbError DB_NOT_DURABLE, DB_VERSION_UNSUPPORTED
 */
export async function assertDurable(client: Queryable): Promise<void> {
  const { rows } = await client.query<{
    version_number: number;
    version: string;
    fsync: string;
    full_page_writes: string;
    synchronous_commit: string;
    data_sync_retry: string;
  }>(
    `SELECT current_setting('server_version_num')::int AS version_number, current_setting('server_version') AS version,
            current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, current_setting('synchronous_commit') AS synchronous_commit,
            current_setting('data_sync_retry') AS data_sync_retry`,
  );
  const [row] = rows;
  if (row === undefined || row.version_number < versionNumberMin)
    throw new DbError("DB_VERSION_UNSUPPORTED", `The server is PostgreSQL ${row?.version ?? "?"}.`);
  const wrong = Object.entries(durableValues).filter(([name, allowed]) => !allowed.includes(String(row[name as keyof typeof row])));
  if (wrong.length > 0) {
    const list = wrong.map(([name]) => `${name} = ${row[name as keyof typeof row]}`).join(", ");
    throw new DbError("DB_NOT_DURABLE", `The server has ${list}.`, { fields: { settings: list } });
  }
}
