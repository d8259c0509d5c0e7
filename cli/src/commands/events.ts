/**
 * Why it exists: a look at what is stored, without SQL.
 * Enforces: newest first; a value is looked up in the index; searches by text say what they cost, and every search has a budget of time and says how far it came.
 * Forbids: printing a column's text unescaped.
 */
import { askedObservable, classes, type ObservableKind, observableKinds, producerKinds } from "ransomeye-ingestion/protocol";
import { CliError } from "../errors.ts";
import { type EventFilter, type EventRow, findEvents } from "../queries/events.ts";
import { registeredProducers } from "../queries/names.ts";
import { findByValues, type PivotCoverage, type PivotValue } from "../queries/pivot.ts";
import { searchCost, searchText } from "../queries/text_search.ts";
import { formatBytes, formatCount, formatTable, formatTimeUs } from "../terminal/format.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";
import { openReader, type Reader } from "./context.ts";
import { parseDurationSeconds, parseTime } from "./time.ts";

const budgetSDefault = 60;
const budgetSMax = 24 * 3600;
const limitDefault = 20;
const limitMax = 100_000;

export const eventsCommand: CommandSpec = {
  path: "events",
  summary: "find stored events, newest first",
  prose:
    "All filters must hold. Times are event times (what the source claims), ISO 8601 or an age such as 90s, 15m, 24h, 7d. --hash, --ip, --domain, --host and --user find every event whose document has the value, wherever in it, by an index of all stored batches (core/docs/data_plane.md says where values stand and when two are the same); batches that are not indexed yet are read directly. --text looks into message, host, user, process, file path and domain as rows have them; it reads all rows, newest first, and says before what that is. No search takes longer than --budget. One that ends there says how far it came and how to go on, and leaves with exit code 5.",
  options: [
    { flags: "--since <time>", help: "not before" },
    { flags: "--until <time>", help: "before" },
    { flags: "--class <class>", help: "OCSF class by number or name, such as 1007 or 'Process Activity'" },
    { flags: "--kind <kind>", help: "kind of producer", choices: producerKinds },
    { flags: "--producer <producer>", help: "name or id" },
    { flags: "--hash <hash>", help: "a file's or certificate's hash, JA3: MD5, SHA-1 or SHA-2 in hexadecimal digits" },
    { flags: "--ip <address>", help: "an IPv4 or IPv6 address, in any form" },
    { flags: "--domain <domain>", help: "a name that was asked for, connected to, or answered" },
    { flags: "--host <host>", help: "name of a device or endpoint, or its address" },
    { flags: "--user <user>", help: "a user's name, id or mail address" },
    { flags: "--text <text>", help: "any of the text columns contains this, in any case" },
    { flags: "--received-before <time>", help: "only what came in before: where a search that ran out of time goes on" },
    { flags: "--budget <duration>", help: `a search ends after this long, such as 10s (default ${budgetSDefault}s)` },
    { flags: "--severity <n>", help: "at least this severity_id (1 informational … 5 critical)" },
    { flags: "--limit <n>", help: `at most this many (default ${limitDefault})` },
  ],
  examples: [
    { line: "ransomeye events --severity 4 --since 1h", says: "What deserves a look in the last hour." },
    { line: "ransomeye events --class 'Process Activity' --text vssadmin", says: "Who deleted shadow copies?" },
    { line: "ransomeye events --host ws-ada --limit 100 --json", says: "For a script." },
    { line: "ransomeye events --domain evil.example --since 30d", says: "Who has asked for it in a month?" },
    { line: "ransomeye events --text vssadmin --budget 10s", says: "As far as ten seconds go; a note says where to go on." },
  ],
  json: `[{"id": string, "kind": string | null, "producer": uuid, "time": ISO 8601, "received": ISO 8601, "class_uid": n, "class": string | null, "activity_id": n,
  "severity_id": n, "flags": n, "host", "user_name", "process_name", "process_pid", "file_path", "file_sha256", "src_ip", "src_port", "dst_ip", "dst_port",
  "domain", "message": string | number | null}]`,
  exits: ["ok", "usage", "config", "unreachable", "partial", "not_found"],
  async run(context, _args, options) {
    const values = valuesOf(options);
    const timeMs = budgetMs(options);
    await using reader = await openReader(context);
    const filter = await filterOf(context, options, reader.runtime.registrySocket);
    const { rows, reachedUs } = await search(context, reader, filter, values, timeMs);
    context.result(
      rows.map(eventJson),
      rows.length === 0 ? "no event fits" : formatTable(["time", "sev", "class", "host", "message", "id"], rows.map(cells)),
    );
    return reachedUs === null ? "ok" : howToGoOn(context, reachedUs);
  },
};

