import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import type { Connection } from "./connection.ts";
import type { DatabaseSecrets } from "./secrets.ts";

/** What {@link prepareDatabase} needs. */
export interface PrepareOptions {
  /** An administrator (superuser, or CREATEROLE and owner of the database) of the server; the database is created if missing. */
  readonly connection: Connection;
  /** Where role passwords are kept (0600). */
  readonly secretsFile: string;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes a database ready for every role: migrations, roles and passwords, grants, partitions. Idempotent. */
export function prepareDatabase(_options: PrepareOptions): Promise<DatabaseSecrets> {
  return Promise.reject(new Error("not built yet"));
}
