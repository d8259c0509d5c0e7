// Why: whoever ships a file should not have to say what it is, and must be told plainly when it cannot be read.
// Enforces: formats are known by what records hold, never by a file's name alone; what is recognised and has no reader is named.
// Forbids: reading on when nothing is recognised.

import { packedOtherwise } from "./input/gunzip.ts";
import { type Format, formatNames } from "./formats.ts";
import { looksLikeEtw } from "./mapping/etw/record.ts";
import { looksLikeFalco } from "./mapping/falco/falco.ts";
import { asObject, type Json } from "./mapping/json.ts";
import { looksLikeOsquery } from "./mapping/osquery/osquery.ts";
import { looksLikeTetragon } from "./mapping/tetragon/tetragon.ts";
import { looksLikeAzure } from "./mapping/azure/azure.ts";
import { looksLikeWindows } from "./mapping/windows/record.ts";
import { logOfFile, looksLikeZeek } from "./mapping/zeek/names.ts";

/** The format of one record; undefined if it shows none. `fileHint` is the input's name. */
export function detectRecord(record: Json, fileHint: string): Format | undefined {
  if (typeof record["class_uid"] === "number" && asObject(record["metadata"]) !== undefined) return "ocsf_ndjson";
  if (typeof record["event_type"] === "string" && ["timestamp", "flow_id", "src_ip"].some((name) => record[name] !== undefined))
    return "suricata_eve";
  if (looksLikeEtw(record)) return "windows_etw_json";
  if (looksLikeWindows(record)) return "windows_event_json";
  if (looksLikeOsquery(record)) return "osquery";
  if (looksLikeFalco(record)) return "falco";
  if (looksLikeTetragon(record)) return "tetragon";
  if (looksLikeAzure(record)) return "azure_monitor_json";
  return looksLikeZeek(record, fileHint) ? "zeek_json" : undefined;
}

/** Formats of text, by what a line of theirs looks like. */
const textFormats: readonly (readonly [format: Format, pattern: RegExp])[] = [
  // The header's first line with any prefix and separator; one that was cut off above its names; rows that lost their header.
  ["zeek_tsv", /^[^\s{["]{1,16}separator \S+\r?$|^#fields\t|^\d{9,10}\.\d{6}\t\S/],
  ["auditd", /^\s*(?:node=\S+ )?type=[A-Z][A-Z0-9_]*(?:\[\d+\])? msg=audit\(/],
  ["sysmon_linux_xml", /^\s*<Event>(?=.*Linux-Sysmon)/],
  ["windows_event_xml", /^\s*(?:<\?xml[^<>]*\?>\s*)?(?:<Events\b[^<>]*>\s*)?<Event xmlns=["']http:\/\/schemas\.microsoft\.com\/win\//],
  ["syslog", /^(?:[1-9]\d{0,6} )?<\d{1,3}>(?:1 |[*.]?[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d-\d\dT)/],
  ["syslog", /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S/],
  ["syslog", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) \S+ [^\s:[\]]+(?:\[\d+\])?: /],
];

/** Bytes at the beginning that are looked at for a format of text. */
export const textHeadBytes = 4096;

/**
 * The format of a text by its first telling line; "json" where its records will have to tell, undefined where more has to be read. `whole` says that
 * no more will come, or that enough has.
 */
export function detectLines(head: string, whole: boolean): Format | "json" | undefined {
  const lines = head.split("\n");
  // The last line may go on.
  if (!whole) lines.pop();
  for (const line of lines) {
    const found = textFormats.find(([, pattern]) => pattern.test(line));
    if (found !== undefined) return found[0];
    if (/^\s*[{[]/.test(line)) return "json";
  }
  return whole || /^\s*[{[]/.test(head) ? "json" : undefined;
}

/** Words that a format's records hold even where they are damaged and no JSON. */
const traces: readonly (readonly [format: Format, pattern: RegExp])[] = [
  ["ocsf_ndjson", /"class_uid"\s*:\s*\d/],
  ["suricata_eve", /"event_type"\s*:\s*"/],
  ["windows_event_json", /"(?:EventID|winlog)"\s*:/],
  ["windows_etw_json", /"(?:XmlEventData|provider_guid)"\s*:/],
  ["osquery", /"(?:hostIdentifier|calendarTime)"\s*:/],
  ["falco", /"output_fields"\s*:/],
  ["tetragon", /"process_(?:exec|exit|kprobe|tracepoint|uprobe|lsm|loader)"\s*:/],
  ["zeek_json", /"(?:id[._](?:orig|resp)_h|_path)"\s*:\s*"/],
];

/** The format that a damaged record once had; undefined if nothing shows it. Asked only where no whole record shows a format. */
export function detectText(text: string): Format | undefined {
  return traces.find(([, pattern]) => pattern.test(text))?.[0];
}

/** The last resort for objects that show nothing: a file named after a log of Zeek's. Their records are then named as invalid one by one. */
export function detectName(name: string): Format | undefined {
  return logOfFile(name) === undefined ? undefined : "zeek_json";
}

/** Formats that show themselves in text, with what to do instead. Each looks at the beginning of the input. */
const unsupported: readonly (readonly [name: string, pattern: RegExp, advice: string])[] = [
  ["Windows event XML", /^\s*<(?:\?xml|Events?\b)(?!>.*Linux-Sysmon)/, "export the events as JSON"],
  ["Windows EVTX", /^ElfFile\0/, "export the events as JSON, for example with evtx_dump"],
  [
    "pcap",
    /^(?:\u00d4\u00c3\u00b2\u00a1|\u00a1\u00b2\u00c3\u00d4|\n\r\r\n)/,
    "run Suricata or Zeek over the capture and ship what they write",
  ],
];

/** What an input is that no reader takes; undefined if it is nothing known. `head` is its beginning. */
export function recognise(head: Buffer): { name: string; advice: string } | undefined {
  const packed = packedOtherwise(head);
  if (packed !== undefined)
    return {
      name: `${packed} compression`,
      advice: `unpack it, or pipe it: ${packed === "zip" ? "unzip -p" : packed} … | ransomeye ship -`,
    };
  const text = head.toString("latin1", 0, 4096);
  for (const [name, pattern, advice] of unsupported) if (pattern.test(text)) return { name, advice };
  return undefined;
}

/** UTF-16 or UTF-32 by byte order mark, or by the NULs beside ASCII; undefined for UTF-8. */
export function foreignEncoding(head: Buffer): string | undefined {
  const hex = head.toString("hex", 0, 4);
  if (hex === "fffe0000" || hex === "0000feff") return "UTF-32";
  if (hex.startsWith("fffe") || hex.startsWith("feff")) return "UTF-16";
  if (
    head.length >= 4 &&
    ((head[0] !== 0 && head[1] === 0 && head[2] !== 0 && head[3] === 0) ||
      (head[0] === 0 && head[1] !== 0 && head[2] === 0 && head[3] !== 0))
  )
    return "UTF-16";
  return undefined;
}

/** What may be shipped, for error messages. */
export function supportedFormats(): string {
  return formatNames.join(", ");
}
