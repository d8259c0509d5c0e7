// Why: one record's way from bytes to event, the same for every format.
// Enforces: bytes that are not UTF-8 are kept as such and read as well as they can be; numbers survive exactly; native events go through
//   byte for byte.
// Forbids: mapping what is not an object, or too deep to be walked.

import { isUtf8 } from "node:buffer";
import { boundsFault, invalidName, type JsonBounds, jsonFault, printable, validateLine } from "ransomeye-ingestion/protocol";
import { type Clock, limits } from "ransomeye-kernel";
import { type RecordCode, ShipError } from "../errors.ts";
import type { Format } from "../formats.ts";
import type { RawRecord } from "../input/framing.ts";
import { parseAudit } from "./auditd/audit_event.ts";
import { mapAudit } from "./auditd/auditd.ts";
import { type Draft, finish, type Mapped } from "./draft.ts";
import { mapEtw } from "./etw/etw.ts";
import { mapFalco } from "./falco/falco.ts";
import { asObject, type Json, keepExactNumbers } from "./json.ts";
import { mapOsquery } from "./osquery/osquery.ts";
import { mapSuricata } from "./suricata/suricata.ts";
import { mapTetragon } from "./tetragon/tetragon.ts";
import { mapAzure } from "./azure/azure.ts";
import { mapSyslog, parseSyslogRecord } from "./syslog/syslog.ts";
import { readEventXml } from "./windows/event_xml.ts";
import { mapWindows } from "./windows/windows.ts";
import { headerOf, parseRow } from "./zeek/tsv.ts";
import { mapZeek } from "./zeek/zeek.ts";

/** What a mapping is told beside the record. */
export interface MapOptions {
  /** The input's name. */
  readonly name: string;
  /** Name of the host whose log this is, for formats whose records need not say it. */
  readonly host?: string | undefined;
  /** The clock of whoever reads: finds the year of times that have none, and tells how long records wait. Without it times need a year. */
  readonly clock?: Pick<Clock, "nowUs" | "monotonicMs"> | undefined;
  /** Minutes that times without zone are ahead of UTC; UTC if not told. */
  readonly zoneMinutes?: number | undefined;
  /** False leaves raw_data out. */
  readonly raw?: boolean;
}

/** What a record is held to before it is parsed. Its event puts a few levels around it; keys and strings are the event's matter, which may leave them to `raw_data`. */
const recordBounds: JsonBounds = {
  jsonDepthMax: limits.jsonDepthMax - 4,
  jsonKeysMax: Number.POSITIVE_INFINITY,
  jsonStringBytesMax: Number.POSITIVE_INFINITY,
};

/** How a format's records are read and what is made of them. */
interface FormatMapping {
  /** What the record's bytes say, as an object that the mapping may take apart; where they say nothing, why. */
  readonly parse: (raw: RawRecord, options: MapOptions) => Json | Fault;
  /** The event; undefined where the record has no time. */
  readonly map: (record: Json, options: MapOptions) => Draft | undefined;
}

/** Why a record gives no event. */
class Fault {
  readonly code: RecordCode;
  readonly message: string;

  constructor(code: RecordCode, message: string) {
    this.code = code;
    this.message = message;
  }
}

const notEvent = "the text is no <Event> of elements, attributes and text";

const mappings: Readonly<Record<Exclude<Format, "ocsf_ndjson">, FormatMapping>> = {
  suricata_eve: { parse: jsonRecord, map: mapSuricata },
  zeek_json: { parse: jsonRecord, map: (record, { name }) => mapZeek(record, name) },
  zeek_tsv: { parse: zeekRow, map: (record, { name }) => mapZeek(record, name) },
  windows_event_json: { parse: jsonRecord, map: mapWindows },
  windows_event_xml: { parse: text(readEventXml, notEvent), map: mapWindows },
  windows_etw_json: { parse: jsonRecord, map: mapEtw },
  osquery: { parse: jsonRecord, map: mapOsquery },
  falco: { parse: jsonRecord, map: mapFalco },
  tetragon: { parse: jsonRecord, map: mapTetragon },
  auditd: { parse: text(parseAudit, "a line does not begin with type=NAME msg=audit(TIME:SERIAL)"), map: mapAudit },
  syslog: { parse: text(parseSyslogRecord, "the line follows neither RFC 5424 nor RFC 3164"), map: mapSyslog },
  sysmon_linux_xml: { parse: text(readEventXml, notEvent), map: mapWindows },
  azure_monitor_json: { parse: jsonRecord, map: mapAzure },
};

