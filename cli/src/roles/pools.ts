/**
 * Why it exists: every role opens its pool in the same way and closes it last.
 * Enforces: a role connects as its own database role only, and within its share of the connections.
 * Forbids: a second pool for the same purpose.
 */
import { openPool, type Pool } from "ransomeye-db";
import { CliError } from "../errors.ts";
import type { RoleContext } from "./role_process.ts";

/** Opens the role's pool; it is closed after everything that was deferred later. */
export function openRolePool(context: RoleContext, max: number): Pool {
  const { begin, telemetry, lifetime } = context;
  if (begin.connection === undefined) throw new CliError("CLI_START_FAILED", `the supervisor gave ${begin.role} no database connection`);
  const pool = openPool({ connection: begin.connection, max, applicationName: `ransomeye ${begin.role}`, telemetry });
  lifetime.defer("database pool", () => pool.end());
  return pool;
}
