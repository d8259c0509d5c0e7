// Why: one Windows event wears many coats: flat (Mordor, NXLog), Elastic's winlogbeat, evtx_dump, Azure Monitor with XML inside JSON.
// Enforces: one view on all of them: channel, event id, host, time, and the event's own data fields.
// Forbids: throwing anything away: what the view does not take stays in the record.

import { addValue, asObject, Fields, type Json, toInteger } from "../json.ts";
import { levelSeverity } from "./levels.ts";
import { windowsTime } from "./time.ts";
import { withoutReferences } from "./xml.ts";

/** A Windows event, whatever wrote it down. */
export interface WindowsRecord {
  readonly eventId: number | undefined;
  readonly channel: string | undefined;
  readonly provider: string | undefined;
  readonly host: string | undefined;
  readonly timeUs: number;
  readonly originalTime: string | undefined;
  /** OCSF severity. */
  readonly severityId: number;
  /** OCSF status of what was audited; undefined where the event is no audit. */
  readonly auditStatusId: 1 | 2 | undefined;
  /** Number of the record in its channel, as text. */
  readonly recordId: string | undefined;
  /** The event's own fields (EventData). In flat records these are the record itself. */
  readonly data: Fields;
  /** Takes the rendered message. After the data was read, which in flat records it is part of. */
  takeMessage(): string | undefined;
  /** What nobody took. */
  rest(): Json | undefined;
}

/** NXLog's severity values as OCSF severities. */
const severityValues: Readonly<Record<string, number>> = { "1": 1, "2": 1, "3": 3, "4": 4, "5": 5 };

function severity(system: Fields): number {
  const nxlog = system.peek("SeverityValue");
  if (nxlog !== undefined) return severityValues[String(nxlog)] ?? 0;
  const level = system.peek("Level") ?? system.peek("level") ?? system.peek("LevelDisplayName");
  return levelSeverity(level);
}

/** Keywords of an audit's success and failure, as mask and in words. */
const auditSuccess: ReadonlySet<unknown> = new Set(["0x8020000000000000", "AUDIT_SUCCESS", "Audit Success"]);
const auditFailure: ReadonlySet<unknown> = new Set(["0x8010000000000000", "AUDIT_FAILURE", "Audit Failure"]);

/** NXLog says it in EventType, winlogbeat in a list of words, all others in the mask. */
function auditStatus(system: Fields): 1 | 2 | undefined {
  const said = [system.peek("Keywords"), system.peek("keywords"), system.peek("EventType")].flat();
  if (said.some((word) => auditFailure.has(word))) return 2;
  return said.some((word) => auditSuccess.has(word)) ? 1 : undefined;
}

const unescapeXml = (text: string): string => withoutReferences(text, (written) => written);

/** `<Data Name="x">value</Data>` pairs of an EventData element; undefined where the text holds none. */
export function eventDataFromXml(xml: string): Json | undefined {
  const data: Json = {};
  let found = false;
  for (const [, name, value] of xml.matchAll(/<Data\s+Name=["']([^"'<>]*)["']\s*(?:\/>|>([^<]*)<\/Data>)/g)) {
    addValue(data, unescapeXml(name as string), unescapeXml(value ?? ""));
    found = true;
  }
  return found ? data : undefined;
}

/** evtx_dump writes attributes and text of an element apart; the text takes its place, the attributes one beside it. */
function openElement(system: Json, name: string): void {
  const element = asObject(system[name]);
  if (element === undefined) return;
  const { [element["#text"] === undefined ? "$t" : "#text"]: text, "#attributes": attributes, ...others } = element;
  system[name] = text;
  if (attributes !== undefined) system[`${name}_attributes`] = attributes;
  if (Object.keys(others).length > 0) system[`${name}_element`] = others;
}

