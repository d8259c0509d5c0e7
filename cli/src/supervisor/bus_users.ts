/**
 * Why it exists: where the log's servers know each part of the system as a user of its own, somebody has to hold the passwords.
 * Enforces: one private file (0600) that the supervisor alone reads; each role is told its own login over its channel and no other's.
 * Forbids: passwords on a command line, in the environment or in a log; passwords that a person chose.
 */
import type { BusLogin, BusPasswords, BusRole } from "ransomeye-pipeline";
import { busUsersOf } from "ransomeye-pipeline";
import { type Config, type Random, writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { readPrivate } from "../registry/key_files.ts";
import type { RoleName } from "./runtime_file.ts";

/** Passwords of all users of an installation. */
export interface BusUsers {
  readonly prefix: string;
  readonly passwords: BusPasswords;
}

/** As whom a process of ours logs in; undefined: it has no business there. */
export const busRoleOf: Readonly<Record<RoleName, BusRole | undefined>> = {
  registry: "registry",
  gateway: "gateway",
  engine: "engine",
  keeper: "keeper",
  sealer: undefined,
  indexer: undefined,
  forensics: "consumer",
  demo: undefined,
};

const passwordBytes = 32;

/** The users of this file; undefined where there is none. @throws CliError CLI_PERMISSION, CLI_FILE */
export async function readBusUsers(path: string, prefix: string): Promise<BusUsers | undefined> {
  const text = await readPrivate(path);
  if (text === undefined) return undefined;
  const found = parsed(text);
  if (found === undefined) throw new CliError("CLI_FILE", `${path} is no file of users as \`ransomeye bus acl\` writes it`);
  if (found.prefix !== prefix)
    throw new CliError("CLI_FILE", `${path} holds the users of the key prefix ${found.prefix}; bus.key_prefix is ${prefix}`);
  return found;
}

/** The same, made where it is missing; a user that is missing in it gets a password, or with `renew` all of them get new ones. */
export async function ensureBusUsers(
  path: string,
  { keyPrefix, durability }: Pick<Config["bus"], "keyPrefix" | "durability">,
  random: Random,
  renew: boolean,
): Promise<{ readonly users: BusUsers; readonly written: boolean }> {
  const known = await readBusUsers(path, keyPrefix);
  const passwords: Record<string, string> = renew ? {} : { ...known?.passwords };
  const missing = busUsersOf(durability).filter((user) => passwords[user] === undefined);
  for (const user of missing) passwords[user] = random.bytes(passwordBytes).toString("base64url");
  const users = { prefix: keyPrefix, passwords };
  if (missing.length > 0) await writeFileAtomic(path, `${JSON.stringify(users, null, 2)}\n`, 0o600);
  return { users, written: missing.length > 0 };
}

/** The users that the configuration names; undefined where everybody logs in as the URL says. @throws CliError CLI_START_FAILED and as above */
export async function configuredBusUsers({ bus }: Config): Promise<BusUsers | undefined> {
  if (bus.usersFile === "") return undefined;
  const users = await readBusUsers(bus.usersFile, bus.keyPrefix);
  if (users === undefined)
    throw new CliError("CLI_START_FAILED", `bus.users_file names ${bus.usersFile}, which does not exist: \`ransomeye bus acl\` makes it`);
  return users;
}

/** How this role logs in. @throws CliError CLI_START_FAILED */
export function busLogin(users: BusUsers | undefined, role: BusRole): BusLogin | undefined {
  if (users === undefined) return undefined;
  const password = users.passwords[role];
  if (password === undefined)
    throw new CliError("CLI_START_FAILED", `the file of users has none for ${role}: run \`ransomeye bus acl\` again`);
  return { role, password };
}

function parsed(text: string): BusUsers | undefined {
  try {
    const { prefix, passwords } = JSON.parse(text) as { readonly prefix?: unknown; readonly passwords?: unknown };
    if (typeof prefix !== "string" || typeof passwords !== "object" || passwords === null) return undefined;
    if (!Object.values(passwords).every((password) => typeof password === "string" && password !== "")) return undefined;
    return { prefix, passwords };
  } catch {
    return undefined;
  }
}
