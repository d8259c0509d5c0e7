// Why: Windows exports carry up to five times, some local without saying so, some the collector's, some wrong by hours.
// Enforces: Sysmon's own UtcTime first; then the event's time of creation; local times are brought to UTC by the collector's own pair of
//   local and UTC time; the collector's time only where there is no other.
// Forbids: reading a local time as UTC where the record itself shows the difference.

import { parseInstantUs } from "ransomeye-ingestion/protocol";
import { asObject, type Fields } from "../json.ts";

/** An instant and the text that it was read from. */
export interface SourceTime {
  readonly us: number;
  readonly text: string;
}

const quarterHourUs = 900_000_000;

function timeOf(value: unknown): SourceTime | undefined {
  if (typeof value !== "string") return undefined;
  const us = parseInstantUs(value, true);
  return Number.isNaN(us) ? undefined : { us, text: value };
}

/** True if the text says its offset from UTC itself. */
function saysOffset(text: string): boolean {
  return /(?:[zZ]|[+-]\d\d(?::?\d\d)?)$/.test(text.slice(10));
}

/**
 * NXLog writes EventTime and EventReceivedTime in the collector's local time; the forwarder behind it adds `@timestamp`, the same moment of
 * receipt in UTC. Their difference, rounded to quarter hours, is the zone.
 */
function nxlogTime(fields: Fields, system: Fields): SourceTime | undefined {
  const event = timeOf(system.peek("EventTime"));
  if (event === undefined) return undefined;
  if (saysOffset(event.text)) return event;
  const received = timeOf(system.peek("EventReceivedTime"));
  const receivedUtc = timeOf(fields.peek("@timestamp"));
  if (received === undefined || receivedUtc === undefined || saysOffset(received.text)) return event;
  const zoneUs = Math.round((receivedUtc.us - received.us) / quarterHourUs) * quarterHourUs;
  // No zone is further from UTC than 14 hours; more than that is delay, not zone.
  return Math.abs(zoneUs) <= 56 * quarterHourUs ? { us: event.us + zoneUs, text: event.text } : event;
}

function systemTime(system: Fields): SourceTime | undefined {
  const created = asObject(system.peek("TimeCreated"));
  const attributes = asObject(created?.["#attributes"]) ?? created;
  return timeOf(attributes?.["SystemTime"]);
}

/** When the event happened; undefined where no time can be read. Nothing is taken: all times stay in `unmapped` for whoever doubts the choice. */
export function windowsTime(fields: Fields, system: Fields, data: Fields): SourceTime | undefined {
  return (
    timeOf(data.peek("UtcTime")) ??
    systemTime(system) ??
    timeOf(system.peek("TimeCreated")) ??
    timeOf(system.peek("time_created")) ??
    nxlogTime(fields, system) ??
    timeOf(system.peek("TimeGenerated")) ??
    timeOf(fields.peek("@timestamp"))
  );
}
