/**
 * Why it exists: a machine of the fleet gets its identity here, and keeps it good where no agent runs all the time.
 * Enforces: the token comes from a file or from standard input, never from the command line, where every user of the machine could read it; a command that
 * was interrupted may be repeated.
 * Forbids: an identity that replaces another one.
 */
import { readFile } from "node:fs/promises";
import { X509Certificate } from "node:crypto";
import { producerKinds } from "ransomeye-ingestion/protocol";
import { parseAddress } from "ransomeye-kernel";
import { enrolWithToken, loadIdentity, type ProducerIdentity, type RegistryContext, renewIdentity, rotateBatchKey } from "ransomeye-sdk";
import { CliError } from "../errors.ts";
import { hasIdentity } from "../ship/identities.ts";
import { formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";

const timeoutMs = 15_000;

export const enrolCommand: CommandSpec = {
  path: "enrol",
  summary: "enrol this machine with a registry on the network, by a token",
  prose:
    "Keys are made here and stay here, mode 0600; the registry gets public halves and proofs. The token says which registry may see it, so that nothing needs to be trusted beforehand. If the command is interrupted, repeat it: the same keys ask again and get the same identity. Agents renew by themselves; where none runs, use --renew.",
  options: [
    { flags: "--server <host:port>", help: "the registry's enrolment address" },
    { flags: "--token-file <file>", help: "where the token stands; - reads it from standard input" },
    { flags: "--kind <kind>", help: "what this machine is", choices: producerKinds },
    { flags: "--identity <dir>", help: "the folder of the identity" },
    { flags: "--renew", help: "renew the certificate of the identity in --identity instead" },
    { flags: "--rotate-key", help: "replace the batch key of the identity in --identity instead" },
  ],
  examples: [
    {
      line: "ransomeye enrol --server siem.example:7444 --token-file token --kind linux --identity /var/lib/ransomeye/identity",
      says: "Once, on the machine.",
    },
    { line: "ransomeye enrol --renew --identity /var/lib/ransomeye/identity", says: "From a timer, where no agent runs." },
  ],
  json: `{"producer": uuid, "kind": string, "directory": string, "known": boolean, "not_after": ISO 8601, "old_key_until": ISO 8601 | null}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const directory = textOption(options, "identity");
    if (directory === undefined) throw new CliError("CLI_USAGE", "--identity is needed");
    if (options["renew"] === true || options["rotateKey"] === true) return change(context, directory, options);
    const address = parseAddress(textOption(options, "server") ?? "");
    const kind = producerKinds.find((known) => known === options["kind"]);
    const tokenFile = textOption(options, "tokenFile");
    if (address === undefined || kind === undefined || tokenFile === undefined)
      throw new CliError("CLI_USAGE", "--server host:port, --token-file and --kind are needed");
    if (await hasIdentity(directory)) throw new CliError("CLI_USAGE", `there is an identity in ${directory}; renew it with --renew`);
    const token = tokenFile === "-" ? await readStdin(context) : await readTokenFile(tokenFile);
    const { identity, name, known } = await enrolWithToken({ ...context, address, timeoutMs }, { directory, token, kind });
    show(context, directory, identity, { head: `enrolled   ${terminalSafe(name)} (${kind})`, known });
    return "ok";
  },
};

async function change(context: CommandContext, directory: string, options: OptionValues): Promise<"ok"> {
  const { enrolment } = await loadIdentity(directory);
  const address = parseAddress(textOption(options, "server") ?? "") ?? enrolment;
  if (address === undefined) throw new CliError("CLI_USAGE", "this identity was not enrolled over the network; say --server host:port");
  const registry: RegistryContext = { clock: context.clock, random: context.random, address, timeoutMs };
  if (options["rotateKey"] === true) {
    const { identity, retiredUs } = await rotateBatchKey(registry, directory);
    show(context, directory, identity, { head: "batch key  replaced", known: true, oldKeyUntilUs: retiredUs });
  } else show(context, directory, await renewIdentity(registry, directory), { head: "renewed", known: true });
  return "ok";
}

function show(
  context: CommandContext,
  directory: string,
  identity: ProducerIdentity,
  o: { readonly head: string; readonly known: boolean; readonly oldKeyUntilUs?: number },
): void {
  const notAfter = formatTimeUs(Date.parse(new X509Certificate(identity.tlsCertPem).validTo) * 1000);
  const oldKeyUntil = o.oldKeyUntilUs === undefined ? null : formatTimeUs(o.oldKeyUntilUs);
  const { producer, kind } = identity;
  context.result(
    { producer, kind, directory, known: o.known, not_after: notAfter, old_key_until: oldKeyUntil },
    [
      o.head,
      `producer   ${producer}`,
      `identity   ${terminalSafe(directory)}`,
      `valid to   ${notAfter}`,
      ...(oldKeyUntil === null ? [] : [`old key    good until ${oldKeyUntil}`]),
    ].join("\n"),
  );
}

async function readTokenFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new CliError("CLI_FILE", `the token file ${path} cannot be read`, { cause });
  }
}

async function readStdin({ stdin }: CommandContext): Promise<string> {
  let text = "";
  for await (const chunk of stdin.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > tokenFileCharsMax) throw new CliError("CLI_USAGE", "standard input holds more than a token");
  }
  return text;
}

const tokenFileCharsMax = 4096;
