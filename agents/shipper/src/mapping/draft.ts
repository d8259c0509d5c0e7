// Why: every mapping ends in the same way, and the promises about it are kept in one place.
// Enforces: each event carries the original record byte for byte, the format, the mapping and its version; what has no place is in
//   `unmapped`; an event that its class would refuse becomes a base event; nothing leaves here that the gate would call invalid.
// Forbids: an event without time, and shortening anything in silence.

import { isUtf8 } from "node:buffer";
import {
  checkEvent,
  classes,
  type EventFault,
  formatInstantUs,
  invalidName,
  lineBoundsFault,
  OCSF_VERSION,
  ranges,
} from "ransomeye-ingestion/protocol";
import type { RecordCode } from "../errors.ts";
import { type Format, formats } from "../formats.ts";
import type { Json } from "./json.ts";

/** What a mapping makes of a record: class, activity, fields. `metadata` is completed here. */
export interface Draft {
  readonly classUid: number;
  readonly activityId: number;
  /** Needed where `activityId` is 99: the source's own word. */
  readonly activityName?: string | undefined;
  readonly severityId: number;
  readonly timeUs: number;
  /** Vendor and product whose record this is. */
  readonly product: Json;
  readonly metadata?: Json;
  readonly fields: Json;
  /** What had no place; asked for once, after the fields were taken. */
  readonly unmapped: Json | undefined;
}

/** What the reader of one kind of record decides: the rest of the draft is alike for all of its source's records. */
export type Part = Pick<Draft, "classUid" | "activityId" | "activityName" | "fields">;

/** The part of a record that no class has room for: a base event. */
export function basePart(activityName: string | undefined, fields: Json = {}): Part {
  return { classUid: 0, activityId: 99, activityName, fields };
}

/** A record's fate. */
export type Mapped =
  | { readonly kind: "event"; readonly line: Buffer }
  | { readonly kind: "invalid"; readonly code: RecordCode; readonly message: string };

/** Marks an event whose raw_data is base64: the record was not UTF-8. */
const base64Label = "raw_data:base64";
/** Marks an event that was beyond a bound with its unmapped fields; they stand in raw_data alone. */
const unmappedLabel = "unmapped:raw_data";

function envelope(draft: Draft, format: Format, original: Buffer, keepRaw: boolean): Json {
  const labels: string[] = [];
  let rawData: string | undefined;
  if (keepRaw) {
    if (isUtf8(original)) rawData = original.toString("utf8");
    else {
      rawData = original.toString("base64");
      labels.push(base64Label);
    }
  }
  return {
    metadata: {
      version: OCSF_VERSION,
      product: draft.product,
      log_format: format,
      transformation_info_list: [{ name: `ransomeye.${format}`, uid: String(formats[format].mappingVersion) }],
      labels: labels.length === 0 ? undefined : labels,
      profiles: needsMicroseconds(draft.timeUs) ? datetimeProfile : undefined,
      ...draft.metadata,
    },
    raw_data: rawData,
    raw_data_size: original.length,
  };
}

function eventOf(draft: Draft, classUid: number, activityId: number, frame: Json): Json {
  return {
    class_uid: classUid,
    category_uid: classes[classUid]?.categoryUid,
    activity_id: activityId,
    activity_name: activityId === 99 ? draft.activityName : undefined,
    type_uid: classUid * 100 + activityId,
    severity_id: draft.severityId,
    time: Math.floor(draft.timeUs / 1000),
    time_dt: needsMicroseconds(draft.timeUs) ? formatInstantUs(draft.timeUs) : undefined,
    ...draft.fields,
    unmapped: draft.unmapped,
    ...frame,
  };
}

/** OCSF's profile that `time_dt` belongs to. */
const datetimeProfile: readonly string[] = ["datetime"];

/** A time outside the schema's range gets no text; the check will refuse it. */
function needsMicroseconds(us: number): boolean {
  return us % 1000 !== 0 && us / 1000 >= ranges.timeMsMin && us / 1000 <= ranges.timeMsMax;
}

/** Activity "other", for events whose class could not be kept. */
const other = 99;

/** Makes the event's line, or says why there is none. `original` are the record's bytes. */
export function finish(draft: Draft, format: Format, original: Buffer, keepRaw: boolean): Mapped {
  const frame = envelope(draft, format, original, keepRaw);
  let event = eventOf(draft, draft.classUid, draft.activityId, frame);
  let fault = checkEvent(event);
  if (fault !== null && draft.classUid !== 0) {
    // The record lacks what its class requires. Nothing that was mapped is lost: as unmapped fields it needs no type.
    const name = draft.activityName ?? classes[draft.classUid]?.name;
    const base: Draft = { ...draft, activityName: name, fields: {}, unmapped: { ...draft.unmapped, mapped: draft.fields } };
    event = eventOf(base, 0, other, frame);
    fault = checkEvent(event);
  }
  if (fault !== null) return invalid("SHIP_EVENT_INVALID", fault);
  let line = Buffer.from(JSON.stringify(event));
  let beyond = lineBoundsFault(line);
  if (beyond !== null && keepRaw) {
    const metadata = frame["metadata"] as Json;
    const labels = [...((metadata["labels"] as string[] | undefined) ?? []), unmappedLabel];
    line = Buffer.from(JSON.stringify({ ...event, unmapped: undefined, metadata: { ...metadata, labels } }));
    beyond = lineBoundsFault(line);
  }
  return beyond === null ? { kind: "event", line } : invalid("SHIP_EVENT_TOO_LARGE", beyond);
}

function invalid(code: RecordCode, { code: why, reason }: EventFault): Mapped {
  return { kind: "invalid", code, message: `${invalidName(why)}: ${reason}` };
}

/** The original record of an event that a reader made, byte for byte; undefined if it was shipped without. */
export function originalOf(event: Json): Buffer | undefined {
  const raw = event["raw_data"];
  if (typeof raw !== "string") return undefined;
  const labels = (event["metadata"] as Json | undefined)?.["labels"];
  return Buffer.from(raw, Array.isArray(labels) && labels.includes(base64Label) ? "base64" : "utf8");
}
