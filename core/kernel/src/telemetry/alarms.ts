/**
 * Why: what was emitted as an alarm has to reach an operator who reads no log; on its way it is a value like any other.
 * Enforces: bounded text, and a subject: what two alarms have in common when they are the same one again.
 * Forbids: deciding how often it is told; that is for whoever takes it.
 */
import { cutText } from "../text.ts";
import type { AlarmDefinition, AlarmSeverity, Fields } from "./definitions.ts";

/** Characters of one text in an alarm, and of its title, and how many fields it has; the log line has more. */
export const alarmTextCharsMax: number = 512;
export const alarmTitleCharsMax: number = 200;
export const alarmFieldsMax: number = 16;

/** An alarm, as it was raised. */
export interface RaisedAlarm {
  /** Name of the event. */
  readonly event: string;
  readonly title: string;
  readonly severity: AlarmSeverity;
  /** The fields that say whom or what it is about; all as text. */
  readonly about: Readonly<Record<string, string>>;
  /** All fields that have a value, those of `about` among them. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** What an event's alarm says with these fields. */
export function raisedAlarm<F extends Fields>(event: string, alarm: AlarmDefinition<F>, fields: Fields): RaisedAlarm {
  const said: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields).slice(0, alarmFieldsMax)) {
    if (value === undefined || value === null) continue;
    if (typeof value === "string") said[name] = cutText(value, alarmTextCharsMax);
    // JSON, as which it travels, has no other numbers.
    else said[name] = typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  }
  const about = Object.fromEntries(alarm.about.map((name) => [name, String(said[name] ?? "")]));
  return { event, title: alarm.title, severity: alarm.severity, about, fields: said };
}
