/**
 * Why: `npm run calendar -- [--days 400] [--day-ms 1000] [--result FILE]` lets a calendar pass over the real parts of the data plane, in the tests' way or slower.
 * Enforces: exit code 1 and the finding where something is not as it should be; the figures last.
 * Forbids: success of a calendar without days.
 */
import { count, readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { calendarPage } from "./calendar_page.ts";
import { calendarRun } from "./calendar_run.ts";

const {
  days,
  dayMs,
  result: path,
} = readCommandLine({
  typed: "npm run calendar --",
  does: "lets days pass on a clock of its own: appends, rows, days ahead, retention, holds, statements, over leap days, ends of years, daylight saving and clocks that jump",
  options: {
    days: count("--days <n>", "days of the calendar, from 1 December 2027 on", 400),
    dayMs: count("--day-ms <n>", "milliseconds that a day takes at least; a slow day has more hours", 1000),
    result: resultFile,
  },
  notes: "30 days at a day a minute: npm run calendar -- --days 30 --day-ms 60000",
  exits: ["every append was accepted, and every day was as it should be", "something was not; it is named"],
}).values;
const keep = path === undefined ? undefined : await openResult({ path, script: "calendar", append: true, pageOf: calendarPage });
const print = (line: string): void => void process.stdout.write(`${line}\n`);

let passed = 0;
try {
  const figures = await calendarRun({
    days,
    dayMs,
    onDay: (text) => {
      passed += 1;
      if (passed % 10 === 0 || dayMs >= 10_000) print(`${text}  ${passed} days`);
    },
  });
  print(
    `days ${figures.days} (${figures.first} to ${figures.last}), appends ${figures.appends}, refused ${figures.refused}, days made on demand ${figures.daysMissing}, expired ${figures.expiredDays}, kept by holds ${figures.heldDays}, ledger balanced ${figures.ledgerChecks} times, evidence verified ${figures.evidenceChecks} times, ${figures.seconds} s`,
  );
  await keep?.(figures);
} catch (error) {
  print(error instanceof Error ? (error.stack ?? error.message) : String(error));
  print(`after ${passed} days something was not as it should be`);
  process.exitCode = 1;
}
