/** Why: bugs of alarms. Enforces: whoever is to act on one hears it, once, with how often, and from whom it comes. */
import { type Mutant, named } from "./mutant.ts";

const desk = "cli/dist/src/alarms/alarm_desk.js";
const alarms = "cli/dist/test/alarms.test.js";

export const alarmMutants: readonly Mutant[] = [
  {
    rule: "R-27",
    bug: "an alarm is raised only where its line is written",
    patches: [
      {
        file: "core/kernel/dist/src/telemetry/telemetry.js",
        find: "if (event.alarm !== undefined)",
        replace: "if (event.alarm !== undefined && logger.isLevelEnabled(event.level))",
      },
    ],
    check: named("core/kernel/dist/test/telemetry.test.js", "R-27 what is an error is an alarm"),
  },
  {
    rule: "EB-27",
    bug: "an alarm that comes again is not counted",
    patches: [{ file: "cli/dist/src/alarms/alarm_limiter.js", find: "window.gathered = merged(window.gathered, placed);", replace: "" }],
    check: named(alarms, "EB-27 R-27 whatever is raised is told"),
  },
  {
    rule: "EB-27",
    bug: "of a flood each subject is told apart",
    patches: [{ file: "cli/dist/src/alarms/alarm_limiter.js", find: "subjects.size < this.#limits.subjectsMax", replace: "true" }],
    check: named(alarms, "EB-27 R-27 whatever is raised is told"),
  },
  {
    rule: "EB-26",
    bug: "an alert is forgotten when it was handed to the keeper, kept or not",
    patches: [
      {
        file: desk,
        find: "this.#handedMs = nowMs;",
        replace: "this.#spool.remove(new Set(this.#spool.first(batchMax).map((one) => one.message_id)));",
      },
    ],
    check: named(alarms, "EB-26 R-27 alerts wait for the keeper"),
  },
  {
    rule: "EB-26",
    bug: "a supervisor that starts forgets what waited",
    patches: [{ file: desk, find: "this.#spool.restore(left);", replace: "" }],
    check: named(alarms, "EB-26 R-27 what waits outlives the supervisor"),
  },
  {
    rule: "EB-26",
    bug: "what finds no room is not counted",
    patches: [{ file: desk, find: "this.#spool.miss(alarm);", replace: "" }],
    check: named(alarms, "EB-26 R-27 what finds no room to wait is counted"),
  },
  {
    rule: "R-12, R-27",
    bug: "a process says for whom it speaks",
    patches: [{ file: desk, find: "this.#heard(process, alarm);", replace: "this.#heard(value.process ?? process, alarm);" }],
    check: named(alarms, "R-12 R-27 what a process tells is not believed"),
  },
];
