// Why: one table says which formats there are, who may ship them and what their events are marked with.
// Enforces: a format's name, its producer kinds and its mapping version stand in one place.
// Forbids: readers that are not listed here.

import type { ProducerKind } from "ransomeye-ingestion/protocol";

/** Formats that have a reader. */
export type Format =
  | "suricata_eve"
  | "zeek_json"
  | "zeek_tsv"
  | "windows_event_json"
  | "windows_event_xml"
  | "windows_etw_json"
  | "auditd"
  | "osquery"
  | "falco"
  | "tetragon"
  | "syslog"
  | "sysmon_linux_xml"
  | "azure_monitor_json"
  | "ocsf_ndjson";

/** What is known of a format. */
export interface FormatSpec {
  /** For people. */
  readonly title: string;
  /** Kinds of producers whose records these may be, the usual one first. */
  readonly kinds: readonly ProducerKind[];
  /** Version of the mapping into OCSF, signed with every frame; 0 where nothing is mapped. Raise it when any event would come out differently. */
  readonly mappingVersion: number;
}

/** All formats by name. */
export const formats: Readonly<Record<Format, FormatSpec>> = {
  suricata_eve: { title: "Suricata EVE JSON", kinds: ["dpi"], mappingVersion: 1 },
  zeek_json: { title: "Zeek logs as JSON", kinds: ["dpi"], mappingVersion: 1 },
  zeek_tsv: { title: "Zeek logs as rows (Zeek's default)", kinds: ["dpi"], mappingVersion: 1 },
  windows_event_json: { title: "Windows events as JSON (Sysmon, Security and others)", kinds: ["windows"], mappingVersion: 2 },
  windows_event_xml: { title: "Windows events as XML, on lines, over lines or without any", kinds: ["windows"], mappingVersion: 1 },
  windows_etw_json: { title: "Windows ETW as JSON (SilkETW, krabsetw, our own)", kinds: ["windows"], mappingVersion: 2 },
  auditd: { title: "auditd's log (audit.log), records joined into events", kinds: ["linux"], mappingVersion: 2 },
  osquery: { title: "osquery results and status", kinds: ["linux", "windows"], mappingVersion: 2 },
  falco: { title: "Falco alerts as JSON", kinds: ["linux"], mappingVersion: 1 },
  tetragon: { title: "Tetragon's JSON export", kinds: ["linux"], mappingVersion: 2 },
  syslog: { title: "syslog, RFC 5424 and RFC 3164", kinds: ["linux", "dpi", "honeypot"], mappingVersion: 2 },
  sysmon_linux_xml: { title: "Sysmon for Linux as XML, one event a line", kinds: ["linux"], mappingVersion: 2 },
  azure_monitor_json: {
    title: "Azure Monitor's tables of Linux hosts as JSON (Syslog, VMConnection)",
    kinds: ["linux"],
    mappingVersion: 2,
  },
  ocsf_ndjson: { title: "OCSF events, one a line", kinds: ["linux", "windows", "dpi", "honeypot"], mappingVersion: 0 },
};

/** Names of all formats, for help texts and for checking `--format`. */
export const formatNames: readonly Format[] = Object.keys(formats) as Format[];

/** The kind of producer that usually ships this format; a local identity is chosen by it. */
export function detectKind(format: Format): ProducerKind {
  return formats[format].kinds[0] as ProducerKind;
}

/** True if a producer of `kind` may ship `format`. */
export function fitsKind(format: Format, kind: ProducerKind): boolean {
  return formats[format].kinds.includes(kind);
}
