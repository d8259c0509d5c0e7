/** Why: the calendar's figures as a page. Enforces: each run has a row. Forbids: I/O. */
import type { Page, Part } from "../results/result_file.ts";
import type { CalendarFigures } from "./calendar_run.ts";

export function calendarPage(parts: readonly Part<CalendarFigures>[]): Page {
  return {
    title: "Calendar",
    lead: "A simulated calendar passes over the real bus, engine, retention, sealer and verifier. Its clock stands in for the processes' and for the bus's in that one database. Sessions are in another time zone each day; clocks jump forward and back; tables of days to come are removed; holds are placed and released. A run ends at the first append that is refused, row in another day's table, day that is there and should not be, unbalanced ledger or statement that does not hold.",
    tables: [
      {
        caption: "Runs",
        head: [
          ...[
            "days",
            "from",
            "to",
            "a day takes at least, ms",
            "appends",
            "refused",
            "events",
            "days made on demand",
            "days expired",
            "days kept by holds",
          ],
          ...["ledger checks", "evidence checks", "seconds"],
        ],
        rows: parts.map(({ figures: f }) =>
          [
            ...[f.days, f.first, f.last, f.dayMs, f.appends, f.refused, f.events, f.daysMissing, f.expiredDays, f.heldDays],
            ...[f.ledgerChecks, f.evidenceChecks, f.seconds],
          ].map(String),
        ),
        notes: ["The ledger is compared with what was sent at the end of each day, and recounted from all rows on every tenth."],
      },
    ],
  };
}
