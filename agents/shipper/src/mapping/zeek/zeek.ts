// Why: Zeek's logs, one JSON object a line, in the flavours that are met: dotted or underscored names, epoch or ISO times, `_path` or not.
// Enforces: the log's name is read from the record, else from its fields, else from the file's name; each log goes to the class that has
//   room for it; a log without one is network activity if it has addresses, else a base event.
// Forbids: trusting a file's name before the record itself.

import { parseInstantUs } from "ransomeye-ingestion/protocol";
import type { Draft } from "../draft.ts";
import { Fields, type Json } from "../json.ts";
import { connection, endpoint } from "../ocsf_parts.ts";
import { type ZeekPart, zeekParts } from "./logs.ts";
import { zeekLogName } from "./names.ts";

const product: Json = { name: "Zeek", vendor_name: "Zeek" };
const informational = 1;

/** Logs that are a protocol's; of others the name says nothing about what went over the connection. */
const protocols: ReadonlySet<string> = new Set([
  "dce_rpc",
  "dhcp",
  "dnp3",
  "ftp",
  "gssapi",
  "irc",
  "kerberos",
  "ldap",
  "modbus",
  "mqtt_publish",
  "mysql",
  "ntlm",
  "ntp",
  "ocsp",
  "pop3",
  "quic",
  "radius",
  "rfb",
  "sip",
  "smtp",
  "snmp",
  "socks",
  "ssl",
  "syslog",
  "telnet",
]);

/** Microseconds from epoch seconds or ISO text; NaN if it is neither. */
export function zeekTimeUs(value: unknown): number {
  if (typeof value === "number") return Math.round(value * 1e6);
  return typeof value === "string" ? parseInstantUs(value, true) : Number.NaN;
}

/** A record's draft, or undefined where it has no time. `fileHint` is the input's name. */
export function mapZeek(record: Json, fileHint: string): Draft | undefined {
  const fields = new Fields(record);
  const time = fields.peek("ts");
  const timeUs = zeekTimeUs(time);
  if (!Number.isFinite(timeUs)) return undefined;
  fields.take("ts");
  const log = zeekLogName(record, fileHint);
  for (const name of ["_path", "@stream"]) if (fields.peek(name) === log) fields.take(name);
  const sensor = fields.text("@system") ?? fields.text("_system_name");
  const ends = zeekEnds(fields);
  const part = zeekParts[log ?? ""]?.(fields, ends !== undefined) ?? fallback(log, ends !== undefined);
  const inFinding = part.classUid === 2004;
  return {
    classUid: part.classUid,
    activityId: part.activityId,
    activityName: part.activityName ?? log,
    severityId: part.severityId ?? informational,
    timeUs,
    product,
    metadata: {
      event_code: log,
      log_name: log,
      original_time: typeof time === "string" ? time : String(time),
      reporter: sensor === undefined ? undefined : { hostname: sensor },
    },
    fields: inFinding ? { ...part.fields, evidences: ends === undefined ? undefined : [ends] } : { ...ends, ...part.fields },
    unmapped: fields.rest(),
  };
}

/** Both ends of the connection and what names it; undefined where the record has none. */
function zeekEnds(fields: Fields): Json | undefined {
  // Dotted in Zeek's own writer, underscored by RockNSM, nested by some forwarders.
  const nested = fields.nested("id");
  const source = nested.text("orig_h") ?? fields.text("id.orig_h") ?? fields.text("id_orig_h");
  const destination = nested.text("resp_h") ?? fields.text("id.resp_h") ?? fields.text("id_resp_h");
  if (source === undefined && destination === undefined) return undefined;
  const port = (name: string): number | undefined => nested.integer(name) ?? fields.integer(`id.${name}`) ?? fields.integer(`id_${name}`);
  return {
    src_endpoint: source === undefined ? undefined : endpoint({ ip: source, port: port("orig_p"), mac: fields.text("orig_l2_addr") }),
    dst_endpoint:
      destination === undefined ? undefined : endpoint({ ip: destination, port: port("resp_p"), mac: fields.text("resp_l2_addr") }),
    connection_info: connection(fields.text("proto"), {
      uid: fields.text("uid"),
      community_uid: fields.text("community_id"),
      flag_history: fields.text("history"),
    }),
  };
}

function fallback(log: string | undefined, hasEnds: boolean): ZeekPart {
  if (!hasEnds) return { classUid: 0, activityId: 99, fields: {} };
  return { classUid: 4001, activityId: 6, fields: { app_protocol_name: log !== undefined && protocols.has(log) ? log : undefined } };
}
