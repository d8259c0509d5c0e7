/**
 * Why it exists: each role of the database has a generated password, and processes get only their own.
 * Enforces: one file, mode 0600, written atomically; passwords of 256 random bits; a missing role is added, never replaced.
 * Forbids: passwords in argv, environment, logs or error messages.
 */
import { open } from "node:fs/promises";
import { type Random, writeFileAtomic } from "ransomeye-kernel";
import type { Connection } from "./connection.ts";
import { DbError } from "./errors.ts";
import { type LoginRole, loginRoles } from "./role_names.ts";

/** Passwords by role name. `postgres` is the embedded server's superuser; absent with an external server. */
export interface DatabaseSecrets {
  readonly passwords: Readonly<Record<string, string>>;
}

/** The embedded server's superuser. */
export const superuserName = "postgres";

const passwordBytes = 32;

/**
 * Reads the secrets file.
 * @throws DbError DB_SECRETS_UNREADABLE
 */
export async function readSecrets(path: string): Promise<DatabaseSecrets> {
  const secrets = await readIfPresent(path);
  if (secrets === undefined) throw new DbError("DB_SECRETS_UNREADABLE", `There is no file ${path}.`);
  return secrets;
}

/**
 * Reads the secrets file, adding (and writing, before anything uses them) passwords for those of `roles` that have none yet.
 * @throws DbError DB_SECRETS_UNREADABLE if the file exists but is damaged
 */
export async function ensureSecrets(path: string, roles: readonly string[], random: Random): Promise<DatabaseSecrets> {
  const present = await readIfPresent(path);
  const passwords: Record<string, string> = { ...present?.passwords };
  const missing = roles.filter((role) => passwords[role] === undefined);
  if (present !== undefined && missing.length === 0) return present;
  for (const role of missing) passwords[role] = random.bytes(passwordBytes).toString("base64url");
  await writeFileAtomic(path, `${JSON.stringify({ version: 1, passwords }, null, 2)}\n`, 0o600);
  return { passwords };
}

/**
 * The connection of one of our roles to the server and database of `server`.
 * @throws DbError DB_SECRETS_UNREADABLE if the role has no password
 */
export function roleConnection(
  server: Pick<Connection, "host" | "port" | "database" | "ssl">,
  secrets: DatabaseSecrets,
  role: LoginRole,
): Connection {
  const password = secrets.passwords[role];
  if (password === undefined) throw new DbError("DB_SECRETS_UNREADABLE", `The secrets file has no password for ${role}.`);
  const { host, port, database, ssl } = server;
  return { host, port, database, user: role, password, ...(ssl === undefined ? {} : { ssl }) };
}

/** Roles whose passwords {@link ensureSecrets} makes for an external server; the embedded one adds its superuser. */
export const secretRoles: readonly string[] = loginRoles;

async function readIfPresent(path: string): Promise<DatabaseSecrets | undefined> {
  let text: string;
  try {
    const file = await open(path, "r");
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0) {
        throw new DbError(
          "DB_SECRETS_UNREADABLE",
          `${path} is open to other users (mode ${(mode & 0o777).toString(8)}); make it 0600 and change the passwords.`,
        );
      }
      text = await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof DbError) throw error;
    throw new DbError("DB_SECRETS_UNREADABLE", `${path} cannot be read.`, { cause: error });
  }
  // A parse error is not kept as cause: its message would quote the file.
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new DbError("DB_SECRETS_UNREADABLE", `${path} is not JSON.`);
  }
  const passwords = (parsed as { passwords?: unknown } | null)?.passwords;
  if (typeof passwords !== "object" || passwords === null || Object.values(passwords).some((value) => typeof value !== "string")) {
    throw new DbError("DB_SECRETS_UNREADABLE", `${path} does not hold passwords by role.`);
  }
  return { passwords: passwords as Record<string, string> };
}
