/**
 * Why it exists: tests of every room use a real PostgreSQL, prepared as a real system prepares it, at a cost that is no excuse.
 * Enforces: one server per test file, one database per test (a clone of a prepared template); nothing is left behind, also when the
 * test's process is killed; `PG_URL` runs the same tests on an external server.
 * Forbids: import by anything but tests; settings that change what a commit means (fsync stays on unless a test asks).
 */
import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
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
import { quoteName } from "./database.ts";
import { type EmbeddedServer, startEmbedded } from "./embedded/embedded.ts";
import { inTransaction, openClient, openPool, type Pool } from "./pool.ts";
import { prepareDatabase } from "./prepare.ts";
import type { LoginRole } from "./role_names.ts";
import { type DatabaseSecrets, roleConnection } from "./secrets.ts";

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
}

/** One server per test file: embedded in a temporary directory, or the external one of PG_URL. */
export interface TestServer {
  /** The embedded server, undefined with PG_URL. */
  readonly embedded: EmbeddedServer | undefined;
  readonly telemetry: Telemetry;
  /** A fresh database, cloned from a prepared template (migrations, roles, rights, partitions). `empty` gives one with nothing in it. */
  database(options?: { readonly empty?: boolean }): Promise<TestDatabase>;
  /** Stops an embedded server at once and removes its directory. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Small, and as durable as any; a test server has few connections. */
const testSettings = { shared_buffers: "32MB", max_wal_size: "512MB", min_wal_size: "80MB", max_connections: "120" } as const;

/** Use as `const server = await openTestServer(); after(() => server.close());` at the top of a test file. */
export async function openTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const telemetry = recordingTelemetry();
  const url = systemEnvironment().PG_URL;
  const directory = await mkdtemp(join(tmpdir(), "re-test-"));
  // As root the server runs as somebody else, who must be able to pass.
  await chmod(directory, 0o711);
  const embedded =
    url === undefined || url === ""
      ? await startEmbedded({
          dataDir: join(directory, "d"),
          runtimeDir: join(directory, "r"),
          syncNewCluster: false,
          settings: { ...testSettings, ...options.settings },
          telemetry,
          clock: systemClock,
          random: systemRandom,
        })
      : undefined;
  const release = embedded === undefined ? undefined : guardAgainstKill(embedded.pid, directory);
  return new Server({ embedded, admin: embedded?.connection ?? parseConnectionUrl(url ?? ""), directory, telemetry, release });
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
 * The server has a session of its own and would outlive a test process that is killed: a shell waits for the end of a pipe from us
 * and then cleans up. Gives the function that sends the shell away.
 */
function guardAgainstKill(pid: number, directory: string): () => void {
  const script = 'read -r word; [ "$word" = released ] || { kill -QUIT "$1"; sleep 1; rm -rf "$2"; }';
  const guard = spawn("sh", ["-c", script, "guard", String(pid), directory], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  guard.unref();
  guard.stdin.on("error", () => {});
  (guard.stdin as unknown as { unref(): void }).unref();
  return () => guard.stdin.end("released\n");
}

interface ServerParts {
  readonly embedded: EmbeddedServer | undefined;
  readonly admin: Connection;
  readonly directory: string;
  readonly telemetry: Telemetry;
  readonly release: (() => void) | undefined;
}

class Server implements TestServer {
  readonly embedded: EmbeddedServer | undefined;
  readonly telemetry: Telemetry;
  readonly #parts: ServerParts;
  readonly #open = new Set<TestDatabase>();
  readonly #prefix = `re_test_${systemRandom.bytes(6).toString("hex")}`;
  #count = 0;
  #template: Promise<DatabaseSecrets> | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.embedded = parts.embedded;
    this.telemetry = parts.telemetry;
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
    if (this.#parts.embedded === undefined) {
      if (this.#template !== undefined) await this.#asAdmin(`DROP DATABASE IF EXISTS ${quoteName(this.#templateName)} WITH (FORCE)`);
    } else {
      this.#parts.release?.();
      await this.#parts.embedded.stop("immediate");
    }
    await rm(this.#parts.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #templateName(): string {
    return `${this.#prefix}_template`;
  }

  async #prepareTemplate(): Promise<DatabaseSecrets> {
    const external = this.#parts.embedded === undefined;
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
