/**
 * Why it exists: what is stored can be handed to somebody who trusts none of us, and checked by him.
 * Enforces: an export is complete in itself; verifying asks no database, no network and nobody here; every answer but PASS has its own exit code.
 * Forbids: repairing anything; printing a stranger's text unescaped.
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { join } from "node:path";
import {
  type AttestationRecord,
  type EvidenceRecord,
  parseStatement,
  recordsIn,
  type Report,
  type Selection,
  type Trust,
  verifyRecords,
} from "ransomeye-evidence";
import { CliError } from "../errors.ts";
import { writeEvidenceFile, writeEvidenceStream } from "../evidence/evidence_file.ts";
import { exportEvidence, type ExportOptions } from "../evidence/export.ts";
import { type EventId, parseEventId } from "../queries/events.ts";
import { registeredProducers } from "../queries/names.ts";
import { askSealer } from "../sealing/attestation_desk.ts";
import type { Attested } from "../sealing/attester.ts";
import { sealerSocketName } from "../supervisor/ipc.ts";
import { formatCount, formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandContext, type CommandSpec, type OptionSpec, type OptionValues, textOption } from "./command.ts";
import { openReader, type Reader } from "./context.ts";
import { parseTime } from "./time.ts";

const trustOptions: readonly OptionSpec[] = [
  { flags: "--key <key>", help: "the sealer's key, as `evidence key` printed it and somebody kept it elsewhere" },
  { flags: "--checkpoint <file>", help: "a statement that was copied elsewhere, as `evidence checkpoint` printed it" },
];
const reportJson = `{"verdict": "PASS" | "EXPIRED_BY_POLICY" | "MISSING" | "FAIL", "selection": {"kind": "event" | "producer" | "all", …what was asked for}, "anchored": boolean, "findings": [{"state": string, "what": string, "why": string}],
 "found": n, "statements": n, "batches": n, "rows": n, "deadLetters": n, "gaps": n, "unsealed": n,
 "attestation": {"state": "signed" | "unsigned" | "none" | "broken", "why": string | null} | null, "sealerKeys": [string]}
attestation: of a file of one event; findings: the first 100 of found; anchored: whether --key or --checkpoint tied the file to something outside of it; unsealed: batches that no checkpoint covers yet`;

const evidenceExportCommand: CommandSpec = {
  path: "evidence export",
  args: "<file>",
  summary: "write signed batches, their rows and all proofs into a file that needs nothing else",
  prose:
    "The file holds the batches as their producers signed them, the producers' public keys, what was made of them (rows, dead letters, gaps), every statement of the sealer, and for each batch the hashes that lead to the checkpoint that covers it. With --event: the one batch that carries it, and the event as an OCSF document with a `record_integrity` attestation: its SHA-256 fingerprint (RFC 8785), signed by the sealer, which is asked for it; where it cannot sign, or the event can have none, the file and the terminal say why. With --producer: its batches that were received since then. With neither: everything that was sealed since --since, so that it also shows what was removed. Attestations are made with --event alone. Nothing is judged here: what was tampered with is exported as it is, and `ransomeye evidence verify` names it. The file is JSON, one record to a line, bytes in base64; `-` writes to standard output.",
  options: [
    {
      flags: "--event <id>",
      help: "the batch that carries this event (producer:epoch:sequence), and its OCSF document with an attestation",
    },
    { flags: "--producer <producer>", help: "batches of this producer, by name or id" },
    { flags: "--since <time>", help: "received not before (default 24h)" },
    { flags: "--until <time>", help: "received before; with --producer only" },
  ],
  examples: [
    { line: "ransomeye evidence export --event 3f0c…:1:42 event.evidence", says: "One event, for a report or a court." },
    { line: "ransomeye evidence export --producer ws-ada --since 7d ada.evidence", says: "A week of one machine." },
    { line: "ransomeye evidence export --since 30d all.evidence", says: "Everything of a month." },
  ],
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context, [file = ""], options) {
    await using reader = await openReader(context);
    const selection = await selectionOf(context, reader, options);
    const sealer = join(reader.runtime.socketDir, sealerSocketName);
    const attest = (event: EventId): Promise<Attested> => askSealer(sealer, event, context.clock);
    let told: AttestationRecord | undefined;
    const records = heard(exportEvidence({ ...(await exportOptions(context, reader, selection)), attest }), (record) => {
      if (record.type === "attestation") told = record;
    });
    const written = await (file === "-" ? writeEvidenceStream(context.stdout, records) : writeEvidenceFile(file, records));
    if (written === null) return "ok";
    if (told?.document === null) context.note(`the event has no attestation: ${terminalSafe(told.why ?? "", 400)}`);
    else if (told?.note === null) context.note(`the event's attestation is not signed: ${terminalSafe(told.why ?? "", 400)}`);
    context.note(`${formatCount(written)} records written; check them anywhere with: ransomeye evidence verify ${terminalSafe(file)}`);
    return "ok";
  },
};

const evidenceVerifyCommand: CommandSpec = {
  path: "evidence verify",
  args: "<file>",
  summary: "check a file of evidence: no database, no network; PASS, or the first records that are wrong or missing",
  prose:
    "Checks each batch's signature, its payload, its place in its producer's chain and under its checkpoint, each row derived anew from the signed bytes, each dead letter and gap, and the chain of the sealer's statements; of one event also its OCSF document, fingerprint and attestation, derived anew and compared whole. A file by itself shows that nothing in it contradicts itself; whoever could make all of its keys could make all of it. So give what was kept elsewhere: the sealer's key, or a checkpoint, which also shows a tail that was cut off.",
  options: trustOptions,
  examples: [
    { line: "ransomeye evidence verify event.evidence --key ransomeye-sealer+1f2e3d4c+AZ…", says: "Exit code 0 only for PASS." },
    { line: "ransomeye evidence verify all.evidence --checkpoint copied.note --json", says: "For a script." },
  ],
  json: reportJson,
  exits: ["ok", "found", "usage"],
  async run(context, [file = ""], options) {
    const input = file === "-" ? context.stdin : createReadStream(file, { highWaterMark: 1024 * 1024 });
    const opened =
      file === "-"
        ? Promise.resolve()
        : once(input, "open").catch((cause: unknown) => Promise.reject(new CliError("CLI_FILE", `${file} cannot be opened`, { cause })));
    await opened;
    return tell(context, await verifyRecords(recordsIn(input), await trustOf(options)));
  },
};

const evidenceCheckCommand: CommandSpec = {
  path: "evidence check",
  summary: "check what the running system's database holds, in the same way as an exported file",
  prose:
    "The same as `evidence export` of everything into `evidence verify`, without the file. It reads every batch and row since --since, in one snapshot, and says so in its time: some ten thousand events a second.",
  options: [{ flags: "--since <time>", help: "what was sealed since then (default 24h)" }, ...trustOptions],
  examples: [
    { line: "ransomeye evidence check --since 7d --checkpoint copied.note", says: "Has anybody changed, removed or cut off anything?" },
  ],
  json: reportJson,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    await using reader = await openReader(context);
    const selection: Selection = { kind: "all", sinceUs: sinceUs(context, options) };
    return tell(context, await verifyRecords(exportEvidence(await exportOptions(context, reader, selection)), await trustOf(options)));
  },
};

const evidenceCheckpointCommand: CommandSpec = {
  path: "evidence checkpoint",
  summary: "print the newest statement of the sealer, for a copy elsewhere",
  prose:
    "Who holds the database can cut the newest statements off, and who holds the sealer's key can sign other ones; both show against a copy that lies where neither of them reaches: another machine, a printer, a public log. It is a signed note (the format of transparency logs), plain text that must not be edited.",
  options: [{ flags: "--number <n>", help: "another one, by its number" }],
  examples: [{ line: "ransomeye evidence checkpoint | ssh vault 'cat > checkpoint.note'", says: "Every hour, from cron." }],
  json: `{"number": n, "kind": "key" | "checkpoint" | "expiry", "made_us": n, "hash": hex, "note": string}`,
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context, _args, options) {
    const text = textOption(options, "number");
    if (text !== undefined && !/^\d{1,15}$/.test(text)) throw new CliError("CLI_USAGE", `${text} is not the number of a statement`);
    await using reader = await openReader(context);
    const { rows } = await reader.pool.query<{ number: number; kind: string; made_us: number; hash: string; note: string }>(
      "SELECT number, kind, made_us, encode(hash, 'hex') AS hash, note FROM views.statements WHERE number = $1 OR $1 IS NULL ORDER BY number DESC LIMIT 1",
      [text ?? null],
    );
    const [row] = rows;
    if (row === undefined)
      throw new CliError("CLI_STATEMENT_NOT_FOUND", text === undefined ? "nothing has been signed yet" : `there is no statement ${text}`);
    context.result(row, row.note.trimEnd());
    return "ok";
  },
};

const evidenceKeyCommand: CommandSpec = {
  path: "evidence key",
  summary: "print the sealer's public key, for whoever verifies",
  prose: "The newest first; the others signed before it. Keep the line where whoever holds this database cannot change it.",
  options: [],
  examples: [{ line: "ransomeye evidence key | head -1", says: "The key of today." }],
  json: `[{"key": string, "statement": n, "made_us": n}]`,
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context) {
    await using reader = await openReader(context);
    const { rows } = await reader.pool.query<{ note: string }>("SELECT note FROM views.statements WHERE kind = 'key' ORDER BY number DESC");
    const keys = rows.map(({ note }) => parseStatement(note)).flatMap((one) => (one.kind === "key" ? [one] : []));
    if (keys.length === 0) throw new CliError("CLI_STATEMENT_NOT_FOUND", "nothing has been signed yet");
    context.result(
      keys.map(({ key, number, madeUs }) => ({ key, statement: number, made_us: madeUs })),
      keys.map(({ key }) => terminalSafe(key)).join("\n"),
    );
    return "ok";
  },
};

const sinceDefault = "24h";

function sinceUs(context: CommandContext, options: OptionValues): number {
  return Math.max(0, parseTime(textOption(options, "since") ?? sinceDefault, context.clock.nowUs()));
}

async function selectionOf(context: CommandContext, reader: Reader, options: OptionValues): Promise<Selection> {
  const event = textOption(options, "event");
  const producer = textOption(options, "producer");
  const until = textOption(options, "until");
  if (event !== undefined && producer !== undefined) throw new CliError("CLI_USAGE", "--event and --producer exclude each other");
  if (until !== undefined && producer === undefined) throw new CliError("CLI_USAGE", "--until goes with --producer");
  if (event !== undefined) {
    const id = parseEventId(event);
    if (id === undefined) throw new CliError("CLI_USAGE", `${event} is not an event id: producer:epoch:sequence`);
    return { kind: "event", ...id };
  }
  const since = sinceUs(context, options);
  if (producer === undefined) return { kind: "all", sinceUs: since };
  const known = await registeredProducers(reader.runtime.registrySocket, context.clock);
  const found = known.find(({ id, name }) => id === producer.toLowerCase() || name === producer);
  if (found === undefined) throw new CliError("CLI_IDENTITY_MISSING", `no producer is called ${producer}`);
  return {
    kind: "producer",
    producer: found.id,
    sinceUs: since,
    untilUs: until === undefined ? null : parseTime(until, context.clock.nowUs()),
  };
}

async function exportOptions(context: CommandContext, reader: Reader, selection: Selection): Promise<ExportOptions> {
  const producers = await registeredProducers(reader.runtime.registrySocket, context.clock);
  return { pool: reader.pool, selection, producers, nowUs: context.clock.nowUs() };
}

/** The same records, each told of as it goes by. */
async function* heard(
  records: AsyncIterable<EvidenceRecord>,
  hear: (record: EvidenceRecord) => void,
): AsyncGenerator<EvidenceRecord, void, undefined> {
  for await (const record of records) {
    hear(record);
    yield record;
  }
}

