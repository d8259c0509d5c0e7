/** Why: bugs of days: counted twice, taken while held or looked at, waited for, made again. Enforces: each row names a claim and the test that must fail without it. */
import { type Mutant, type Patch, named } from "./mutant.ts";

const migration = "core/db/migrations/0025_retention.sql";
const database = "core/db/dist/test/retention.test.js";
const engine = "core/engine/dist/test/retention.test.js";
const verifier = "core/evidence/dist/test/verifier.test.js";
const evidence = "cli/dist/test/held_evidence.test.js";
const roles = "cli/dist/test/retention.test.js";
const rules = "cli/dist/test/rules.test.js";
const bus = "core/pipeline/dist/test/postgres_days.test.js";
const days = "core/db/dist/test/partitions.test.js";

const sql = (find: string, replace: string): Patch => ({ file: migration, find, replace });

export const timeMutants: readonly Mutant[] = [
  {
    rule: "DP-30, R-19",
    bug: "a day that was counted is counted again while it is attached",
    patches: [
      sql(
        "FROM data.events_dpi\n      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY",
        "FROM data.events_dpi GROUP BY",
      ),
    ],
    check: named(database, "DP-30 R-33 R-20 DP-5 a day goes only when"),
  },
  {
    rule: "DP-30, R-16",
    bug: "what is still attached is dropped",
    // The function is made again there.
    patches: [
      {
        file: "core/db/migrations/0028_rebuild.sql",
        find: "IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = v_child) THEN",
        replace: "IF false THEN",
      },
    ],
    check: named(database, "DP-30 R-33 R-20 DP-5 a day goes only when"),
  },
  {
    rule: "DP-30, R-16",
    bug: "a day on its way out is attached again",
    patches: [sql("CONTINUE WHEN EXISTS (SELECT FROM ops.day_removal r WHERE r.day = v_day)", "CONTINUE WHEN false")],
    check: named(database, "DP-30 R-33 R-20 DP-5 a day goes only when"),
  },
  {
    rule: "DP-30, R-19",
    bug: "a day is detached under somebody who looks at a moment before it was counted",
    patches: [sql("waiting := EXISTS (", "waiting := false AND EXISTS (")],
    check: named(database, "DP-30 R-19 who looks at an older moment"),
  },
  {
    rule: "DP-31, R-33",
    bug: "a day is detached under a lock that everybody queues behind",
    patches: [sql("ELSE 'CONCURRENTLY' END", "ELSE '' END")],
    check: named(engine, "DP-31 R-33 appends, rows and days ahead go on"),
  },
  {
    rule: "DP-31",
    bug: "the supervisor tries without a pause, so that no day ahead can be attached",
    patches: [{ file: "cli/dist/src/supervisor/day_detacher.js", find: "clock.monotonicMs() + pauseMs", replace: "clock.monotonicMs()" }],
    check: named(roles, "DP-31 the supervisor does one attempt"),
  },
  {
    rule: "DP-32, R-33",
    bug: "a hold on a day costs the newest ones",
    patches: [{ file: "cli/dist/src/roles/keeper_rules.js", find: "sum + (holds.length > 0 ? 0 : bytes)", replace: "sum + bytes" }],
    check: named(rules, "DP-32 R-33 a held day stays"),
  },
  {
    rule: "DP-32, R-33",
    bug: "a hold on a producer keeps days on which it sent nothing",
    patches: [sql("SELECT FROM bus.frames f WHERE f.producer_id = h.producer_id\n", "SELECT FROM bus.frames f WHERE true\n")],
    check: named(database, "DP-32 R-33 a hold keeps each day"),
  },
  {
    rule: "DP-32, DB-2",
    bug: "the keeper may release what it must not drop",
    patches: [
      {
        file: "core/db/dist/ownership/matrix.js",
        find: `callable("ops.hold_release", "legal holds, by the command alone", [custodian])`,
        replace: `callable("ops.hold_release", "legal holds, by the command alone", [custodian, keeper])`,
      },
    ],
    check: named(database, "DP-32 DB-2 holds are placed and released"),
  },
  {
    rule: "DP-33, R-33",
    bug: "what was signed away goes although it is held",
    patches: [sql("WHEN ops.day_holds(p_day) <> '{}' THEN 'held'", "WHEN false THEN 'held'")],
    check: named(database, "DP-33 R-20 R-33 a hold between"),
  },
  {
    rule: "DP-33, R-20",
    bug: "the sealer is asked for a day that is held",
    patches: [sql(" WHERE ops.day_holds(o.day) = '{}';", ";")],
    check: named(database, "DP-33 R-20 R-33 a hold between"),
  },
  {
    rule: "DP-33, R-20",
    bug: "the sealer signs a day away that is held since it read the wish",
    patches: [{ file: "cli/dist/src/sealing/seal_store.js", find: "if (wished.rowCount !== 1)", replace: "if (wished.rowCount === null)" }],
    check: named(evidence, "DP-33 R-20 a hold that comes while"),
  },
  {
    rule: "DP-34, R-16",
    bug: "a clock that goes back writes into a day that retention has taken",
    patches: [
      sql(
        "greatest(v_lock.received_us, (SELECT s.received_floor_us FROM bus.state s), bus.clock_us())",
        "greatest(v_lock.received_us, bus.clock_us())",
      ),
    ],
    check: named(bus, "DP-34 R-16 nothing is received in a day"),
  },
  {
    rule: "DP-34, R-16",
    bug: "a day is missing for partitions whose time is ahead, and nobody makes it",
    patches: [sql("bus.to_time(greatest(p.received_us, s.received_floor_us, c.us))", "bus.to_time(c.us)")],
    check: named(database, "DP-34 R-16 a day that the intake waits for"),
  },
  {
    rule: "DP-34, R-33",
    bug: "a clock that was set forward by a year takes everything",
    patches: [{ file: "cli/dist/src/roles/retention.js", find: "return now.ms >= this.#byAgeFromMs;", replace: "return true;" }],
    check: named(roles, "DP-34 R-33 a clock that was set forward"),
  },
  {
    rule: "DP-35, FM-13",
    bug: "who sends again what went with a day behind a held one is accused",
    patches: [sql("v_found.first_seq IS NULL OR v_found.next_seq <= p_first_seq", "v_found.first_seq IS NULL")],
    check: named(engine, "DP-35 R-33 FM-13 who sends again"),
  },
  {
    rule: "DP-35, R-2",
    bug: "a producer whose last batch went with its day has diverged",
    patches: [sql("AND x.last_seq = s.seq AND x.last_hash = s.hash", "AND false")],
    check: named(engine, "DP-35 R-33 FM-13 who sends again"),
  },
  {
    rule: "DP-35, R-20",
    bug: "a hole is expired as soon as a statement speaks of some of it",
    patches: [
      { file: "core/evidence/dist/src/producer_chains.js", find: "last === undefined || seq <= toSeq", replace: "last === undefined" },
      {
        file: "core/evidence/dist/src/producer_chains.js",
        find: "last.lastSeq === toSeq && last.lastHash.equals(next.prevHash)",
        replace: "true",
      },
    ],
    check: named(verifier, "DP-35 R-20 a hole behind a held day"),
  },
  {
    rule: "DP-36, R-29",
    bug: "days begin at midnight of the session's zone",
    patches: [
      sql(
        "to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');\n      -- The bounds",
        "v_day::timestamptz, (v_day + 1)::timestamptz);\n      -- The bounds",
      ),
      sql("SET lock_timeout = '2s' SET TimeZone = 'UTC' AS $$", "SET lock_timeout = '2s' SET TimeZone = 'Asia/Kolkata' AS $$"),
    ],
    check: named(days, "R-29 bounds are UTC in every session"),
  },
];
