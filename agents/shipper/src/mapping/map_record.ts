// Why: one record's way from bytes to event, the same for every format.
// Enforces: bytes that are not UTF-8 are kept as such and read as well as they can be; numbers survive exactly; native events go through
//   byte for byte.
// Forbids: mapping what is not an object, or too deep to be walked.

import { isUtf8 } from "node:buffer";
import { invalidName, jsonFault, validateLine } from "ransomeye-ingestion/protocol";
import { limits } from "ransomeye-kernel";
import type { RecordCode } from "../errors.ts";
import type { Format } from "../formats.ts";
import { type Draft, finish, type Mapped } from "./draft.ts";
import { depthOf, type Json, keepExactNumbers } from "./json.ts";
import { mapSuricata } from "./suricata/suricata.ts";
import { mapWindows } from "./windows/windows.ts";
import { mapZeek } from "./zeek/zeek.ts";

/** What a mapping is told beside the record. */
export interface MapOptions {
  /** The input's name. */
  readonly name: string;
  /** False leaves raw_data out. */
  readonly raw?: boolean;
}

/** Levels that a record may have; its event puts a few around it. */
const recordDepthMax: number = limits.jsonDepthMax - 4;

const mappings: Readonly<Record<Exclude<Format, "ocsf_ndjson">, (record: Json, name: string) => Draft | undefined>> = {
  suricata_eve: mapSuricata,
  zeek_json: mapZeek,
  windows_event_json: mapWindows,
};

function invalid(code: RecordCode, message: string): Mapped {
  return { kind: "invalid", code, message };
}

/** The parsed record, with numbers that a double cannot hold as texts; undefined where it is not JSON. */
export function parseRecord(bytes: Buffer): unknown {
  try {
    return JSON.parse(keepExactNumbers(bytes.toString("utf8"))) as unknown;
  } catch {
    return undefined;
  }
}

/** Makes one event of a record, or says why there is none. */
export function mapRecord(bytes: Buffer, format: Format, options: MapOptions): Mapped {
  if (format === "ocsf_ndjson") return nativeEvent(bytes);
  const record = parseRecord(bytes);
  if (record === undefined) return invalid("SHIP_RECORD_NOT_JSON", jsonFault(bytes.toString("utf8")));
  if (typeof record !== "object" || record === null || Array.isArray(record))
    return invalid("SHIP_RECORD_NOT_OBJECT", "the record is not an object");
  if (depthOf(record, recordDepthMax) > recordDepthMax)
    return invalid("SHIP_RECORD_TOO_DEEP", `the record has more than ${recordDepthMax} levels`);
  const draft = mappings[format](record as Json, options.name);
  if (draft === undefined) return invalid("SHIP_TIME_MISSING", "the record has no time that can be read");
  return finish(draft, format, bytes, options.raw !== false);
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
