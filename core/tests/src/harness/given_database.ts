/**
 * Why: the same proofs are to hold on a PostgreSQL of somebody else's; who wants them there names its server in PG_URL.
 * Enforces: each system has a database of its own there, and leaves none behind. Roles are the server's: one system at a time.
 * Forbids: a second variable beside PG_URL for tests. RANSOMEYE_DATABASE_URL is the system's own, and the harness sets it.
 */
import { type Connection, openClient, parseConnectionUrl } from "ransomeye-db";
import { systemEnvironment, systemRandom } from "ransomeye-kernel";

/** A database on the given server, as its administrator. */
export interface GivenDatabase {
  /** What the system's processes get beside our environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly connection: Connection;
  /** Removes it, with whoever is connected. */
  drop(): Promise<void>;
}

/** One that the system makes at its start; undefined where no server was given. */
export function givenDatabase(): GivenDatabase | undefined {
  const url = systemEnvironment()["PG_URL"] ?? "";
  if (url === "") return undefined;
  const name = `ransomeye_run_${systemRandom.bytes(6).toString("hex")}`;
  const own = new URL(url);
  own.pathname = `/${name}`;
  const server = parseConnectionUrl(url);
  return {
    environment: { RANSOMEYE_DATABASE_URL: own.href },
    connection: { ...server, database: name },
    async drop() {
      const client = await openClient(server, "test");
      try {
        await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      } finally {
        await client.end();
      }
    },
  };
}
