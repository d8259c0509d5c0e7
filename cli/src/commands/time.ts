/**
 * Why it exists: people say "an hour ago" as often as they say a date.
 * Enforces: one way to write times in every command; UTC unless an offset is given.
 * Forbids: guessing.
 */
import { parseInstantUs } from "ransomeye-ingestion/protocol";
import { CliError } from "../errors.ts";

const unitUs: Readonly<Record<string, number>> = { s: 1_000_000, m: 60_000_000, h: 3_600_000_000, d: 86_400_000_000 };

/** Microseconds since 1970 of an ISO 8601 time, a date, or an age such as `15m`. @throws CliError CLI_USAGE */
export function parseTime(text: string, nowUs: number): number {
  const age = /^(\d{1,6})([smhd])$/.exec(text);
  if (age !== null) return nowUs - Number(age[1]) * (unitUs[age[2] ?? ""] ?? 0);
  const us = parseInstantUs(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text, true);
  if (Number.isNaN(us)) throw new CliError("CLI_USAGE", `${text} is neither an ISO 8601 time nor an age such as 90s, 15m, 24h, 7d`);
  return us;
}

/** Seconds of a duration such as `90s`, `15m`, `24h`, `7d`. @throws CliError CLI_USAGE */
export function parseDurationSeconds(text: string): number {
  const duration = /^(\d{1,6})([smhd])$/.exec(text);
  if (duration === null) throw new CliError("CLI_USAGE", `${text} is not a duration such as 90s, 15m, 24h, 7d`);
  return (Number(duration[1]) * (unitUs[duration[2] ?? ""] ?? 0)) / 1_000_000;
}
