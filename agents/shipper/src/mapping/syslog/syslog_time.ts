// Why: RFC 3164's times have neither year nor zone, and yet an event needs an instant.
// Enforces: the stated rule: the zone is the one that is told, else UTC; the year is the latest in which the time lies not more than a day after
//   the reference time, so that logs of last December and of hosts whose clocks are ahead find theirs.
// Forbids: asking a clock: the reference time is told, and without one a time without year is none.

import { parseInstantUs } from "ransomeye-ingestion/protocol";

/** How times are meant that do not say it. */
export interface TimeRule {
  /** About when the records were read, microseconds since 1970. */
  readonly referenceUs?: number | undefined;
  /** Minutes that local times are ahead of UTC. */
  readonly zoneMinutes?: number | undefined;
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const dayUs = 86_400_000_000;
const minuteUs = 60_000_000;

const plain = /^([A-Z][a-z]{2}) ([ \d]?\d) (?:(\d{4}) )?(\d\d:\d\d:\d\d(?:\.\d{1,9})?)$/;

/** The leap day comes every eight years at worst. */
const yearsBack = 8;

/** An instant in microseconds; NaN where it cannot be told. */
export function plainTimeUs(text: string, { referenceUs, zoneMinutes }: TimeRule): number {
  const zoneUs = (zoneMinutes ?? 0) * minuteUs;
  const match = plain.exec(text);
  if (match === null) {
    const us = parseInstantUs(text, true);
    return /(?:Z|[+-]\d\d:?\d\d)$/.test(text.slice(10)) ? us : us - zoneUs;
  }
  const [, name, day, year, clock] = match as unknown as [string, string, string, string | undefined, string];
  const month = months.indexOf(name) + 1;
  const inYear = (of: number): number =>
    parseInstantUs(`${String(of).padStart(4, "0")}-${String(month).padStart(2, "0")}-${day.trim().padStart(2, "0")}T${clock}`, true) -
    zoneUs;
  if (year !== undefined) return inYear(Number(year));
  if (referenceUs === undefined) return Number.NaN;
  const latest = new Date((referenceUs + dayUs + zoneUs) / 1000).getUTCFullYear();
  for (let of = latest; of >= latest - yearsBack; of--) {
    const us = inYear(of);
    if (us <= referenceUs + dayUs) return us;
  }
  return Number.NaN;
}