/** A JSON object of no more levels than an event may carry. */
function jsonRecord({ bytes }: RawRecord): Json | Fault {
  const tooDeep = boundsFault(bytes, 0, bytes.length, recordBounds);
  if (tooDeep !== null) return new Fault("SHIP_RECORD_TOO_DEEP", tooDeep.reason);
  const record = parseJson(bytes);
  if (record === undefined) return new Fault("SHIP_RECORD_NOT_JSON", jsonFault(bytes.toString("utf8")));
  const object = asObject(record);
  return object ?? new Fault("SHIP_RECORD_NOT_OBJECT", "the record is not an object");
}

/** A row under its header. Without one no row of the input can be read, so the input ends. */
function zeekRow({ bytes, header, byteOffset, line }: RawRecord, { name }: MapOptions): Json | Fault {
  const known = headerOf(header ?? "");
  if (known === undefined) {
    const what = "rows stand here without the #fields line that names their fields";
    throw new ShipError("SHIP_HEADER_MISSING", `${printable(name)}: ${what}, at byte ${byteOffset}, line ${line}`, {
      fields: { input: name, byteOffset, line },
    });
  }
  const record = parseRow(bytes, known);
  return typeof record === "string" ? new Fault("SHIP_RECORD_MALFORMED", record) : record;
}

/** Text by its own grammar; `otherwise` says what is wrong where it does not follow it. Bytes that are no UTF-8 are read as well as they can be. */
function text(parse: (text: string, options: MapOptions) => Json | undefined, otherwise: string): FormatMapping["parse"] {
  return ({ bytes }, options) => parse(bytes.toString("utf8"), options) ?? new Fault("SHIP_RECORD_MALFORMED", otherwise);
}

function invalid(code: RecordCode, message: string): Mapped {
  return { kind: "invalid", code, message };
}

/** The parsed record, with numbers that a double cannot hold as texts; undefined where it is not JSON. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(keepExactNumbers(bytes.toString("utf8"))) as unknown;
  } catch {
    return undefined;
  }
}

/** Makes one event of a record, or says why there is none. */
export function mapRecord(raw: RawRecord, format: Format, options: MapOptions): Mapped {
  if (format === "ocsf_ndjson") return nativeEvent(raw.bytes);
  const { parse, map } = mappings[format];
  const record = parse(raw, options);
  if (record instanceof Fault) return invalid(record.code, record.message);
  const draft = map(record, options);
  if (draft === undefined) return invalid("SHIP_TIME_MISSING", "the record has no time that can be read");
  return finish(draft, format, raw.bytes, options.raw !== false);
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/**
 * A native event is its own line. Where it was spread over several, its line ends become spaces: JSON has none inside texts, so nothing else
 * changes and numbers stay as they are written.
 */
function nativeEvent(bytes: Buffer): Mapped {
  const line = bytes.includes(lineFeed)
    ? Buffer.from(bytes.map((byte) => (byte === lineFeed || byte === carriageReturn ? space : byte)))
    : bytes;
  const fault = validateLine(line);
  if (fault === null) return { kind: "event", line };
  if (!isUtf8(line)) return invalid("SHIP_RECORD_NOT_JSON", "the record is not UTF-8");
  return invalid("SHIP_EVENT_INVALID", `${invalidName(fault.code)}: ${fault.reason}`);
}