async function trustOf(options: OptionValues): Promise<Trust> {
  const key = textOption(options, "key");
  const path = textOption(options, "checkpoint");
  const copy =
    path === undefined
      ? undefined
      : await readFile(path, "utf8").catch((cause: unknown) =>
          Promise.reject(new CliError("CLI_FILE", `${path} cannot be read`, { cause })),
        );
  return { ...(key === undefined ? {} : { keys: [key.trim()] }), ...(copy === undefined ? {} : { copies: [copy] }) };
}

function tell(context: CommandContext, report: Report): "ok" | "found" {
  context.result(report, reportText(report));
  if (!report.anchored)
    context.note("nothing from outside was given (--key, --checkpoint): whoever made all of its keys could have made all of it");
  return report.verdict === "PASS" ? "ok" : "found";
}

function reportText(report: Report): string {
  const { verdict, selection, findings, found, sealerKeys } = report;
  const lines = findings.map(({ state, what, why }) => `${state.padEnd(17)}  ${terminalSafe(what)}\n    ${terminalSafe(why, 400)}`);
  if (found > findings.length) lines.push(`… and ${formatCount(found - findings.length)} more`);
  if (lines.length > 0) lines.push("");
  const counts = [
    `${formatCount(report.batches)} signed batches`,
    `${formatCount(report.rows)} rows derived again`,
    `${formatCount(report.deadLetters)} dead letters`,
    `${formatCount(report.gaps)} in declared gaps`,
  ];
  lines.push(
    verdict,
    `  of ${selectionText(selection)}`,
    `  ${counts.join(", ")}`,
    `  ${formatCount(report.statements)} statement${report.statements === 1 ? "" : "s"} of the sealer, by ${sealerKeys.map((key) => terminalSafe(key)).join(" then ") || "nobody"}`,
    `  ${formatCount(report.unsealed)} batches not yet under a checkpoint; ${report.anchored ? "tied to what was kept elsewhere" : "tied to nothing outside"}`,
  );
  if (report.attestation !== null) lines.push(`  ${attestationLine(report.attestation)}`);
  else if (selection.kind === "event" && report.batches > 0)
    lines.push("  without the record of an attestation: the file is of an older release, or it was taken out");
  return lines.join("\n");
}

function attestationLine({ state, why }: NonNullable<Report["attestation"]>): string {
  if (state === "signed") return "with an OCSF attestation, signed by the sealer";
  if (state === "broken") return "with an OCSF attestation that does not hold";
  const reason = terminalSafe(why ?? "no reason is given", 400);
  return state === "none"
    ? `without an OCSF attestation: ${reason}`
    : `with an OCSF attestation that is not signed; the export says: ${reason}`;
}

function selectionText(selection: Selection): string {
  if (selection.kind === "event") return `event ${selection.producer}:${selection.epoch}:${selection.seq}`;
  if (selection.kind === "all") return `everything that was sealed since ${formatTimeUs(selection.sinceUs)}, and what is not yet sealed`;
  const until = selection.untilUs === null ? "" : ` and before ${formatTimeUs(selection.untilUs)}`;
  return `producer ${selection.producer}, received since ${formatTimeUs(selection.sinceUs)}${until}`;
}

/** In the order of help. */
export const evidenceCommands: readonly CommandSpec[] = [
  evidenceExportCommand,
  evidenceVerifyCommand,
  evidenceCheckCommand,
  evidenceCheckpointCommand,
  evidenceKeyCommand,
];
