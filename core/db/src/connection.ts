/**
 * Why it exists: one shape for "how to reach PostgreSQL", embedded or external, as administrator or as one of our roles.
 * Enforces: passwords travel in this value only, never in argv or in a log line.
 * Forbids: reading the environment (PGHOST and friends have no effect on us).
 */
import { DbError } from "./errors.ts";

/** TLS for an external server, as Node's tls.connect takes it; `false` or absent means none (unix socket, loopback). */
export type ConnectionTls =
  | boolean
  | { readonly rejectUnauthorized?: boolean; readonly ca?: string; readonly cert?: string; readonly key?: string };

/** How to reach one database. `host` is a host name, or the absolute path of the directory that holds the unix socket. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly ssl?: ConnectionTls;
}

const defaultPort = 5432;

/** What `sslmode` asks of TLS. `require` encrypts without proof of identity, as libpq does; the verify modes prove it. */
const tlsOfSslMode: Readonly<Record<string, ConnectionTls>> = {
  disable: false,
  require: { rejectUnauthorized: false },
  "verify-ca": true,
  "verify-full": true,
};

/**
 * Reads `postgres://user:password@host:port/database?host=/socket/directory&sslmode=verify-full`.
 * `?host=` stands for the URL's own host, which cannot be a path. Only those two parameters are understood: one that we would ignore silently could be one that somebody relies on.
 * @throws DbError DB_URL_INVALID (its message never repeats the URL, which holds a password)
 */
export function parseConnectionUrl(text: string): Connection {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new DbError("DB_URL_INVALID", "The database URL is not a URL.");
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw new DbError("DB_URL_INVALID", `The database URL begins with ${url.protocol} instead of postgres:`);
  }
  for (const name of url.searchParams.keys()) {
    if (name !== "host" && name !== "sslmode") throw new DbError("DB_URL_INVALID", `Unknown parameter "${name}" in the database URL.`);
  }
  const sslMode = url.searchParams.get("sslmode") ?? "disable";
  const ssl = tlsOfSslMode[sslMode];
  if (ssl === undefined) throw new DbError("DB_URL_INVALID", `Unknown sslmode "${sslMode}" in the database URL.`);
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  const database = decodeURIComponent(url.pathname.slice(1));
  const user = decodeURIComponent(url.username);
  if (host === "" || database === "" || user === "") {
    throw new DbError("DB_URL_INVALID", "The database URL must name a host, a user and a database.");
  }
  const port = url.port === "" ? defaultPort : Number(url.port);
  return { host, port, database, user, password: decodeURIComponent(url.password), ssl };
}
