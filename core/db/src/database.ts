/**
 * Why it exists: the database itself must exist before anything can be put into it.
 * Enforces: a database of UTF-8; made once, whoever comes first.
 * Forbids: dropping anything.
 */
import type { Connection } from "./connection.ts";
import { DbError, sqlState } from "./errors.ts";
import { openClient } from "./pool.ts";

const databaseMissing = "3D000";
const databaseExists = "42P04";
const duplicateKey = "23505";

/** Quotes an identifier for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a string literal for SQL; for places where no parameter can stand. */
export function quoteText(text: string): string {
  return text.includes("\\") ? ` E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`;
}

/**
 * Creates the connection's database if there is none.
 * @throws DbError DB_CONNECT_FAILED
 */
export async function ensureDatabase(connection: Connection): Promise<void> {
  try {
    const client = await openClient(connection, "ransomeye prepare");
    await client.end();
  } catch (error) {
    if (sqlState(error) !== databaseMissing) throw connectFailed(connection, error);
    await createDatabase(connection);
  }
}

async function createDatabase(connection: Connection): Promise<void> {
  const client = await openClient({ ...connection, database: "postgres" }, "ransomeye prepare").catch((error: unknown) => {
    throw connectFailed(connection, error);
  });
  try {
    await client.query(`CREATE DATABASE ${quoteName(connection.database)} TEMPLATE template0 ENCODING 'UTF8'`);
  } catch (error) {
    const state = sqlState(error);
    if (state !== databaseExists && state !== duplicateKey) throw error;
  } finally {
    await client.end();
  }
}

function connectFailed(connection: Connection, cause: unknown): DbError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DbError("DB_CONNECT_FAILED", `No connection to ${connection.host}:${connection.port} as ${connection.user}: ${reason}`, {
    cause,
  });
}
