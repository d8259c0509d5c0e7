// Why: Azure Monitor keeps what its agents collect on Linux in tables, and exports of them are rows in JSON.
// Enforces: rows of the Syslog table go the way of the message that they carry, of auoms' that of auditd's events, of VMConnection's that of
//   network activity; all other columns are kept.
// Forbids: taking the collector's time for the event's where the event has one.

import { parseInstantUs } from "ransomeye-ingestion/protocol";
import { mapAudit } from "../auditd/auditd.ts";
import { parseAudit } from "../auditd/audit_event.ts";
import type { Draft } from "../draft.ts";
import { Fields, type Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { actorOf, connection, direction, endpoint } from "../ocsf_parts.ts";
import { messageDraft } from "../syslog/syslog.ts";

/** True if a record may be a row of a table that is read here. */
export function looksLikeAzure(record: Json): boolean {
  if (typeof record["TimeGenerated"] !== "string") return false;
  return record["Type"] === "VMConnection" || (record["Type"] === "Syslog" && typeof record["SyslogMessage"] === "string");
}

function timeOf(row: Fields, names: readonly string[]): { readonly us: number; readonly text: string } | undefined {
  for (const name of names) {
    const text = row.word(name);
    const us = text === undefined ? Number.NaN : parseInstantUs(text, true);
    if (text !== undefined && !Number.isNaN(us)) return { us, text };
  }
  return undefined;
}

const severities = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

function syslogRow(row: Fields, options: MapOptions): Draft | undefined {
  const message = row.word("SyslogMessage") ?? "";
  const audit = /^type=AUOMS_\w+ audit\(/.test(message) ? parseAudit(message) : undefined;
  const host = row.word("HostName") ?? row.word("Computer");
  if (audit !== undefined) {
    row.take("SyslogMessage");
    const draft = mapAudit(audit, { ...options, host });
    // The same text again, without its head.
    if (message.endsWith(row.word("EventData") ?? "\n")) row.take("EventData");
    return { ...draft, unmapped: { ...draft.unmapped, syslog: row.rest() } };
  }
  const time = timeOf(row, ["EventTime", "TimeGenerated"]);
  if (time === undefined) return undefined;
  row.take("SyslogMessage");
  const severity = severities.indexOf(row.word("SeverityLevel") ?? "");
  return messageDraft({
    timeUs: time.us,
    time: time.text,
    severity: severity < 0 ? undefined : severity,
    host,
    app: row.text("ProcessName"),
    process: row.text("ProcessID"),
    messageId: undefined,
    message,
    unmapped: row.rest() ?? {},
  });
}

function connectionRow(row: Fields): Draft | undefined {
  const time = timeOf(row, ["TimeGenerated"]);
  if (time === undefined) return undefined;
  const host = row.text("Computer");
  const process = row.text("ProcessName");
  const way = row.word("Direction");
  const fields = {
    device: host === undefined ? undefined : { hostname: host, type_id: 0 },
    actor: process === undefined ? undefined : actorOf({ process: { name: process } }),
    src_endpoint: row.attempt(() => endpoint({ ip: row.text("SourceIp") })),
    dst_endpoint: row.attempt(() => endpoint({ ip: row.text("DestinationIp"), port: row.integer("DestinationPort") })),
    connection_info: connection(
      row.text("Protocol"),
      { uid: row.text("ConnectionId") },
      way === "outbound" ? direction.outbound : way === "inbound" ? direction.inbound : direction.unknown,
    ),
    traffic: row.attempt(() => {
      const counted = { bytes_out: row.integer("BytesSent"), bytes_in: row.integer("BytesReceived") };
      return counted.bytes_out === undefined && counted.bytes_in === undefined ? undefined : counted;
    }),
  };
  return {
    classUid: 4001,
    activityId: 6,
    severityId: 1,
    timeUs: time.us,
    product: { name: "VM insights", vendor_name: "Microsoft" },
    metadata: { log_name: row.text("Type"), original_time: row.text("TimeGenerated") },
    fields,
    unmapped: row.rest(),
  };
}

/** A row's draft, or undefined where it has no time. */
export function mapAzure(record: Json, options: MapOptions): Draft | undefined {
  const row = new Fields(record);
  return record["Type"] === "VMConnection" ? connectionRow(row) : syslogRow(row, options);
}
