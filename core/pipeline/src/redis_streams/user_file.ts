/**
 * Why it exists: servers read their users from a file (`aclfile`), people from a page; both are made from the table of rights.
 * Enforces: nobody gets in without a name; of a password the servers' file has the hash only; each user has its role's rights and no more.
 * Forbids: rights of its own.
 */
import { createHash } from "node:crypto";
import { BusError } from "../errors.ts";
import { KeyPatterns } from "./key_patterns.ts";
import { BusKeys } from "./keys.ts";
import type { Durability } from "./server_facts.ts";
import type { ServersUser } from "./servers.ts";
import {
  type BusRole,
  busRoles,
  commonCommands,
  flushCommand,
  type Right,
  roleRights,
  type ServerUser,
  serverRights,
} from "./user_rights.ts";

/** Users with a password. The servers' own are there where one server knows another. */
export type BusUser = BusRole | "replica" | "cluster";
export type BusPasswords = Readonly<Partial<Record<BusUser, string>>>;

/** How a role logs in; its name there hangs on the prefix. */
export interface BusLogin {
  readonly role: BusRole;
  readonly password: string;
}

export interface BusUsersOptions {
  readonly prefix: string;
  readonly level: Durability["level"];
  /** Of servers that have WAITAOF; others do not load such a file. */
  readonly waitaof?: boolean;
}

/** Installations that share servers have users of their own. */
export function busUserName(prefix: string, user: BusUser | ServerUser): string {
  return `${prefix}-${user}`;
}

/** Users that this durability needs. */
export function busUsersOf(level: Durability["level"]): BusUser[] {
  return level === "local" ? [...busRoles] : [...busRoles, "replica", "cluster"];
}

/**
 * Text of the servers' file of users. Needs Redis 7.0 or Valkey 7.2, which know rights on some keys beside rights on others.
 * @throws BusError BUS_BAD_ARGUMENT
 */
export function busUsersFile({ prefix, level, waitaof }: BusUsersOptions, passwords: BusPasswords): string {
  if (waitaof === true && level === "local")
    throw new BusError("BUS_BAD_ARGUMENT", "WAITAOF is for bus.durability replicated: with local a server flushes before it answers");
  const at = new KeyPatterns(prefix);
  const common = [...commonCommands(level), ...(waitaof === true ? [flushCommand] : [])];
  const lines = [
    "user default off resetpass resetkeys resetchannels -@all",
    userLine(prefix, "health", "nopass", serverRights.health.commands),
  ];
  for (const user of busUsersOf(level)) {
    const hash = `#${hashOf(passwords[user], user)}`;
    if (user === "replica" || user === "cluster") lines.push(userLine(prefix, user, hash, serverRights[user].commands));
    else {
      const mark = `(+get ${at
        .rights(rightsMark(prefix, user, level))
        .map((key) => `%R~${key}`)
        .join(" ")})`;
      lines.push([userLine(prefix, user, hash, common), ...selectorsOf(user, level, at), mark].join(" "));
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * All files that the servers need of us, by name: their users; with replicas also how those log in, and the password of who makes a cluster.
 * @throws BusError BUS_BAD_ARGUMENT
 */
export function busServerFiles(installation: BusUsersOptions, passwords: BusPasswords): Readonly<Record<string, string>> {
  const users = { "users.acl": busUsersFile(installation, passwords) };
  if (installation.level === "local") return users;
  const replica = `masteruser ${busUserName(installation.prefix, "replica")}\nmasterauth ${passwords.replica}\n`;
  return { ...users, "replication.conf": replica, cluster_password: `${passwords.cluster}\n` };
}

/** How this role comes to servers. */
export function serversUser(prefix: string, { role, password }: BusLogin, level: Durability["level"]): ServersUser {
  const credentials = { username: busUserName(prefix, role), password };
  return { credentials, rightsKey: new BusKeys(prefix).rights(rightsMark(prefix, role, level)) };
}

function userLine(prefix: string, user: BusUser | ServerUser, password: string, commands: readonly string[]): string {
  const granted = commands.map((command) => `+${command}`);
  return `user ${busUserName(prefix, user)} on ${password} sanitize-payload resetkeys resetchannels -@all ${granted.join(" ")}`;
}

function hashOf(password: string | undefined, user: BusUser): string {
  if (password === undefined || password === "") throw new BusError("BUS_BAD_ARGUMENT", `there is no password for the user of ${user}`);
  return createHash("sha256").update(password).digest("hex");
}

/**
 * Tells rights apart. A user may read the key of this name (it holds nothing) if the servers know him with these rights: a script that is refused
 * a command in its middle has made half of its changes, so users of another release must be noticed before.
 */
export function rightsMark(prefix: string, role: BusRole, level: Durability["level"]): string {
  const said = [...commonCommands(level), ...selectorsOf(role, level, new KeyPatterns(prefix))].join(" ");
  return createHash("sha256").update(said).digest("hex").slice(0, 16);
}

/** A script's own rights are those of whoever runs it; beyond that it needs EVALSHA on the keys that it is handed. */
function rightsOf(role: BusRole, level: Durability["level"]): Right[] {
  const { named, rights } = roleRights[role];
  const own = rights.filter(({ replicated }) => replicated !== true || level === "replicated");
  return [{ commands: ["evalsha", "eval"], access: "write", keys: named }, ...own];
}

function selectorsOf(role: BusRole, level: Durability["level"], at: KeyPatterns): string[] {
  return rightsOf(role, level).map(({ commands, access, keys }) => {
    const mark = access === "read" ? "%R~" : "~";
    return `(${[...commands.map((command) => `+${command}`), ...keys(at).map((key) => `${mark}${key}`)].join(" ")})`;
  });
}

/** The table of rights as a reference page. */
export function busUsersPage(): string {
  const at = new KeyPatterns("PREFIX", ["N"]);
  const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(", ");
  const lines = [
    "# Users of the log's servers",
    "",
    "Generated by `npm run docs`; do not edit.",
    "",
    "Rights of each role's user on Redis or Valkey servers, as `ransomeye bus acl` writes them; [the event bus](../bus.md) says how to use it. PREFIX is",
    "`bus.key_prefix`, N the number of a partition. Every role's user may also call, on no key:",
    `${code(commonCommands("local"))} where \`bus.durability\` is local, ${code(commonCommands("replicated"))} where it is replicated,`,
    `and \`${flushCommand}\` where the file was made with \`--waitaof\`.`,
    "A script needs the right to every command that it calls, on the key on which it calls it: to be handed a key is no right to it. Beside these, each may `GET`",
    "one key that holds nothing and is named after its rights: by that a role knows that the servers' users are those of its release.",
  ];
  for (const role of busRoles) {
    lines.push("", `## ${busUserName("PREFIX", role)}`, "", `${upper(roleRights[role].does)}.`, "", "| commands | on keys |", "|---|---|");
    for (const { commands, access, keys, replicated } of rightsOf(role, "replicated")) {
      const said = [...(access === "read" ? ["reading"] : []), ...(replicated === true ? ["durability replicated"] : [])];
      lines.push(`| ${code(commands)}${said.length === 0 ? "" : ` (${said.join(", ")})`} | ${code(keys(at))} |`);
    }
  }
  lines.push("", "## Users of the servers themselves", "", "| user | for | commands |", "|---|---|---|");
  for (const [user, { does, commands }] of Object.entries(serverRights))
    lines.push(`| \`${busUserName("PREFIX", user as ServerUser)}\` | ${does} | ${code(commands)} |`);
  lines.push("", "The last two are there where `bus.durability` is replicated. The user `default` is off.");
  return `${lines.join("\n")}\n`;
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
