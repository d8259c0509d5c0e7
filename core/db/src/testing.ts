import type { Connection } from "./connection.ts";
import type { Pool } from "./pool.ts";
import type { LoginRole } from "./role_names.ts";
import type { EmbeddedServer } from "./embedded/embedded.ts";

/** A prepared database of its own for one test. */
export interface TestDatabase {
  /** As administrator. */
  readonly connection: Connection;
  /** Administrator's pool; closed with the database. */
  readonly pool: Pool;
  /** Connection of one of our roles. */
  roleConnection(role: LoginRole): Connection;
  /** A pool of one of our roles; closed with the database. */
  rolePool(role: LoginRole, max?: number): Pool;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One server per test file: embedded in a temporary directory, or the external one of PG_URL. */
export interface TestServer {
  /** The embedded server, undefined with PG_URL. */
  readonly embedded: EmbeddedServer | undefined;
  /** A fresh database, cloned from a prepared template (migrations, grants, partitions). `empty: true` gives one without anything. */
  database(options?: { readonly empty?: boolean }): Promise<TestDatabase>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Use as `const server = await openTestServer(); after(() => server.close());` */
export function openTestServer(): Promise<TestServer> {
  return Promise.reject(new Error("not built yet"));
}

/** One server, one database, for a test that needs no more. */
export function withTestDatabase<T>(_work: (database: TestDatabase) => Promise<T>): Promise<T> {
  return Promise.reject(new Error("not built yet"));
}
