/**
 * Why it exists: the log's servers should know each part of the system by a user of its own, and nobody writes such a file by hand.
 * Enforces: rights from the one table; the passwords go into a private file, the servers' file has their hashes only; said twice it prints the same.
 * Forbids: passwords on the command line or among what is printed.
 */
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { busServerFiles, busUsersFile } from "ransomeye-pipeline";
import { ensureBusUsers } from "../supervisor/bus_users.ts";
import { createDataDir, makePrivate } from "../supervisor/data_dir.ts";
import { type CommandSpec, textOption } from "./command.ts";

const usersName = "bus_users.json";

export const busAclCommand: CommandSpec = {
  path: "bus acl",
  summary: "make the users of the log's Redis or Valkey servers: prints their file, keeps the passwords",
  prose:
    "Prints the text of the servers' file of users (their setting `aclfile`): one user for each role with the rights that it needs, and nobody without a name. Passwords are made once and kept in a private file, which the field `bus.users_file` names to `ransomeye start`; what is printed has hashes only. Needs Redis 7.0 or Valkey 7.2. Key prefix and durability are the configuration's, unless options say otherwise.",
  options: [
    {
      flags: "--users-file <file>",
      help: "where the passwords are kept (default: bus.users_file, else secrets/bus_users.json in the data directory)",
    },
    { flags: "--out <dir>", help: "write all files that servers and system need there, each private (0600), and print nothing" },
    { flags: "--prefix <text>", help: "key prefix of the installation (bus.key_prefix)" },
    {
      flags: "--durability <level>",
      help: "replicated: also users with which servers know each other (bus.durability)",
      choices: ["local", "replicated"],
    },
    {
      flags: "--waitaof",
      help: "for servers that have WAITAOF (Redis 7.2, Valkey 7.2 and newer), with --durability replicated; older ones do not load such a file, and with users that may not ask for it the system does not start",
    },
    { flags: "--renew", help: "new passwords for all; servers and system have to be told" },
  ],
  examples: [
    { line: "ransomeye bus acl > users.acl", says: "For servers whose configuration says: aclfile /path/to/users.acl." },
    { line: "ransomeye bus acl --out deploy/secrets --durability replicated", says: "For servers with replicas, or a cluster." },
    { line: "ransomeye bus acl --out deploy/secrets --durability replicated --waitaof", says: "The same, where these have WAITAOF." },
  ],
  json: `{"users_file": string, "written": boolean, "files": [string], "acl": string | null}
files: what --out wrote beside the passwords; acl: the servers' file of users, null with --out`,
  exits: ["ok", "usage", "config", "found"],
  async run(context, _args, options) {
    const out = textOption(options, "out");
    const { bus } = await context.config({
      "bus.key_prefix": textOption(options, "prefix"),
      "bus.durability": textOption(options, "durability"),
      "bus.users_file": textOption(options, "usersFile") ?? (out === undefined ? undefined : join(out, usersName)),
    });
    const dir = await context.dataDir();
    if (out !== undefined) await makePrivate(out);
    else if (bus.usersFile === "") await createDataDir(dir);
    const path = bus.usersFile === "" ? join(dir.secrets, usersName) : bus.usersFile;
    const { users, written } = await ensureBusUsers(path, bus, context.random, options["renew"] === true);
    const installation = { prefix: users.prefix, level: bus.durability, waitaof: options["waitaof"] === true };
    context.note(written ? `passwords written to ${path}` : `passwords as they are in ${path}`);
    if (out === undefined) {
      const acl = busUsersFile(installation, users.passwords);
      context.result({ users_file: path, written, files: [], acl }, acl.trimEnd());
      return "ok";
    }
    const files: string[] = [];
    for (const [name, text] of Object.entries(busServerFiles(installation, users.passwords))) {
      files.push(join(out, name));
      await writeFileAtomic(join(out, name), text, 0o600);
    }
    context.note(`for the servers: ${files.join(", ")}`);
    context.result({ users_file: path, written, files, acl: null }, "");
    return "ok";
  },
};
