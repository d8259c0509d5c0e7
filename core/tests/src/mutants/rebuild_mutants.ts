/** Why: bugs of days that are made again: seen half, counted wrong, put over what was not stored, lost. Enforces: each row names a claim and the test that must fail without it. */
import { type Mutant, type Patch, named } from "./mutant.ts";

const migration = "core/db/migrations/0028_rebuild.sql";
const day = "core/engine/dist/test/rebuild_day.test.js";
const interrupted = "core/engine/dist/test/rebuild_interrupted.test.js";
const window = "core/pipeline/dist/test/postgres_window.test.js";

const sql = (find: string, replace: string): Patch => ({ file: migration, find, replace });
const paging = (find: string, replace: string): Patch => ({ file: "core/pipeline/dist/src/postgres/window.js", find, replace });

export const rebuildMutants: readonly Mutant[] = [
  {
    rule: "DP-53, R-19",
    bug: "the sums stay when dead letters become rows",
    patches: [sql("stored = l.stored + d.sign * s.recovered, dead_lettered = l.dead_lettered - d.sign * s.recovered", "stored = l.stored")],
    check: named(interrupted, "DP-53 R-8 R-19 of any day"),
  },
  {
    rule: "DP-53, R-19",
    bug: "the sums are moved by what was missing as well",
    patches: [sql("WHERE f.kind IN ('recovered', 'refused') GROUP BY", "WHERE f.kind IN ('recovered', 'refused', 'missing') GROUP BY")],
    check: named(day, "DP-53 R-19 rows that somebody removed"),
  },
  {
    rule: "DP-53",
    bug: "whoever looks at an older moment is not waited for",
    patches: [sql("AND age(a.backend_xmin) >= age(v_rebuild.sealed_xid::xid)", "AND false")],
    check: named(day, "DP-53 nobody waits for a rebuild"),
  },
  {
    rule: "DP-53, R-2",
    bug: "batches that a log gave up become rows",
    patches: [sql("IF v_strays > 0 THEN", "IF false THEN"), sql("IF v_epochs > 0 THEN", "IF false THEN")],
    check: named(day, "DP-53 R-2 batches that a log held"),
  },
  {
    rule: "DP-54",
    bug: "a day is rebuilt that the engine has not stored to its end",
    patches: [sql("ELSE coalesce(o.off, p.low_off) < bus.seek(p.part, v_end_us) END", "ELSE false END")],
    check: named(day, "DP-54 a day that is not over"),
  },
  {
    rule: "DP-54, R-33",
    bug: "what was replaced goes although a hold keeps the day",
    patches: [sql("IF ops.day_holds(p_day) <> '{}' THEN", "IF false THEN")],
    check: named(day, "DP-54 R-33 what was replaced is kept"),
  },
  {
    rule: "DP-52",
    bug: "rows of another version of the normaliser count as the same",
    patches: [sql("WHEN p.version_was <> p.version_is THEN 'reversioned' ELSE", "WHEN false THEN 'reversioned' ELSE")],
    check: named(day, "DP-52 R-18 a look at a day"),
  },
  {
    rule: "DP-52",
    bug: "a second row of an event is not told",
    patches: [sql("v_nth := CASE WHEN v_doubled THEN", "v_nth := CASE WHEN false THEN")],
    check: named(day, "DP-52 R-18 a look at a day"),
  },
  {
    rule: "DP-56, DP-30",
    bug: "what stands beside a day outlives it",
    patches: [sql("  PERFORM ops.drop_aside(finish_removal.day, 'replaced');\n", "")],
    check: named(interrupted, "DP-56 DP-3 DP-30 the audit"),
  },
  {
    rule: "DP-56, DP-2",
    bug: "a replaced day can be changed",
    patches: [sql("    PERFORM ops.set_upkeep(format('data.%I', v_name));\n", "")],
    check: named(day, "DP-53 a second day beside it"),
  },
  {
    rule: "DP-53, R-11",
    bug: "a refused row ends the rebuild's search with the row before it",
    patches: [
      {
        file: "core/engine/dist/src/rebuild.js",
        find: "[...frames.flatMap((frame) => frame.deadLetters), ...refused]",
        replace: "frames.flatMap((frame) => frame.deadLetters)",
      },
    ],
    check: named(day, "DP-53 R-11 a row that PostgreSQL refuses"),
  },
  {
    rule: "DP-57",
    bug: "a page begins where the one before began",
    patches: [paging("(off, received_at) > (", "(off, received_at) >= (")],
    check: named(window, "DP-57 a window is every batch"),
  },
  {
    rule: "DP-57",
    bug: "the end of a window belongs to it",
    patches: [paging("`received_at < '", "`received_at <= '")],
    check: named(window, "DP-57 a window is every batch"),
  },
];
