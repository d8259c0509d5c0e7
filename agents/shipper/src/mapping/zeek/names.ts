// Why: a Zeek record often does not say which log it belongs to, and the file may be called anything.
// Enforces: the same answer for the same record and file name, used by detection and mapping alike.
// Forbids: claiming a log by one common field.

import type { Json } from "../json.ts";

/** Logs by fields that together only they have, most telling first. A dot in a name stands for dotted and underscored spelling alike. */
const shapes: readonly (readonly [log: string, fields: readonly string[]])[] = [
  ["conn", ["conn_state", "uid"]],
  ["dns", ["trans_id", "uid", "query"]],
  ["dns", ["trans_id", "uid", "rejected"]],
  ["http", ["trans_depth", "request_body_len"]],
  ["ssl", ["established", "uid"]],
  ["files", ["fuid", "seen_bytes"]],
  ["x509", ["certificate.serial"]],
  ["smb_files", ["action", "uid", "name", "times.modified"]],
  ["smb_mapping", ["share_type", "uid"]],
  ["dce_rpc", ["endpoint", "operation", "uid"]],
  ["ntlm", ["server_nb_computer_name"]],
  ["ntlm", ["domainname", "username", "uid"]],
  ["kerberos", ["request_type", "uid"]],
  ["ssh", ["auth_attempts", "uid"]],
  ["rdp", ["security_protocol", "uid"]],
  ["rdp", ["keyboard_layout", "uid"]],
  ["notice", ["note", "actions"]],
  ["weird", ["name", "notice", "peer"]],
  ["pe", ["section_names", "machine"]],
  ["software", ["software_type"]],
];

/** Names that Zeek's own scripts give to logs; a file called so may hold that log. */
const known: ReadonlySet<string> = new Set([
  ...shapes.map(([log]) => log),
  ...["analyzer", "capture_loss", "dhcp", "dpd", "ftp", "known_hosts", "known_services", "mysql", "ntp", "ocsp", "packet_filter", "radius"],
  ...["reporter", "rfb", "sip", "smtp", "snmp", "socks", "stats", "syslog", "traceroute", "tunnel"],
]);

function hasField(record: Json, name: string): boolean {
  return record[name] !== undefined || (name.includes(".") && record[name.replaceAll(".", "_")] !== undefined);
}

/** The log that a file is named after: `conn.log`, `conn.10-00-00.log.gz`, `scripts.base__conn.log`. */
export function logOfFile(name: string): string | undefined {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  const parts = base.split(/[.]|__/);
  return parts.find((part) => known.has(part));
}

/** The log that a record says or shows it belongs to; undefined if neither. */
export function zeekLogOfRecord(record: Json): string | undefined {
  for (const name of ["_path", "@stream"]) if (typeof record[name] === "string" && record[name] !== "") return record[name];
  for (const [log, fields] of shapes) if (fields.every((field) => hasField(record, field))) return log;
  return undefined;
}

/** The log that a record belongs to, by itself or by its file's name. */
export function zeekLogName(record: Json, fileHint: string): string | undefined {
  return zeekLogOfRecord(record) ?? logOfFile(fileHint);
}

/** True if a record may be Zeek's: it has a time `ts`, and says, shows or is filed under a log. */
export function looksLikeZeek(record: Json, fileHint: string): boolean {
  const time = record["ts"];
  if (typeof time !== "number" && typeof time !== "string") return false;
  if (zeekLogOfRecord(record) !== undefined || hasField(record, "id.orig_h")) return true;
  // The dump-events script writes what it saw event by event.
  if (typeof record["event"] === "string" && typeof record["args"] === "object") return true;
  return logOfFile(fileHint) !== undefined;
}