interface Found {
  readonly rows: readonly EventRow[];
  /** Null where all was looked at. */
  readonly reachedUs: number | null;
}

/** By values, by text, or by columns alone. */
async function search(
  context: CommandContext,
  { pool }: Reader,
  filter: EventFilter,
  values: readonly PivotValue[],
  timeMs: number,
): Promise<Found> {
  const { clock } = context;
  if (values.length > 0) {
    const { rows, coverage } = await findByValues(pool, filter, values, { clock, budgetMs: timeMs });
    context.note(coverageText(coverage));
    return { rows, reachedUs: coverage.reachedUs };
  }
  if (filter.text === undefined)
    return { rows: await findEvents(pool, filter, { nowUs: clock.nowUs(), timeoutMs: timeMs }), reachedUs: null };
  // A row of this moment is looked at, too.
  const beforeUs = filter.receivedBeforeUs ?? clock.nowUs() + clockDriftUs;
  const { oldestUs, days, frames, bytes } = await searchCost(pool, beforeUs);
  context.note(
    `searching the rows of ${formatCount(days)} days (${formatCount(frames)} batches are stored), ${formatBytes(bytes)}, newest first, for ${timeMs / 1000} s at most`,
  );
  return searchText(pool, filter, { clock, beforeUs, oldestUs, budgetMs: timeMs });
}

/** The database's clock may be ahead of this one's. */
const clockDriftUs = 60_000_000;

function coverageText({ days, indexed, direct, withoutMatch }: PivotCoverage): string {
  const unindexed = direct === 0 ? "" : ` (${formatCount(direct)} not indexed yet)`;
  return `days looked into: ${formatCount(days)}; batches read: ${formatCount(indexed + direct)}${unindexed}, without such an event: ${formatCount(withoutMatch)}`;
}

/** Says what was not looked at: with --json as well, for an answer that is not whole must not look so. */
function howToGoOn(context: CommandContext, reachedUs: number): "partial" {
  const time = formatTimeUs(reachedUs);
  context.stderr.write(
    `the time is over: only what was received from ${time} on was looked at. Go on with --received-before ${time}, or give more time with --budget.\n`,
  );
  return "partial";
}

/** The values that events must have. @throws CliError CLI_USAGE */
function valuesOf(options: OptionValues): PivotValue[] {
  return observableKinds.flatMap((kind) => {
    const text = textOption(options, kind);
    if (text === undefined) return [];
    const value = askedObservable(kind, text);
    if (value === null) throw new CliError("CLI_USAGE", `--${kind} ${text}: ${expected[kind]}`);
    return [{ kind, value }];
  });
}

const expected: Readonly<Record<ObservableKind, string>> = {
  hash: "a hash has 32 (MD5), 40 (SHA-1), 56, 64, 96 or 128 (SHA-2) hexadecimal digits; other texts are found by --text",
  ip: "an address is an IPv4 address such as 192.0.2.1, without leading zeros, or an IPv6 address; networks cannot be asked for",
  domain: "a domain is a name of at most 255 characters without spaces; parts of names are found by --text",
  host: "a host is a name of at most 255 characters without spaces, or an address; parts of names are found by --text",
  user: "a user is a text of 1 to 255 characters without control characters; parts of it are found by --text",
};

/** @throws CliError CLI_USAGE */
function budgetMs(options: OptionValues): number {
  const text = textOption(options, "budget");
  const seconds = text === undefined ? budgetSDefault : parseDurationSeconds(text);
  if (seconds < 1 || seconds > budgetSMax) throw new CliError("CLI_USAGE", `--budget is from 1s to ${budgetSMax / 3600}h`);
  return seconds * 1000;
}

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
    text: textOption(options, "text"),
    receivedBeforeUs: time("receivedBefore"),
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
