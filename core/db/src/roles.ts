/**
 * Why it exists: the roles that log in get their generated passwords, and limits that suit what they do.
 * Enforces: no role of ours is more than an ordinary one; a session that goes silent inside a transaction is ended, since it holds
 * locks and the horizon of cleaning up.
 * Forbids: a password in a statement's text (the server would show it in pg_stat_activity): the verifier is computed here.
 */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { Random } from "ransomeye-kernel";
import { quoteText } from "./database.ts";
import { DbError } from "./errors.ts";
import type { Queryable } from "./pool.ts";
import { loginRoles } from "./role_names.ts";
import type { DatabaseSecrets } from "./secrets.ts";

const iterations = 4096;
const saltBytes = 16;

/** What PostgreSQL stores for a password (RFC 5803): it can check the password and cannot be turned back into it. */
export function scramVerifier(password: string, salt: Buffer): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  const serverKey = hmac(salted, "Server Key");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey.toString("base64")}:${serverKey.toString("base64")}`;
}

/** Settings of every session of our roles; a session may still choose others for itself. */
const roleSettings: readonly string[] = [
  // Functions and statements name their schemas; nothing is found by accident.
  "search_path = pg_catalog, pg_temp",
  "idle_in_transaction_session_timeout = '60s'",
  "synchronous_commit = on",
  // As on the embedded server: the queries here are short or read much, and compiling one takes longer than it then runs.
  "jit = off",
];

/** Sets passwords, attributes and settings of all roles that log in. Run it inside a transaction, as administrator. */
export async function applyRoles(client: Queryable, secrets: DatabaseSecrets, random: Random): Promise<void> {
  const { rows } = await client.query<{ rolname: string; rolcanlogin: boolean; settings: string[] | null }>(
    `SELECT r.rolname, r.rolcanlogin, s.setconfig AS settings FROM pg_roles r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0
     WHERE r.rolname = ANY ($1)`,
    [loginRoles],
  );
  for (const role of loginRoles) {
    const password = secrets.passwords[role];
    if (password === undefined) throw new DbError("DB_SECRETS_UNREADABLE", `The secrets file has no password for ${role}.`);
    const verifier = scramVerifier(password, random.bytes(saltBytes));
    await client.query(`ALTER ROLE ${role} LOGIN NOINHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1 PASSWORD ${quoteText(verifier)}`);
    const known = rows.find((row) => row.rolname === role)?.settings ?? [];
    if (known.length < roleSettings.length) for (const setting of roleSettings) await client.query(`ALTER ROLE ${role} SET ${setting}`);
  }
}
