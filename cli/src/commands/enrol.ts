/**
 * Why it exists: a machine of the fleet gets its identity here, and keeps it good where no agent runs all the time.
 * Enforces: the token comes from a file or from standard input, never from the command line, where every user of the machine could read it; a command that
 * was interrupted may be repeated.
 * Forbids: an identity that replaces another one.
 */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
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
    {
      flags: "--identity <dir>",
      help: "the folder of the identity, of its own: identities/NAME in the data directory of the agent that will use it",
    },
    { flags: "--renew", help: "renew the certificate of the identity in --identity instead" },
    { flags: "--rotate-key", help: "replace the batch key of the identity in --identity instead" },
  ],
  examples: [
    {
      line: "ransomeye enrol --server siem.example:7444 --token-file token --kind linux --identity /var/lib/ransomeye/identities/web-3",
      says: "Once, on the machine.",
    },
    {
      line: "ransomeye agent /var/log/syslog --data-dir /var/lib/ransomeye --producer web-3 --gateway siem.example:7443",
      says: "Then it sends.",
    },
    { line: "ransomeye enrol --renew --identity /var/lib/ransomeye/identities/web-3", says: "From a timer, where no agent runs." },
  ],
  json: `{"producer": uuid, "kind": string, "directory": string, "known": boolean, "not_after": ISO 8601, "old_key_until": ISO 8601 | null}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const directory = textOption(options, "identity");
    if (directory === undefined) throw new CliError("CLI_USAGE", "--identity is needed");
    if (options["renew"] === true || options["rotateKey"] === true) return change(context, directory, options);
    const address = serverOption(options);
    const kind = producerKinds.find((known) => known === options["kind"]);
    const tokenFile = textOption(options, "tokenFile");
    if (address === undefined || kind === undefined || tokenFile === undefined)
      throw new CliError("CLI_USAGE", "--server host:port, --token-file and --kind are needed");
    if (await hasIdentity(directory)) throw new CliError("CLI_USAGE", `there is an identity in ${directory}; renew it with --renew`);
    const token = tokenFile === "-" ? await readStdin(context) : await readTokenFile(tokenFile);
    const registry: RegistryContext = { clock: context.clock, random: context.random, address, timeoutMs };
    const { identity, name, known } = await enrolWithToken(registry, { directory, token, kind });
    show(context, directory, identity, { head: `enrolled   ${terminalSafe(name)} (${kind})`, known });
    context.note(nextStep(resolve(directory)));
    return "ok";
  },
};

/** `--server`, undefined where it is not given. @throws CliError CLI_USAGE */
function serverOption(options: OptionValues): RegistryContext["address"] | undefined {
  const text = textOption(options, "server");
  const address = text === undefined ? undefined : parseAddress(text);
  if (text !== undefined && address === undefined) throw new CliError("CLI_USAGE", `--server ${text}: host:port was expected`);
  return address;
}

/** `ship` and the agent know identities by name, in the folder of a data directory. */
function nextStep(directory: string): string {
  const [name, folder, dataDir] = [basename(directory), basename(dirname(directory)), dirname(dirname(directory))];
  return folder === "identities"
    ? `next: ransomeye agent PATH… --data-dir ${dataDir} --producer ${name} --gateway HOST:PORT`
    : "next: put it into a data directory as identities/NAME, then: ransomeye agent PATH… --producer NAME --gateway HOST:PORT";
}

async function change(context: CommandContext, directory: string, options: OptionValues): Promise<"ok"> {
  if (options["renew"] === true && options["rotateKey"] === true) throw new CliError("CLI_USAGE", "--renew or --rotate-key, one at a time");
  const given = serverOption(options);
  const { enrolment } = await loadIdentity(directory);
  const address = given ?? enrolment;
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
