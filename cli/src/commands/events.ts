/**
 * Why it exists: a look at what is stored, without SQL.
 * Enforces: newest first; searches by text say that they scan, and have a time budget.
 * Forbids: printing a column's text unescaped.
 */
import { classes } from "ransomeye-ingestion/protocol";
import { producerKinds } from "ransomeye-ingestion/protocol";
import { CliError } from "../errors.ts";
import { type EventFilter, type EventRow, findEvents } from "../queries/events.ts";
import { registeredProducers } from "../queries/names.ts";
import { formatTable, formatTimeUs } from "../terminal/format.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";
import { openReader } from "./context.ts";
import { parseTime } from "./time.ts";

const searchMsMax = 60_000;
const limitDefault = 20;
const limitMax = 100_000;

export const eventsCommand: CommandSpec = {
  path: "events",
  summary: "find stored events, newest first",
  prose:
    "All filters must hold. Times are event times (what the source claims), ISO 8601 or an age such as 90s, 15m, 24h, 7d. --text looks into message, host, user, process, file path and domain; it scans, newest day first, and gives up after a minute.",
  options: [
    { flags: "--since <time>", help: "not before" },
    { flags: "--until <time>", help: "before" },
    { flags: "--class <class>", help: "OCSF class by number or name, such as 1007 or 'Process Activity'" },
    { flags: "--kind <kind>", help: "kind of producer", choices: producerKinds },
    { flags: "--producer <producer>", help: "name or id" },
    { flags: "--host <host>", help: "host name, or an address on either side" },
    { flags: "--text <text>", help: "any of the text columns contains this, in any case" },
    { flags: "--severity <n>", help: "at least this severity_id (1 informational … 5 critical)" },
    { flags: "--limit <n>", help: `at most this many (default ${limitDefault})` },
  ],
  examples: [
    { line: "ransomeye events --severity 4 --since 1h", says: "What deserves a look in the last hour." },
    { line: "ransomeye events --class 'Process Activity' --text vssadmin", says: "Who deleted shadow copies?" },
    { line: "ransomeye events --host ws-ada --limit 100 --json", says: "For a script." },
  ],
  json: `[{"id": string, "kind": string | null, "producer": uuid, "time": ISO 8601, "received": ISO 8601, "class_uid": n, "class": string | null, "activity_id": n,
  "severity_id": n, "flags": n, "host", "user_name", "process_name", "process_pid", "file_path", "file_sha256", "src_ip", "src_port", "dst_ip", "dst_port",
  "domain", "message": string | number | null}]`,
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context, _args, options) {
    await using reader = await openReader(context);
    const filter = await filterOf(context, options, reader.runtime.registrySocket);
    const rows = await findEvents(reader.pool, filter, { nowUs: context.clock.nowUs(), timeoutMs: searchMsMax });
    context.result(
      rows.map(eventJson),
      rows.length === 0 ? "no event fits" : formatTable(["time", "sev", "class", "host", "message", "id"], rows.map(cells)),
    );
    return "ok";
  },
};

function cells(row: EventRow): string[] {
  return [
    formatTimeUs(row.event_time).slice(0, 23),
    String(row.severity_id),
    className(row.class_uid) ?? String(row.class_uid),
    row.host ?? row.src_ip ?? "",
    row.message ??
      row.process_name ??
      row.domain ??
      row.file_path ??
      (row.dst_ip === null ? "" : `${row.src_ip ?? "?"} to ${row.dst_ip}:${row.dst_port ?? "?"}`),
    row.id,
  ];
}

/** The documented shape of one event. */
export function eventJson(row: EventRow): Readonly<Record<string, unknown>> {
  const { id, kind, producer_id, event_time, received_at, class_uid, activity_id, severity_id, flags } = row;
  const { host, user_name, process_name, process_pid, file_path, file_sha256, src_ip, src_port, dst_ip, dst_port, domain, message } = row;
  return {
    id,
    kind,
    producer: producer_id,
    time: formatTimeUs(event_time),
    received: formatTimeUs(received_at),
    class_uid,
    class: className(class_uid),
    activity_id,
    severity_id,
    flags,
    host,
    user_name,
    process_name,
    process_pid,
    file_path,
    file_sha256: file_sha256?.toString("hex") ?? null,
    src_ip,
    src_port,
    dst_ip,
    dst_port,
    domain,
    message,
  };
}

function className(uid: number): string | null {
  return classes[uid]?.name ?? null;
}

async function filterOf(context: CommandContext, options: OptionValues, registrySocket: string): Promise<EventFilter> {
  const nowUs = context.clock.nowUs();
  const time = (name: string): number | undefined => {
    const text = textOption(options, name);
    return text === undefined ? undefined : parseTime(text, nowUs);
  };
  const producer = textOption(options, "producer");
  const classText = textOption(options, "class");
  const filter = {
    sinceUs: time("since"),
    untilUs: time("until"),
    classUid: classText === undefined ? undefined : classOf(classText),
    kind: textOption(options, "kind"),
    producer: producer === undefined ? undefined : await producerId(context, producer, registrySocket),
    host: textOption(options, "host"),
    text: textOption(options, "text"),
    severityMin: wholeNumber(options, "severity", 0, 99),
    limit: wholeNumber(options, "limit", 1, limitMax) ?? limitDefault,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as unknown as EventFilter;
}

function wholeNumber(options: OptionValues, name: string, min: number, max: number): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new CliError("CLI_USAGE", `--${name} is a whole number from ${min} to ${max}`);
  return value;
}

function classOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const found = Object.entries(classes).find(([, spec]) => spec.name.toLowerCase() === text.toLowerCase());
  if (found === undefined)
    throw new CliError(
      "CLI_USAGE",
      `there is no class ${text}; there are ${Object.values(classes)
        .map((spec) => spec.name)
        .join(", ")}`,
    );
  return Number(found[0]);
}

async function producerId(context: CommandContext, which: string, registrySocket: string): Promise<string> {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(which)) return which.toLowerCase();
  const found = (await registeredProducers(registrySocket, context.clock)).find((p) => p.name === which);
  if (found === undefined) throw new CliError("CLI_IDENTITY_MISSING", `no producer is called ${which}`);
  return found.id;
}