/** An event's own data: EventData, or the one element of UserData, whose name is the event's own. */
function dataOf(event: Json, fields: Fields): Fields {
  const user = asObject(event["UserData"]);
  if (event["EventData"] !== undefined || user === undefined) return fields.nested("EventData");
  const [name, ...others] = Object.keys(user).filter((key) => !key.startsWith("#"));
  return name === undefined || others.length > 0 ? fields.nested("UserData") : fields.nested("UserData").nested(name);
}

interface Shape {
  readonly system: Fields;
  readonly data: Fields;
  /** Names of the fields in this shape, the first that is there counts. */
  readonly eventId: readonly string[];
}

function shapeOf(record: Json, fields: Fields): Shape {
  const event = asObject(record["Event"]);
  if (event !== undefined && asObject(event["System"]) !== undefined) {
    const inner = fields.nested("Event");
    const system = event["System"] as Json;
    for (const name of ["EventID", "Channel", "Computer", "Level", "EventRecordID"]) openElement(system, name);
    return { system: inner.nested("System"), data: dataOf(event, inner), eventId: ["EventID"] };
  }
  const winlog = asObject(record["winlog"]);
  if (winlog !== undefined)
    return {
      system: fields.nested("winlog"),
      data: fields.nested("winlog").nested(winlog["event_data"] === undefined ? "user_data" : "event_data"),
      eventId: ["event_id"],
    };
  const xml = record["EventData"];
  const parsed = typeof xml === "string" ? eventDataFromXml(xml) : undefined;
  if (parsed !== undefined) record["EventData"] = parsed;
  if (asObject(record["EventData"]) !== undefined) return { system: fields, data: fields.nested("EventData"), eventId: ["EventID"] };
  return { system: fields, data: fields, eventId: ["EventID", "event_id", "EventId"] };
}

function firstText(owner: Fields, names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = owner.text(name);
    if (text !== undefined) return text;
  }
  return undefined;
}

/** The view; undefined where the record has no time. */
export function windowsRecord(record: Json): WindowsRecord | undefined {
  const fields = new Fields(record);
  const { system, data, eventId } = shapeOf(record, fields);
  const idName = eventId.find((name) => toInteger(system.peek(name)) !== undefined);
  const time = windowsTime(fields, system, data);
  if (time === undefined) return undefined;
  const provider = asObject(system.peek("Provider"));
  const attributes = asObject(provider?.["#attributes"]) ?? provider;
  const named = attributes?.["Name"];
  return {
    eventId: idName === undefined ? undefined : system.integer(idName),
    channel: firstText(system, ["Channel", "channel"]),
    provider:
      firstText(system, ["SourceName", "provider_name", "EventSourceName", "ProviderName", "Source"]) ??
      (typeof named === "string" ? named : undefined),
    host: firstText(system, ["Hostname", "Computer", "computer_name", "ComputerName"]) ?? hostOf(fields),
    timeUs: time.us,
    originalTime: time.text,
    severityId: severity(system),
    auditStatusId: auditStatus(system),
    recordId: firstText(system, ["RecordNumber", "EventRecordID", "record_id"]),
    data,
    takeMessage: () => fields.text("Message") ?? fields.text("message") ?? fields.nested("Event").nested("RenderingInfo").text("Message"),
    rest: () => fields.rest(),
  };
}

/** winlogbeat's `host.name`; a flat `host` is the collector's and is left where it is. */
function hostOf(fields: Fields): string | undefined {
  return asObject(fields.peek("host")) === undefined ? undefined : fields.nested("host").text("name");
}

/** True if a record may be a Windows event: an event id beside something that only Windows events have. */
export function looksLikeWindows(record: Json): boolean {
  const event = asObject(record["Event"]);
  if (event !== undefined && asObject(event["System"]) !== undefined) return true;
  const winlog = asObject(record["winlog"]);
  if (winlog !== undefined && toInteger(winlog["event_id"]) !== undefined) return true;
  if (toInteger(record["EventID"] ?? record["EventId"] ?? record["event_id"]) === undefined) return false;
  return ["Channel", "channel", "SourceName", "ProviderGuid", "EventSourceName", "ProviderName"].some((name) => record[name] !== undefined);
}
