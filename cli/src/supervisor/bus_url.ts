/**
 * Why it exists: one field of the configuration says whether the frame log lies in the database or on Redis servers.
 * Enforces: a log in PostgreSQL lies in the database that holds the rows: rows and offset share one transaction.
 * Forbids: a third place.
 */
import type { Config } from "ransomeye-kernel";
import { CliError } from "../errors.ts";

/** The servers that hold the log, or undefined where it lies in the database. @throws CliError CLI_START_FAILED for another database */
export function redisUrl(config: Config): string | undefined {
  const url = config.bus.url.reveal();
  if (/^redis(s|\+unix)?:/.test(url)) return url;
  if (url !== "" && url !== config.database.url.reveal())
    throw new CliError(
      "CLI_START_FAILED",
      "bus.url names another database than database.url; rows and offset must share one transaction (R-3)",
    );
  return undefined;
}
