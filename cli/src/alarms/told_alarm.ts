/**
 * Why it exists: a gateway that somebody has taken over may tell its supervisor anything over their channel, and what it tells ends on a stream that people act on.
 * Enforces: shape and bounds of every part; who tells it is the supervisor's to know, never the teller's to say.
 * Forbids: throwing for whatever a process says.
 */
import { alarmFieldsMax, type AlarmSeverity, alarmTextCharsMax, alarmTitleCharsMax } from "ransomeye-kernel";
import type { CountedAlarm } from "./alarm_limiter.ts";

const nameCharsMax = 64;
const countMax = 1_000_000_000_000;
const severities: ReadonlySet<unknown> = new Set<AlarmSeverity>(["medium", "high", "critical"]);

/** The alarm that a process tells, or undefined where it is none. */
export function toldAlarm(value: unknown): CountedAlarm | undefined {
  if (!isRecord(value)) return undefined;
  const { event, title, severity, about, fields, count, firstUs, lastUs } = value;
  if (!isName(event) || !isText(title, alarmTitleCharsMax) || title === "" || !severities.has(severity)) return undefined;
  if (!isFields(about, (text) => isText(text, alarmTextCharsMax)) || !isFields(fields, isFieldValue)) return undefined;
  if (!isWhole(count, countMax) || count === 0 || !isWhole(firstUs, Number.MAX_SAFE_INTEGER) || !isWhole(lastUs, Number.MAX_SAFE_INTEGER))
    return undefined;
  return {
    ...{ event, title, severity: severity as AlarmSeverity, count, firstUs, lastUs },
    about: about as CountedAlarm["about"],
    fields: fields as CountedAlarm["fields"],
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= nameCharsMax && /^[a-z_][a-z0-9_]*$/i.test(value);
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === "string" && value.length <= charsMax;
}

function isFieldValue(value: unknown): boolean {
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value)) || isText(value, alarmTextCharsMax);
}

function isFields(value: unknown, good: (field: unknown) => boolean): boolean {
  if (!isRecord(value)) return false;
  const entries = Object.entries(value);
  return entries.length <= alarmFieldsMax && entries.every(([name, field]) => isName(name) && good(field));
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
