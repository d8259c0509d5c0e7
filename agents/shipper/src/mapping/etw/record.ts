// Why: one ETW event wears three coats: SilkETW's, the header and properties of krabsetw's users, and our own agents' flat one.
// Enforces: one view on all of them: provider, event, time, who logged it, and the event's own properties.
// Forbids: throwing anything away: what the view does not take stays in the record.
//
// Our own shape, one object a line: `provider_name`, `provider_guid`, `event_id`, `event_name`, `event_version`, `opcode`, `opcode_name`, `task`,
// `task_name`, `level`, `keywords`, `timestamp` (RFC 3339, or FILETIME as an integer), `process_id`, `thread_id`, `activity_id`,
// `related_activity_id`, `computer`, `properties` (an object). Needed are `timestamp`, `properties`, `event_id` and one of the provider's names.

import { asObject, Fields, type Json, toInteger } from "../json.ts";
import { firstTimeUs, usOfFileTime, usOfText } from "../source_time.ts";

/** An ETW event, whatever wrote it down. */
export interface EtwRecord {
  /** Lower case; undefined where only its GUID is known. */
  readonly provider: string | undefined;
  /** Lower case without braces. */
  readonly guid: string | undefined;
  readonly eventId: number | undefined;
  /** `ProcessStart/Start`, `ImageLoad`; what the writer calls the event. */
  readonly eventName: string | undefined;
  readonly opcode: number | undefined;
  readonly timeUs: number;
  /** Where the header's fields stand. */
  readonly header: Fields;
  /** The event's own fields. */
  readonly data: Fields;
  /** What nobody took. */
  rest(): Json | undefined;
}

/** Names of the header's fields, each writer's own. */
export const headerNames: Readonly<
  Record<
    "provider" | "guid" | "id" | "name" | "version" | "opcode" | "level" | "keywords" | "time" | "pid" | "tid" | "activity" | "computer",
    readonly string[]
  >
> = {
  provider: ["provider_name", "ProviderName"],
  guid: ["provider_guid", "provider_id", "ProviderGuid", "ProviderId"],
  id: ["event_id", "EventID", "EventId"],
  name: ["event_name", "EventName", "task_name", "TaskName"],
  version: ["event_version", "version", "EventVersion", "Version"],
  opcode: ["event_opcode", "opcode", "Opcode"],
  level: ["event_level", "level", "Level"],
  keywords: ["keywords", "event_keywords", "keyword", "Keywords"],
  time: ["timestamp", "TimeStamp", "Timestamp", "time"],
  pid: ["process_id", "ProcessID", "ProcessId"],
  tid: ["thread_id", "ThreadID", "ThreadId"],
  activity: ["activity_id", "ActivityID", "ActivityId"],
  computer: ["computer", "computer_name", "hostname", "Computer"],
};

/** The name that the header uses for a field; the first where it has none. */
export function nameIn(header: Fields, field: keyof typeof headerNames): string {
  const names = headerNames[field];
  return names.find((name) => header.has(name) && header.peek(name) !== "") ?? (names[0] as string);
}

interface Shape {
  readonly header: readonly string[];
  readonly data: string;
}

/** Where header and properties stand, by the names around them. */
function shapeOf(record: Json): Shape | undefined {
  if (asObject(record["XmlEventData"]) !== undefined) return { header: [], data: "XmlEventData" };
  if (asObject(record["properties"]) === undefined) return undefined;
  return { header: asObject(record["header"]) === undefined ? [] : ["header"], data: "properties" };
}

/** True if a record may be an ETW event: a provider, an event and its properties. */
export function looksLikeEtw(record: Json): boolean {
  const shape = shapeOf(record);
  if (shape === undefined) return false;
  const header = shape.header.length === 0 ? record : (record["header"] as Json);
  const has = (field: keyof typeof headerNames): boolean => headerNames[field].some((name) => header[name] !== undefined);
  return (has("provider") || has("guid")) && (has("id") || has("name"));
}

/** The number in TraceEvent's name of an event that has none: `EventID(3008)`. */
function idInName(name: string | undefined): number | undefined {
  return toInteger(/^EventID\((\d{1,5})\)/.exec(name ?? "")?.[1]);
}

/** Digits of a FILETIME from the year 1918 on. */
const fileTime = /^\d{17,18}$/;

function timeOf(value: unknown): number | undefined {
  return firstTimeUs(usOfText(value), fileTime.test(String(value)) ? usOfFileTime(value) : Number.NaN);
}

/** The view; undefined where the record has no time. */
export function etwRecord(record: Json): EtwRecord | undefined {
  const fields = new Fields(record);
  const shape = shapeOf(record) ?? { header: [], data: "properties" };
  const header = shape.header.reduce((owner, name) => owner.nested(name), fields);
  const timeUs = timeOf(header.peek(nameIn(header, "time")));
  if (timeUs === undefined) return undefined;
  const eventName = header.word(nameIn(header, "name"));
  return {
    provider: header.word(nameIn(header, "provider"))?.toLowerCase(),
    guid: header.word(nameIn(header, "guid"))?.toLowerCase().replaceAll(/[{}]/g, ""),
    eventId: toInteger(header.peek(nameIn(header, "id"))) ?? idInName(eventName),
    eventName,
    opcode: toInteger(header.peek(nameIn(header, "opcode"))),
    timeUs,
    header,
    data: fields.nested(shape.data),
    rest: () => fields.rest(),
  };
}
