/** Why: time passes in every system; here a winter of it does, at every run of the tests: a year's end, a leap day, daylight saving. CI lets 400 days pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { calendarRun } from "../../src/calendar/calendar_run.ts";

test("DP-36 R-16 R-19 R-20 R-29 R-33 125 days: over a leap day, an end of a year, daylight saving and clocks that jump no append fails, and every day's books balance", {
  timeout: 300_000,
}, async () => {
  const figures = await calendarRun({ days: 125, dayMs: 0 });
  assert.equal(figures.refused, 0);
  assert.ok(figures.daysMissing > 0, "days that were missing were made when they were needed");
  assert.ok(figures.expiredDays > 100 && figures.heldDays > 5, JSON.stringify(figures));
  assert.ok(figures.evidenceChecks > 1);
});
