/**
 * Why it exists: one call makes any database, new or old, embedded or external, ready for every role.
 * Enforces: the order: durable server, database, migrations, roles, rights, days; all of it idempotent; one preparer at a time.
 * Forbids: giving a role its rights before the objects are there, or handing out the administrator's connection.
 */
import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import { applyOwnership } from "../ownership/apply.ts";
import { type LogPlace, matrixFor } from "../ownership/matrix.ts";
import type { Connection } from "./connection.ts";
import { ensureDatabase } from "./database.ts";
import { assertDurable } from "./durability.ts";
import { matrixDrifted } from "./events.ts";
import { migrate } from "./migrate.ts";
import { ensurePartitions } from "./partitions.ts";
import { openClient } from "./pool.ts";
import { applyRoles } from "./roles.ts";
import { type DatabaseSecrets, ensureSecrets, secretRoles } from "./secrets.ts";

/** What {@link prepareDatabase} needs. */
export interface PrepareOptions {
  /** An administrator (superuser, or CREATEROLE and owner of the database) of the server; the database is created if missing. */
  readonly connection: Connection;
  /** Where role passwords are kept (0600). */
  readonly secretsFile: string;
  /** Where the frame log lies; rights follow it. Default: here. */
  readonly log?: LogPlace;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Makes a database ready for every role: migrations, roles and passwords, rights, partitions from yesterday to today + 8.
 * @throws DbError DB_CONNECT_FAILED, DB_VERSION_UNSUPPORTED, DB_NOT_DURABLE, DB_MIGRATION_*, DB_SECRETS_UNREADABLE, DB_PARTITION_LOCKED
 */
export async function prepareDatabase(options: PrepareOptions): Promise<DatabaseSecrets> {
  await ensureDatabase(options.connection);
  const secrets = await ensureSecrets(options.secretsFile, secretRoles, options.random);
  const client = await openClient(options.connection, "ransomeye prepare");
  try {
    await assertDurable(client);
    await migrate(options);
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('ransomeye prepare', 0))");
    await applyRoles(client, secrets, options.random);
    const drift = await applyOwnership(client, matrixFor(options.log ?? "here"));
    await client.query("COMMIT");
    if (drift.unlisted.length + drift.missing.length > 0) {
      options.telemetry.emit(matrixDrifted, { unlisted: drift.unlisted.join(" "), missing: drift.missing.join(" ") });
    }
    await client.query("SELECT ops.finish_detaches()");
    await ensurePartitions({ pool: client, clock: options.clock, telemetry: options.telemetry });
  } finally {
    await client.end();
  }
  return secrets;
}
