/**
 * Why it exists: tests of every room use a real PostgreSQL, prepared as a real system prepares it, at a cost that is no excuse.
 * Enforces: one server per test file, one database per test (a clone of a prepared template); nothing is left behind, also when the
 * test's process is killed; `PG_URL` runs the same tests on an external server.
 * Forbids: import by anything but tests; settings that change what a commit means (fsync stays on unless a test asks).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Random,
  recordingTelemetry,
  seededRandom,
  systemClock,
  systemEnvironment,
  systemRandom,
  type Telemetry,
} from "ransomeye-kernel";
import { applyOwnership } from "../ownership/apply.ts";
import { type Connection, parseConnectionUrl } from "./connection.ts";
import { quoteName, quoteText } from "./database.ts";
import type { EmbeddedServer } from "./embedded/embedded.ts";
import { startThrowaway, type ThrowawayServer } from "./embedded/throwaway.ts";
import { inTransaction, openClient, openPool, type Pool, type Queryable } from "./pool.ts";
import { prepareDatabase } from "./prepare.ts";
import { detachDay, finishRemoval, type RetentionOptions } from "./retention.ts";
import type { LoginRole } from "./role_names.ts";
import { type DatabaseSecrets, readSecrets, roleConnection } from "./secrets.ts";
import { copyPreparedCluster } from "./testing/prepared_cluster.ts";

export { CommitProxy } from "./testing/commit_proxy.ts";
export { copyPreparedCluster } from "./testing/prepared_cluster.ts";

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
  /** Closes its pools, ends whatever else is connected, drops the database. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a test's server is started. */
export interface TestServerOptions {
  /** Over ours; for example `{ fsync: "off" }` for a test of exactly that. Ignored with PG_URL. */
  readonly settings?: Readonly<Record<string, string>>;
  /** An embedded one also with PG_URL: for a test that stops it, or looks into its files. */
  readonly own?: boolean;
  /** Cluster and database are made by this very server; otherwise they are copies of those that another one has made. */
  readonly fresh?: boolean;
}

/** One server per test file: embedded in a temporary directory, or the external one of PG_URL. */
export interface TestServer {
  /** The embedded server, undefined with PG_URL. */
  readonly embedded: EmbeddedServer | undefined;
  /** Kills the embedded server (SIGKILL) and starts it again; undefined with PG_URL, whose server is not ours to kill. */
  readonly crash: (() => Promise<void>) | undefined;
  readonly telemetry: Telemetry;
  /** A fresh database, cloned from a prepared template (migrations, roles, rights, partitions). `empty` gives one with nothing in it. */
  database(options?: { readonly empty?: boolean }): Promise<TestDatabase>;
  /** Stops an embedded server at once and removes its directory. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Use as `const server = await openTestServer(); after(() => server.close());` at the top of a test file. */
export async function openTestServer({ own = false, fresh = false, ...options }: TestServerOptions = {}): Promise<TestServer> {
  const telemetry = recordingTelemetry();
  const url = systemEnvironment().PG_URL;
  if (url !== undefined && url !== "" && !own) {
    const directory = await mkdtemp(join(tmpdir(), "re-test-"));
    const close = (): Promise<void> => rm(directory, { recursive: true, force: true });
    return new Server({ throwaway: undefined, admin: parseConnectionUrl(url), directory, secretsFile: undefined, telemetry, close });
  }
  let isPrepared = false;
  const fill = async (dataDir: string): Promise<void> => {
    isPrepared = !fresh && (await copyPreparedCluster(dataDir));
  };
  const throwaway = await startThrowaway({ prefix: "re-test-", ...options, fill, telemetry, clock: systemClock, random: systemRandom });
  const { server, directory, close } = throwaway;
  const secretsFile = isPrepared ? join(directory, "d", "secrets", "database.json") : undefined;
  return new Server({ throwaway, admin: server.connection, directory, secretsFile, telemetry, close });
}

/** One server, one database, for a test that needs no more. */
export async function withTestDatabase<T>(work: (database: TestDatabase) => Promise<T>): Promise<T> {
  const server = await openTestServer();
  try {
    return await work(await server.database());
  } finally {
    await server.close();
  }
}

/**
 * Does what only the owner of an append-only table can do to it, and an intruder with his rights would: `sql` with its trigger off.
 * Inside a transaction if `client` is in one.
 */
export async function tamper(client: Queryable, table: string, sql: string, values: unknown[] = []): Promise<number> {
  const guards = (how: "DISABLE" | "ENABLE ALWAYS"): string => `DO $$ DECLARE v_table regclass; BEGIN
    FOR v_table IN SELECT ${quoteText(table)}::regclass UNION SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = ${quoteText(table)}::regclass LOOP
      EXECUTE format('ALTER TABLE %s ${how} TRIGGER append_only', v_table);
    END LOOP; END $$`;
  await client.query(guards("DISABLE"));
  const changed = await client.query(sql, values);
  await client.query(guards("ENABLE ALWAYS"));
  return changed.rowCount ?? 0;
}

interface ServerParts {
  readonly throwaway: ThrowawayServer | undefined;
  readonly admin: Connection;
  readonly directory: string;
  /** Of the database that came with a prepared cluster. */
  readonly secretsFile: string | undefined;
  readonly telemetry: Telemetry;
  /** Ends the server, where it is ours, and removes the directory. */
  readonly close: () => Promise<void>;
}

class Server implements TestServer {
  readonly crash: (() => Promise<void>) | undefined;
  readonly telemetry: Telemetry;
  readonly #parts: ServerParts;
  readonly #open = new Set<TestDatabase>();
  readonly #prefix = `re_test_${systemRandom.bytes(6).toString("hex")}`;
  #count = 0;
  #template: Promise<DatabaseSecrets> | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.crash = parts.throwaway?.crash;
    this.telemetry = parts.telemetry;
  }

