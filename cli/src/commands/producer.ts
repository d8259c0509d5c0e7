/**
 * Why it exists: the operator decides who may send.
 * Enforces: keys are made here, on the producer's side of the socket; the registry sees public halves and proofs only.
 * Forbids: doing without a running registry: it alone holds the CA.
 */
import { join } from "node:path";
import { producerKinds } from "ransomeye-ingestion/protocol";
import { CliError } from "../errors.ts";
import { enrolIdentity } from "../ship/identities.ts";
import { listProducers } from "../registry/client.ts";
import { keySecondsMax } from "../registry/requests.ts";
import { parseProducer, type WireProducer } from "../registry/wire.ts";
import { requireRuntime } from "../supervisor/runtime_file.ts";
import { formatTable, formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandSpec, textOption } from "./command.ts";
import { ask } from "./registry_question.ts";

const producerShape = `{"producer": uuid, "name": string, "kind": "dpi" | "linux" | "windows" | "honeypot", "status": "active" | "suspended" | "revoked",
 "created": ISO 8601, "keys": [{"key_id": hex, "retired": boolean}], "certificates": [{"fingerprint": hex, "not_after": ISO 8601, "revoked": boolean}]}`;

const enrollCommand: CommandSpec = {
  path: "producer enroll",
  aliases: ["enrol"],
  args: "<name>",
  summary: "make keys for a new producer, have its certificate issued, and keep both as an identity",
  prose:
    "The identity's folder (default: identities/NAME in the data directory) holds private keys, mode 0600. Enrolling again with the same folder renews the certificate and keeps producer id and batch key.",
  options: [
    { flags: "--kind <kind>", help: "what it is; decides the table its events go to", choices: producerKinds },
    { flags: "--out <dir>", help: "put the identity there, to carry it to another host" },
  ],
  examples: [
    { line: "ransomeye producer enroll probe-7 --kind dpi", says: "An identity for `ransomeye ship --producer probe-7`." },
    { line: "ransomeye producer enroll ws-12 --kind windows --out /media/stick/ws-12", says: "One for another host." },
  ],
  json: `{"producer": uuid, "name": string, "kind": string, "directory": string, "known": boolean, "not_after": ISO 8601}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [name = ""], options) {
    const kind = producerKinds.find((known) => known === options["kind"]);
    if (kind === undefined) throw new CliError("CLI_USAGE", `--kind is needed, one of ${producerKinds.join(", ")}`);
    const dir = await context.dataDir();
    const directory = textOption(options, "out") ?? join(dir.identities, name);
    const { registrySocket } = await requireRuntime(dir);
    const enrolled = await enrolIdentity({ directory, name, kind, registrySocket, clock: context.clock, random: context.random });
    context.result(
      {
        producer: enrolled.producer,
        name: enrolled.name,
        kind,
        directory,
        known: enrolled.known,
        not_after: formatTimeUs(enrolled.notAfterUs),
      },
      `${enrolled.known ? "renewed" : "enrolled"}  ${terminalSafe(enrolled.name)} (${kind})\nproducer  ${enrolled.producer}\nidentity  ${terminalSafe(directory)}\nvalid to  ${formatTimeUs(enrolled.notAfterUs)}`,
    );
    return "ok";
  },
};

const listCommand: CommandSpec = {
  path: "producer list",
  summary: "show who is registered",
  options: [{ flags: "--all", help: "also those that were revoked" }],
  examples: [{ line: "ransomeye producer list", says: "Name, kind, status and certificate of each." }],
  json: `{"version": number, "producers": [${producerShape}]}`,
  exits: ["ok", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const { registrySocket } = await requireRuntime(await context.dataDir());
    const { version, producers } = await listProducers(registrySocket, context.clock);
    const shown = producers.filter((p) => options["all"] === true || p.status !== "revoked");
    context.result(
      { version, producers: shown.map(producerJson) },
      shown.length === 0
        ? "no producer is registered"
        : formatTable(
            ["name", "kind", "status", "producer", "certificate until"],
            shown.map((p) => [p.name, p.kind, p.status, p.id, certificateEnd(p, context.clock.nowUs())]),
          ),
    );
    return "ok";
  },
};

const revokeCommand: CommandSpec = {
  path: "producer revoke",
  args: "<producer>",
  summary: "take a producer's right to send away for ever; its open streams close within seconds",
  prose:
    "With --certificate or --key only that one is taken away: streams that use it close, and the producer goes on with what it has got since.",
  options: [
    { flags: "--certificate <fingerprint>", help: "only this certificate (at least 8 digits of it)" },
    { flags: "--key <id>", help: "only this batch key (at least 8 digits of its id)" },
    { flags: "--reason <text>", help: "for the audit trail" },
  ],
  examples: [
    { line: "ransomeye producer revoke ws-12 --reason 'laptop stolen'", says: "By name or by id; the reason goes to the audit trail." },
    { line: "ransomeye producer revoke ws-12 --certificate 5feceb66ffc86f38", says: "One certificate; `producer list --json` shows them." },
  ],
  json: producerShape,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [producer = ""], options) {
    const reason = textOption(options, "reason") ?? "";
    const parts = (["certificate", "key"] as const).flatMap((part) => {
      const id = textOption(options, part);
      return id === undefined ? [] : [{ part, id: id.toLowerCase().replaceAll(":", "") }];
    });
    if (parts.length > 1) throw new CliError("CLI_USAGE", "--certificate or --key, one at a time");
    const part = parts[0];
    const changed = parseProducer(
      await ask(context, part === undefined ? { op: "revoke", producer, reason } : { op: "revoke_part", producer, ...part, reason }),
    );
    const what = part === undefined ? `is ${changed.status}` : `has lost the ${part.part} ${part.id}`;
    context.result(producerJson(changed), `${terminalSafe(changed.name)} (${changed.id}) ${what}`);
    return "ok";
  },
};
const extendKeyCommand: CommandSpec = {
  path: "producer extend-key",
  args: "<producer>",
  summary: "let a batch key that was replaced sign for a while longer",
  prose:
    "For a machine that stopped with SDK_KEY_RETIRED: its key was replaced, and it did not get the new one in time. Start it again, and replace its key there: `ransomeye enrol --rotate-key`. A key that was revoked stays revoked.",
  options: [
    { flags: "--key <id>", help: "the key (at least 8 digits of its id)" },
    { flags: "--days <n>", help: "for how long from now on, 1 to 90; 7 by default" },
    { flags: "--reason <text>", help: "for the audit trail" },
  ],
  examples: [
    {
      line: "ransomeye producer extend-key ws-12 --key 5feceb66ffc86f38 --days 7",
      says: "Its error message and `producer list --json` show the id.",
    },
  ],
  json: producerShape,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [producer = ""], options) {
    const id = textOption(options, "key")?.toLowerCase();
    const days = Number(textOption(options, "days") ?? "7");
    if (id === undefined) throw new CliError("CLI_USAGE", "--key is needed");
    if (!Number.isInteger(days) || days < 1 || days * 86_400 > keySecondsMax) throw new CliError("CLI_USAGE", "--days is 1 to 90");
    const question = { op: "extend_key", producer, id, seconds: days * 86_400, reason: textOption(options, "reason") ?? "" } as const;
    const changed = parseProducer(await ask(context, question));
    context.result(producerJson(changed), `${terminalSafe(changed.name)} (${changed.id}) may sign with the key ${id} for ${days} days`);
    return "ok";
  },
};
const suspendCommand: CommandSpec = statusCommand("suspend", "stop a producer for a while; its open streams close within seconds", [
  { line: "ransomeye producer suspend probe-7", says: "Until `producer resume`." },
]);
const resumeCommand: CommandSpec = statusCommand("resume", "let a suspended producer send again", [
  { line: "ransomeye producer resume probe-7", says: "Ends a suspension; a revocation stays." },
]);

function statusCommand(op: "suspend" | "resume", summary: string, examples: CommandSpec["examples"]): CommandSpec {
  return {
    path: `producer ${op}`,
    args: "<producer>",
    summary,
    options: [{ flags: "--reason <text>", help: "for the audit trail" }],
    examples,
    json: producerShape,
    exits: ["ok", "found", "usage", "config", "unreachable"],
    async run(context, [producer = ""], options) {
      const changed = parseProducer(await ask(context, { op, producer, reason: textOption(options, "reason") ?? "" }));
      context.result(producerJson(changed), `${terminalSafe(changed.name)} (${changed.id}) is ${changed.status}`);
      return "ok";
    },
  };
}

function certificateEnd(p: WireProducer, nowUs: number): string {
  const last = Math.max(0, ...p.certificates.filter((c) => !c.revoked).map((c) => c.not_after_us));
  if (last === 0) return "none";
  const days = Math.floor((last - nowUs) / 86_400_000_000);
  return `${formatTimeUs(last).slice(0, 10)} (${days < 0 ? "over" : `${days} days`})`;
}

function producerJson(p: WireProducer): Readonly<Record<string, unknown>> {
  return {
    producer: p.id,
    name: p.name,
    kind: p.kind,
    status: p.status,
    created: formatTimeUs(p.created_us),
    keys: p.keys.map((key) => ({ key_id: key.key_id, retired: key.retired_us !== null })),
    certificates: p.certificates.map((c) => ({ fingerprint: c.fingerprint, not_after: formatTimeUs(c.not_after_us), revoked: c.revoked })),
  };
}

/** In the order of help. */
export const producerCommands: readonly CommandSpec[] = [
  enrollCommand,
  listCommand,
  suspendCommand,
  resumeCommand,
  revokeCommand,
  extendKeyCommand,
];
