/**
 * Why it exists: an operator lets machines enrol by themselves, for a while and a number of times.
 * Enforces: a token is printed once, by the command that makes it, and to standard output only; lists show everything but the secret.
 * Forbids: tokens on a command line: an agent reads its token from a file or from standard input.
 */
import { producerKinds } from "ransomeye-ingestion/protocol";
import { CliError } from "../errors.ts";
import { parseTokens, type ShownToken } from "../registry/requests.ts";
import { formatTable, formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandSpec, textOption } from "./command.ts";
import { ask } from "./registry_question.ts";
import { parseDurationSeconds } from "./time.ts";

const tokenShape = `{"id": hex, "name": string, "kind": string, "uses": n, "uses_max": n, "expires": ISO 8601, "revoked": boolean}`;

const tokenCreateCommand: CommandSpec = {
  path: "producer token create",
  summary: "make a token with which a machine may enrol over the network; it is shown once",
  prose:
    "The token is `re1.<id>.<secret>.<pin>`: the registry keeps a hash of the secret, and the pin says which authority an agent may show it to. Give it to the machine as a file (`ransomeye enrol --token-file`). With --uses several machines share it, and their names are NAME-1, NAME-2, …",
  options: [
    { flags: "--name <name>", help: "the producer's name; with --uses, what their names begin with" },
    { flags: "--kind <kind>", help: "what may enrol with it", choices: producerKinds },
    { flags: "--ttl <duration>", help: "how long it is good: 30m, 1h, 7d (default 1h, at most 30d)" },
    { flags: "--uses <n>", help: "how many machines may enrol with it (default 1)" },
  ],
  examples: [
    { line: "ransomeye producer token create --name ws-12 --kind windows > token", says: "A file to take to that machine." },
    { line: "ransomeye producer token create --name rack7 --kind linux --uses 40 --ttl 2h", says: "For a batch of servers." },
  ],
  json: `{"token": string, "id": hex, "name": string, "kind": string, "uses_max": n, "expires": ISO 8601, "server": string | null}
server: where the system listens for agents; null where it does not.`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const kind = producerKinds.find((known) => known === options["kind"]);
    const name = textOption(options, "name");
    if (kind === undefined || name === undefined) throw new CliError("CLI_USAGE", "--name and --kind are needed");
    const uses = Number(textOption(options, "uses") ?? "1");
    if (!Number.isInteger(uses) || uses < 1) throw new CliError("CLI_USAGE", "--uses is a whole number from 1 on");
    const seconds = parseDurationSeconds(textOption(options, "ttl") ?? "1h");
    const made = (await ask(context, { op: "token_create", name, kind, uses, seconds })) as {
      readonly token: string;
      readonly id: string;
      readonly expires_us: number;
      readonly server: string | null;
    };
    const { server } = made;
    context.note(
      server === null
        ? "the system does not listen for agents: nobody can use this token before enrolment.enabled is set, and the system was started again"
        : `on the machine: ransomeye enrol --server HOST:PORT --token-file FILE --kind ${kind} --identity DIR (agents are listened for on ${server})`,
    );
    context.note(`good until ${formatTimeUs(made.expires_us)}, for ${uses} ${uses === 1 ? "machine" : "machines"}; it is not shown again`);
    const expires = formatTimeUs(made.expires_us);
    context.result({ token: made.token, id: made.id, name, kind, uses_max: uses, expires, server }, made.token);
    return "ok";
  },
};

const tokenListCommand: CommandSpec = {
  path: "producer token list",
  summary: "show the tokens that were made, without their secrets",
  options: [],
  examples: [{ line: "ransomeye producer token list", says: "Who may still enrol." }],
  json: `{"tokens": [${tokenShape}]}`,
  exits: ["ok", "usage", "config", "unreachable"],
  async run(context) {
    const tokens = parseTokens(await ask(context, { op: "token_list" }));
    const nowUs = context.clock.nowUs();
    context.result(
      { tokens: tokens.map(({ expires_us, ...token }) => ({ ...token, expires: formatTimeUs(expires_us) })) },
      tokens.length === 0
        ? "no token was made"
        : formatTable(
            ["id", "name", "kind", "used", "state", "expires"],
            tokens.map((t) => [t.id, t.name, t.kind, `${t.uses}/${t.uses_max}`, stateOf(t, nowUs), formatTimeUs(t.expires_us)]),
          ),
    );
    return "ok";
  },
};

const tokenRevokeCommand: CommandSpec = {
  path: "producer token revoke",
  args: "<id>",
  summary: "make a token worthless; who has enrolled with it stays enrolled",
  options: [],
  examples: [{ line: "ransomeye producer token revoke 9f86d081884c7d65", says: "By its id, the part after `re1.`." }],
  json: `{"id": hex}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [id = ""]) {
    if (!/^[0-9a-f]{16}$/.test(id))
      throw new CliError("CLI_USAGE", `${id} is no token's id: 16 hexadecimal digits, as \`producer token list\` shows them`);
    await ask(context, { op: "token_revoke", id });
    context.result({ id }, `token ${terminalSafe(id)} is revoked`);
    return "ok";
  },
};

function stateOf(token: ShownToken, nowUs: number): string {
  if (token.revoked) return "revoked";
  if (token.uses >= token.uses_max) return "used";
  return token.expires_us <= nowUs ? "expired" : "good";
}

/** In the order of help. */
export const tokenCommands: readonly CommandSpec[] = [tokenCreateCommand, tokenListCommand, tokenRevokeCommand];