  get embedded(): EmbeddedServer | undefined {
    return this.#parts.throwaway?.server;
  }

  async database(options: { readonly empty?: boolean } = {}): Promise<TestDatabase> {
    this.#count += 1;
    const name = `${this.#prefix}_${this.#count}`;
    let secrets: DatabaseSecrets | undefined;
    if (options.empty !== true) {
      this.#template ??= this.#prepareTemplate();
      secrets = await this.#template;
    }
    const connection: Connection = { ...this.#parts.admin, database: name };
    const template = options.empty === true ? "template0" : this.#templateName;
    await this.#asAdmin(`CREATE DATABASE ${quoteName(name)} TEMPLATE ${quoteName(template)} ENCODING 'UTF8'`);
    const pool = openPool({ connection, max: 8, applicationName: "ransomeye test", telemetry: this.telemetry });
    // Rights on a database itself are not cloned with it.
    if (options.empty !== true) await inTransaction(pool, (client) => applyOwnership(client));
    return this.#database(connection, pool, secrets);
  }

  async close(): Promise<void> {
    for (const database of [...this.#open]) await database.close();
    if (this.#parts.throwaway === undefined && this.#template !== undefined)
      await this.#asAdmin(`DROP DATABASE IF EXISTS ${quoteName(this.#templateName)} WITH (FORCE)`);
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #templateName(): string {
    return this.#parts.secretsFile === undefined ? `${this.#prefix}_template` : this.#parts.admin.database;
  }

  async #prepareTemplate(): Promise<DatabaseSecrets> {
    if (this.#parts.secretsFile !== undefined) return await readSecrets(this.#parts.secretsFile);
    const external = this.#parts.throwaway === undefined;
    // Roles are shared by all databases of a server: on an external one, test files running at the same time must agree on passwords.
    const random: Random = external ? seededRandom("roles of external test servers") : systemRandom;
    const lock = external ? await openClient(this.#parts.admin, "ransomeye test lock") : undefined;
    try {
      await lock?.query("SELECT pg_advisory_lock(hashtextextended('ransomeye test roles', 0))");
      const connection = { ...this.#parts.admin, database: this.#templateName };
      return await prepareDatabase({
        connection,
        secretsFile: join(this.#parts.directory, "secrets.json"),
        telemetry: this.telemetry,
        clock: systemClock,
        random,
      });
    } finally {
      await lock?.end();
    }
  }

  #database(connection: Connection, pool: Pool, secrets: DatabaseSecrets | undefined): TestDatabase {
    const pools: Pool[] = [pool];
    const ofRole = (role: LoginRole): Connection => roleConnection(connection, secrets ?? { passwords: {} }, role);
    const close = async (): Promise<void> => {
      if (!this.#open.delete(database)) return;
      await Promise.all(pools.map((open) => open.end()));
      // A killed server takes its databases with it.
      await this.#asAdmin(`DROP DATABASE IF EXISTS ${quoteName(connection.database)} WITH (FORCE)`).catch(() => {});
    };
    const database: TestDatabase = {
      connection,
      pool,
      roleConnection: ofRole,
      rolePool: (role, max = 4) => {
        const opened = openPool({ connection: ofRole(role), max, applicationName: `test as ${role}`, telemetry: this.telemetry });
        pools.push(opened);
        return opened;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
    this.#open.add(database);
    return database;
  }

  async #asAdmin(sql: string): Promise<void> {
    const client = await openClient(this.#parts.admin, "ransomeye test admin");
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
}

/** Does what supervisor and keeper do with a counted day, until it is gone; says how many bytes that freed. */
export async function removeCounted(connection: Connection, keeper: RetentionOptions): Promise<number> {
  for (;;) {
    await detachDay(connection);
    const removal = await finishRemoval(keeper);
    if (removal === undefined || removal.tablesLeft === 0) return removal?.bytes ?? 0;
  }
}

/** As if the sealer had signed that a day goes; once for each day. */
export async function signAway(client: Queryable, day: string): Promise<void> {
  await client.query(
    `INSERT INTO evidence.statement (number, kind, day, made_us, hash, note)
     SELECT coalesce(max(s.number) + 1, 0), 'expiry', $1::date, 0, '', '' FROM evidence.statement s
     HAVING NOT EXISTS (SELECT FROM evidence.statement s WHERE s.kind = 'expiry' AND s.day = $1::date)`,
    [day],
  );
}
