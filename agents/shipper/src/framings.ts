// Why: which framing a format has is knowledge of the format, and the reader should not have to know it.
// Enforces: every format has exactly one framing.
// Forbids: looking at the input, which is detection's part.

import type { Format } from "./formats.ts";
import type { Framing, FramingOptions } from "./input/framing.ts";
import { ElementFraming } from "./input/element_framing.ts";
import { HeaderFraming } from "./input/header_framing.ts";
import { JoinedFraming } from "./input/joined_framing.ts";
import { LineFraming } from "./input/line_framing.ts";
import { RecordSplitter } from "./input/record_splitter.ts";
import { SyslogFraming } from "./input/syslog_framing.ts";
import { auditKey } from "./mapping/auditd/audit_line.ts";
import { headerAfter } from "./mapping/zeek/tsv_header.ts";

const json = (options: FramingOptions): Framing => new RecordSplitter(options);

const framings: Readonly<Record<Format, (options: FramingOptions) => Framing>> = {
  suricata_eve: json,
  zeek_json: json,
  zeek_tsv: (options) => new HeaderFraming(options, headerAfter),
  windows_event_json: json,
  windows_event_xml: (options) => new ElementFraming(options, "Event"),
  windows_etw_json: json,
  osquery: json,
  falco: json,
  tetragon: json,
  auditd: (options) => new JoinedFraming(options, (line) => auditKey(line.bytes)),
  syslog: (options) => new SyslogFraming(options),
  sysmon_linux_xml: (options) => new LineFraming(options),
  azure_monitor_json: json,
  ocsf_ndjson: json,
};

/** The framing of a format; of an input whose format only its records can show, that of JSON. */
export function framingOf(format: Format | undefined, options: FramingOptions): Framing {
  return (format === undefined ? json : framings[format])(options);
}
