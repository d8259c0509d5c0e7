/** Why: bugs of the ledger's sums. Enforces: what is counted twice, passed over, forgotten with a day or not told, a test notices. */
import { type Mutant, type Patch, named } from "./mutant.ts";

const migration = "core/db/migrations/0023_ledger.sql";
/** Where the question to what lies behind the marks was written last. */
const tailMigration = "core/db/migrations/0030_ledger_by_batch.sql";
const pace = "core/db/dist/src/ledger.js";
const paceTests = "core/db/dist/test/ledger_pace.test.js";
const live = "core/db/dist/test/ledger_live.test.js";
const told = "cli/dist/test/ledger.test.js";
const histories = named(live, "DP-10 R-19 in random histories the sums");

const sql = (find: string, replace: string): Patch => ({ file: migration, find, replace });
const tail = (find: string, replace: string): Patch => ({ file: tailMigration, find, replace });

export const ledgerMutants: readonly Mutant[] = [
  {
    rule: "DP-11, R-19",
    bug: "two keepers fold the same rows",
    patches: [
      sql("BEGIN\n  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye ledger', 0));\n  WITH found AS", "BEGIN\n  WITH found AS"),
    ],
    check: named(live, "DP-11 R-19 two keepers cannot fold the same"),
  },
  {
    rule: "DP-10, R-19",
    bug: "a fold leaves the marks where they were",
    patches: [
      sql(
        "CASE WHEN n.forward THEN l.off ELSE l.mark_off END, CASE WHEN n.forward THEN l.received_at ELSE l.mark_received_at END",
        "l.mark_off, l.mark_received_at",
      ),
    ],
    check: histories,
  },
  {
    rule: "DP-10, R-3, R-19",
    bug: "a fold moves the marks past rows that are not there yet",
    patches: [
      sql(
        "SELECT l.part, l.off, l.received_at, l.fence, l.mark_off",
        "SELECT l.part, l.log_off AS off, l.log_received_at AS received_at, l.fence, l.mark_off",
      ),
    ],
    check: histories,
  },
  {
    rule: "DP-10, R-19",
    bug: "a question passes over a partition",
    patches: [tail("FROM ops.ledger_place l WHERE l.behind", "FROM ops.ledger_place l WHERE l.behind AND l.part <> 1")],
    check: histories,
  },
  {
    rule: "DP-10, R-19",
    bug: "a day is dropped without what was not folded yet",
    patches: [
      sql("SELECT d.producer_id, d.epoch, coalesce(sum(d.stored) FILTER (WHERE NOT d.summed), 0)", "SELECT d.producer_id, d.epoch, 0"),
    ],
    check: histories,
  },
  {
    rule: "DP-10, R-19",
    bug: "a day that is dropped is added to the sums although it is in them",
    patches: [sql("SELECT p.producer_id, p.epoch, p.summed IS TRUE AS summed", "SELECT p.producer_id, p.epoch, false AS summed")],
    check: histories,
  },
  {
    rule: "DP-10, R-2, R-19",
    bug: "a fold takes rows beyond the engine's place, and leaves the mark behind them",
    patches: [sql("FROM found t WHERE t.stored_place GROUP BY", "FROM found t GROUP BY")],
    check: named(live, "DP-10 R-2 R-19 rows beyond a place"),
  },
  {
    rule: "DP-10, R-2, R-19",
    bug: "a partition that was rewound is taken for idle after the next fold",
    patches: [
      sql(
        "CASE WHEN n.forward AND NOT EXISTS (SELECT FROM found t WHERE t.part = l.part AND NOT t.stored_place) THEN l.fence END",
        "l.fence",
      ),
    ],
    check: named(live, "DP-10 R-2 R-19 rows beyond a place"),
  },
  {
    rule: "DP-10, R-5, R-19",
    bug: "offsets that are given again are taken for those that were counted",
    patches: [tail("(f.received_at, f.frame_off) > (b.mark_received_at, b.mark_off)", "f.frame_off > b.mark_off")],
    check: named(live, "DP-10 R-19 a log that is made anew"),
  },
  {
    rule: "DP-12, R-19",
    bug: "the audit does not hold the recount against the sums",
    patches: [
      sql(
        "(r.stored, r.dead_lettered, r.gap_declared, r.expired, r.misplaced) IS DISTINCT FROM (l.stored, l.dead_lettered, l.gap_declared, l.expired, l.misplaced)",
        "false",
      ),
    ],
    check: named(live, "DP-12 R-19 what is done to rows behind the marks"),
  },
  {
    rule: "DP-13, R-19",
    bug: "a question reads all rows, and leaves out what it has counted",
    patches: [
      tail(
        "FROM data.events_agent e WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n)",
        "FROM data.events_agent e WHERE e.received_at >= '-infinity'",
      ),
    ],
    check: named(live, "DP-13 R-19 a question reads what came"),
  },
  {
    rule: "DP-10, R-19",
    bug: "the batch at a mark is counted once more",
    patches: [
      tail(
        "(f.received_at, f.frame_off) > (b.mark_received_at, b.mark_off)",
        "(f.received_at, f.frame_off) >= (b.mark_received_at, b.mark_off)",
      ),
    ],
    check: histories,
  },
  {
    rule: "DP-10, R-19",
    bug: "of a batch numbers are made up instead of added",
    patches: [tail("sum(e.seq)\n    FROM data.events_agent e", "min(e.seq) * count(*)\n    FROM data.events_agent e")],
    check: histories,
  },
  {
    rule: "DP-13, R-19",
    bug: "a ledger that events fill quickly is folded ever more rarely",
    patches: [{ file: pace, find: "tookMs / foldShareMax", replace: "tookMs * 20" }],
    check: named(paceTests, "DP-13 R-19 the ledger is folded each ten seconds"),
  },
  {
    rule: "DP-13, R-19",
    bug: "however much has come, the ledger is folded each ten seconds",
    patches: [{ file: pace, find: "(unfoldedMax / folded) * Math.max(overMs, 1)", replace: "foldMs.max" }],
    check: named(paceTests, "DP-13 R-19 the ledger is folded each ten seconds"),
  },
  {
    rule: "DP-13, R-19",
    bug: "what a process finds at its start is taken for the pace of events",
    patches: [{ file: pace, find: "before === undefined ? { ...last, epochs: 0, folded: 0 } : last", replace: "last" }],
    check: named(paceTests, "DP-13 R-19 what a process finds at its start"),
  },
  {
    rule: "DP-14, R-27",
    bug: "the keeper alarms each minute for what it has told",
    patches: [{ file: "cli/dist/src/roles/ledger_watch.js", find: `finding !== "" && finding !== this.#told`, replace: `finding !== ""` }],
    check: named(told, "DP-14 R-19 R-27 the keeper folds"),
  },
  {
    rule: "DP-14, R-19",
    bug: "what only a recount of all rows can find is told to nobody",
    patches: [{ file: "cli/dist/src/supervisor/live_view.js", find: "this.#o.onSumsDiffer(ledger.sums_differ_epochs);", replace: ";" }],
    check: named(told, "DP-14 R-19 the running system recounts"),
  },
];
