/**
 * Why it exists: a database becomes what this release expects by numbered steps, and says which it has taken.
 * Enforces: each file in one transaction with the note that it was applied; one runner at a time; an applied file never changes;
 * every file states its danger.
 * Forbids: going back, skipping what another release applied, and statements outside the numbered files (roles' passwords and grants apart).
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Telemetry } from "ransomeye-kernel";
import type { Connection } from "./connection.ts";
import { packageRoot } from "./embedded/binaries.ts";
import { DbError, sqlState } from "./errors.ts";
import { migrationApplied } from "./events.ts";
import { type Client, openClient } from "./pool.ts";

/** One numbered file. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
}

/** What {@link migrate} needs. */
export interface MigrateOptions {
  /** An administrator's; not one of our roles. */
  readonly connection: Connection;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Default: the files of this package. */
  readonly directory?: string;
}

/** Key of the advisory lock that keeps runners (and those who apply grants) one after another, per database. */
const lockKey = "hashtextextended('ransomeye prepare', 0)";

/** Where this package keeps its migrations. */
export const migrationsDirectory: string = join(packageRoot(), "migrations");

const fileName = /^(\d{4})_([a-z0-9_]+)\.sql$/;

/**
 * Reads and checks the files of a directory, in order.
 * @throws DbError DB_MIGRATION_INVALID
 */
export async function readMigrations(directory: string = migrationsDirectory): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const name of (await readdir(directory)).filter((entry) => entry.endsWith(".sql")).sort()) {
    const match = fileName.exec(name);
    if (match === null) throw new DbError("DB_MIGRATION_INVALID", `${name} is not named NNNN_name.sql.`);
    const number = Number(match[1]);
    if (migrations.at(-1)?.number === number) throw new DbError("DB_MIGRATION_INVALID", `Number ${match[1]} is used twice.`);
    const sql = await readFile(join(directory, name), "utf8");
    if (!/^(?:--.*\n)*-- danger: \S/i.test(sql))
      throw new DbError("DB_MIGRATION_INVALID", `${name} does not state its danger in its opening comment.`);
    migrations.push({ number, name: match[2] ?? "", sql, sha256: createHash("sha256").update(sql).digest("hex") });
  }
  return migrations;
}

/**
 * Applies what is not applied yet; gives the numbers. A second runner waits for the first and then finds nothing to do.
 * @throws DbError DB_MIGRATION_*
 */
export async function migrate(options: MigrateOptions): Promise<number[]> {
  const migrations = await readMigrations(options.directory);
  const client = await openClient(options.connection, "ransomeye migrate");
  try {
    await client.query(`SELECT pg_advisory_lock(${lockKey})`);
    return await run(client, migrations, options);
  } finally {
    // Closing the session gives the lock back, whatever state it is in.
    await client.end();
  }
}

async function run(client: Client, migrations: readonly Migration[], options: MigrateOptions): Promise<number[]> {
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS ops;
    CREATE TABLE IF NOT EXISTS ops.migration (
      number     int PRIMARY KEY,
      name       text NOT NULL,
      sha256     text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`);
  const { rows } = await client.query<{ number: number; name: string; sha256: string }>(
    "SELECT number, name, sha256 FROM ops.migration ORDER BY number",
  );
  const known = new Map(migrations.map((migration) => [migration.number, migration]));
  for (const row of rows) {
    const file = known.get(row.number);
    if (file === undefined) throw new DbError("DB_MIGRATION_UNKNOWN", `This database has migration ${row.number} (${row.name}).`);
    if (file.sha256 !== row.sha256)
      throw new DbError("DB_MIGRATION_CHANGED", `Migration ${row.number} (${row.name}) is not what was applied.`);
  }
  const applied = new Set(rows.map((row) => row.number));
  const pending = migrations.filter((migration) => !applied.has(migration.number));
  for (const migration of pending) {
    const begun = options.clock.monotonicMs();
    await apply(client, migration);
    options.telemetry.emit(migrationApplied, {
      number: migration.number,
      name: migration.name,
      seconds: (options.clock.monotonicMs() - begun) / 1000,
    });
  }
  return pending.map((migration) => migration.number);
}

async function apply(client: Client, migration: Migration): Promise<void> {
  try {
    await client.query("BEGIN");
    await client.query(migration.sql);
    await client.query("INSERT INTO ops.migration (number, name, sha256) VALUES ($1, $2, $3)", [
      migration.number,
      migration.name,
      migration.sha256,
    ]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    const { message = String(error), position, where } = error as { message?: string; position?: string; where?: string };
    const line = position === undefined ? "" : ` at line ${migration.sql.slice(0, Number(position)).split("\n").length}`;
    throw new DbError(
      "DB_MIGRATION_FAILED",
      `Migration ${migration.number} (${migration.name})${line}: ${message}${where === undefined ? "" : ` (${where})`}`,
      {
        cause: error,
        fields: { number: migration.number, sqlstate: sqlState(error) },
      },
    );
  }
}
