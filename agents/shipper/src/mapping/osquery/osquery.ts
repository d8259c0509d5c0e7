// Why: osquery tells of endpoints in the answers to its queries, in four shapes of log line.
// Enforces: one line is one event. A line with one row goes to the class of that row's table; a line with several rows (a snapshot, a batch of
//   differences) is a base event that holds them all: repeated in an event a row, the line in raw_data would grow with the square of its rows.
// Forbids: reading numbers out of columns that no field asks for: osquery writes all values as texts.

import { basePart, type Draft, type Part } from "../draft.ts";
import { asObject, Fields, type Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { deviceNamed } from "../ocsf_parts.ts";
import { firstTimeUs, usOfSeconds } from "../source_time.ts";
import { rowReader } from "./tables.ts";

const product: Json = { name: "osquery", vendor_name: "osquery" };
const informational = 1;

/** Severities of osquery's own log lines (glog's) as OCSF's. */
const severities: Readonly<Record<string, number>> = { "0": informational, "1": 3, "2": 4, "3": 6 };

/** A row and what happened to it. */
interface Row {
  readonly columns: Fields;
  readonly action: string;
}

/** True if a record may be osquery's: what every line carries, beside what only one of its shapes has. */
export function looksLikeOsquery(record: Json): boolean {
  if (record["hostIdentifier"] === undefined && record["calendarTime"] === undefined) return false;
  if (Array.isArray(record["snapshot"]) || asObject(record["diffResults"]) !== undefined) return true;
  if (asObject(record["columns"]) !== undefined) return true;
  return record["severity"] !== undefined && record["filename"] !== undefined && record["message"] !== undefined;
}

/** A record's draft, or undefined where it has no time. */
export function mapOsquery(record: Json, { host }: MapOptions): Draft | undefined {
  const fields = new Fields(record);
  const row = onlyRow(record, fields);
  const name = fields.word("name");
  const reader = row === undefined ? undefined : rowReader(name, row.columns);
  // Tables of events say themselves when it happened; the line's time is when osquery wrote it down.
  const happened = reader?.evented === true ? row?.columns.peek("time") : undefined;
  const logged = firstTimeUs(usOfSeconds(fields.peek("unixTime")), calendarTimeUs(fields.peek("calendarTime")));
  const timeUs = firstTimeUs(usOfSeconds(happened)) ?? logged;
  if (timeUs === undefined) return undefined;
  const part =
    (row === undefined ? undefined : reader?.read(row.columns, isFirstAnswer(fields) ? found : row.action)) ?? basePart(name ?? "osquery");
  const isStatus = fields.has("severity") && fields.has("filename");
  const severity = isStatus ? fields.peek("severity") : undefined;
  return {
    ...withDevice(part, fields, host),
    severityId: isStatus ? (severities[String(severity)] ?? 0) : informational,
    timeUs,
    product: isStatus ? { ...product, version: fields.text("version") } : product,
    metadata: {
      event_code: fields.text("name"),
      log_name: isStatus ? "status" : Array.isArray(record["snapshot"]) ? "snapshots" : "results",
      logged_time: logged === undefined ? undefined : Math.floor(logged / 1000),
      original_time: fields.text("calendarTime"),
    },
    unmapped: fields.rest(),
  };
}

/** What became of a row that was only found. */
const found = "snapshot";

/** A query's first answer, of an epoch too, has all rows that are there as added. */
function isFirstAnswer(fields: Fields): boolean {
  return String(fields.peek("counter")) === "0";
}

/** The one row of a record; undefined where there are several, or none. */
function onlyRow(record: Json, fields: Fields): Row | undefined {
  if (asObject(record["columns"]) !== undefined) return { columns: fields.nested("columns"), action: fields.word("action") ?? "added" };
  const batch = asObject(record["diffResults"]);
  const lists = batch === undefined ? { snapshot: record["snapshot"] } : { added: batch["added"], removed: batch["removed"] };
  const rows = Object.entries(lists).flatMap(([action, list]) =>
    Array.isArray(list) ? list.map((row) => ({ action, row: asObject(row) })) : [],
  );
  const only = rows.length === 1 ? rows[0] : undefined;
  return only?.row === undefined ? undefined : { columns: new Fields(only.row), action: only.action };
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Adds the machine. It may be named by its host name or by a uuid (`--host_identifier`), and decorations may say the other one. */
function withDevice(part: Part, fields: Fields, host: string | undefined): Part {
  const decorations = fields.nested("decorations");
  const named = fields.text("hostIdentifier");
  const isUuid = named !== undefined && uuid.test(named);
  const hostname = isUuid ? decorations.text("hostname") : (named ?? decorations.text("hostname"));
  const uid = isUuid ? named : decorations.text("host_uuid");
  const device = hostname === undefined && uid === undefined ? deviceNamed(host) : { hostname, uid, type_id: 0 };
  const message = part.fields["message"] ?? fields.text("message");
  return { ...part, fields: { device, ...part.fields, message } };
}

const months: readonly string[] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Thu Dec  7 12:21:20 2017 UTC` in microseconds. */
function calendarTimeUs(value: unknown): number {
  const match = typeof value === "string" ? /^\w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4}) UTC$/.exec(value) : null;
  if (match === null) return Number.NaN;
  const [, month, day, hours, minutes, seconds, year] = match;
  const at = months.indexOf(month as string);
  return at < 0 ? Number.NaN : Date.UTC(Number(year), at, Number(day), Number(hours), Number(minutes), Number(seconds)) * 1000;
}
