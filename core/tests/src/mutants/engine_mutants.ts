/** Why: bugs planted where frames become rows. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named, simulation } from "./mutant.ts";

const engine = "core/engine/dist/src";
const tests = "core/engine/dist/test";
const groups = "core/pipeline/dist/src/postgres/groups.js";
const renewalTests = "core/pipeline/dist/test/postgres_renewal.test.js";
const renewal = "core/db/migrations/0031_renewal_waits_less.sql";
const holders = "core/db/migrations/0029_renewal_does_not_wait.sql";

export const engineMutants: readonly Mutant[] = [
  {
    rule: "R-3",
    bug: "the offset moves after the commit, outside the transaction",
    named: "offset after commit",
    patches: [
      {
        file: `${engine}/sink.js`,
        find: "if (await moveOffset(client, run.lease, { from: run.after, to: last.position, leaseMs }))",
        replace: "if (last !== undefined)",
      },
      {
        file: `${engine}/sink.js`,
        find: `            await this.#step("committed");`,
        replace: `            await this.#step("committed");\n            for (const run of ours) await moveOffset(client, run.lease, { from: run.after, to: run.frames[run.frames.length - 1].position, leaseMs });`,
      },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "X-6 the backend dies at step committed"),
  },
  {
    rule: "R-3",
    bug: "no fence: whoever knows the offset may move it",
    named: "no fence",
    patches: [
      { file: `${engine}/sink_statements.js`, find: "AND off = $3 AND fence = $4", replace: "AND off = $3 AND $4::bigint IS NOT NULL" },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "R-3 a lost lease"),
  },
  {
    rule: "R-3",
    bug: "the offset moves from wherever it is",
    patches: [
      { file: `${engine}/sink_statements.js`, find: "AND off = $3 AND fence = $4", replace: "AND $3::bigint IS NOT NULL AND fence = $4" },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "R-3 the offset moves only"),
  },
  {
    rule: "DP-49",
    bug: "a row transaction leaves its lease as it is, and nobody renews it",
    patches: [
      {
        file: `${engine}/sink_statements.js`,
        find: "greatest(lease_until, clock_timestamp() + $9 * interval '1 millisecond')",
        replace: "CASE WHEN $9 > 0 THEN lease_until END",
      },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "DP-49 R-3 a row transaction prolongs"),
  },
  {
    rule: "DP-49",
    bug: "a row transaction cuts a lease that lasts longer",
    patches: [{ file: `${engine}/sink_statements.js`, find: "greatest(lease_until, ", replace: "greatest('-infinity', " }],
    check: named(`${tests}/sink_postgres.test.js`, "DP-49 R-3 a row transaction prolongs"),
  },
  {
    rule: "DP-49",
    bug: "a renewal waits for row transactions",
    patches: [{ file: renewal, find: "FOR UPDATE OF o SKIP LOCKED", replace: "FOR UPDATE OF o" }],
    check: named(renewalTests, "DP-49 R-3 a renewal leaves alone"),
  },
  {
    rule: "DP-49",
    bug: "a renewal tells of a lease that has run out as kept, rather than wait",
    patches: [{ file: renewal, find: " OR v_ends <= clock_timestamp()", replace: "" }],
    check: named(renewalTests, "DP-49 R-3 a renewal waits where it must"),
  },
  {
    rule: "DP-49",
    bug: "who stores all the time never gives a partition up",
    patches: [{ file: renewal, find: "cardinality(v_mine) > v_quota OR ", replace: "" }],
    check: named(renewalTests, "DP-49 R-3 a renewal waits where it must"),
  },
  {
    rule: "DP-47",
    bug: "who would own a partition waits for whoever stands still in a COPY",
    patches: [
      {
        file: groups,
        find: "await this.#endSilent(group, leaseMs);\n        const values = [group, member, held",
        replace: "const values = [group, member, held",
      },
    ],
    check: named(renewalTests, "DP-47 R-3 whoever stands still in a COPY past its lease is ended by who would"),
  },
  {
    rule: "DP-47",
    bug: "who renews does not end its own session that stands still",
    patches: [{ file: groups, find: "            await this.#endSilent(group, leaseMs);\n", replace: "" }],
    check: named(renewalTests, "DP-47 R-3 whoever stands still in a COPY past its lease is ended by itself"),
  },
  {
    rule: "DP-47",
    bug: "who is at work is ended as well",
    patches: [{ file: groups, find: "AND a.wait_event_type = 'Client'", replace: "" }],
    check: named(renewalTests, "DP-47 R-3 who is late but still at work"),
  },
  {
    rule: "DP-47",
    bug: "who is a moment late is ended",
    patches: [{ file: holders, find: "clock_timestamp() - p_grace_ms * interval '1 millisecond'", replace: "clock_timestamp()" }],
    check: named(renewalTests, "DP-47 R-3 who is late but still at work"),
  },
  {
    rule: "R-3",
    bug: "an unknown COMMIT is taken for a failed one",
    patches: [{ file: `${engine}/sink.js`, find: `if (attempt.committing && action === "reconnect")`, replace: "if (false)" }],
    check: named(`${tests}/unknown_commit.test.js`, "R-3 an unknown COMMIT (drop_answer)"),
  },
  {
    rule: "R-3",
    bug: "settling reads the offset without waiting for the old backend",
    patches: [{ file: `${engine}/sink_statements.js`, find: "AND part = $2 FOR UPDATE`", replace: "AND part = $2`" }],
    check: named(`${tests}/unknown_commit.test.js`, "R-3 settling waits"),
  },
  {
    rule: "R-3",
    bug: "one fenced partition is stored all the same",
    patches: [{ file: `${engine}/sink.js`, find: "fenced.push(run.part);", replace: "{ fenced.push(run.part); ours.push(run); }" }],
    check: named(`${tests}/sink_postgres.test.js`, "R-3 a lost lease"),
  },
  {
    rule: "R-2",
    bug: "no sink head check: what is read again is stored again",
    patches: [
      {
        file: `${engine}/sink_machine.js`,
        find: "!link.hash.equals(head.hash) ? diverged : skip;",
        replace: "!link.hash.equals(head.hash) ? diverged : apply;",
      },
    ],
    check: simulation(100),
  },
  {
    rule: "R-2",
    bug: "no sink head check, on PostgreSQL",
    patches: [
      {
        file: `${engine}/sink_machine.js`,
        find: "!link.hash.equals(head.hash) ? diverged : skip;",
        replace: "!link.hash.equals(head.hash) ? diverged : apply;",
      },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "R-2 after a rewind"),
  },
  {
    rule: "R-2",
    bug: "the chain's hash is not compared in the sink",
    patches: [
      {
        file: `${engine}/sink_machine.js`,
        find: "return link.prevEpoch === head.epoch && link.prevSeq === head.seq && link.prevHash.equals(head.hash) ? apply : chainBroken;",
        replace: "return apply;",
      },
    ],
    check: named(`${tests}/sink_postgres.test.js`, "R-2 a frame that cannot be"),
  },
  {
    rule: "R-2",
    bug: "the stored position is not looked for before reading on",
    patches: [{ file: `${engine}/gatherer.js`, find: `=== "diverged"`, replace: `=== "never"` }],
    check: named(`${tests}/engine_postgres.test.js`, "R-2 a rewritten bus history"),
  },
  {
    rule: "X-6",
    bug: "what was read ahead and not stored is not read again",
    patches: [{ file: `${engine}/gatherer.js`, find: "            assignment.read = stored;", replace: "            void stored;" }],
    check: named(`${tests}/gatherer.test.js`, "X-6"),
  },
  {
    rule: "R-7",
    bug: "an epoch's first frame does not wait for the epoch before",
    patches: [{ file: `${engine}/sink_machine.js`, find: "return hold;", replace: "return apply;" }],
    check: named(`${tests}/sink_postgres.test.js`, "R-7 an epoch's first frame"),
  },
  {
    rule: "R-8",
    bug: "rows and dead letters need not add up to the signed count",
    patches: [
      { file: `${engine}/sink_machine.js`, find: `checked = verdict.kind === "apply" && !addsUp(frame)`, replace: "checked = false" },
    ],
    check: named(`${tests}/sink_machine.test.js`, "R-8"),
  },
  {
    rule: "R-8",
    bug: "a frame that does not decode is dropped in silence",
    patches: [{ file: `${engine}/row_batch.js`, find: "deadLetters: [deadLetter]", replace: "deadLetters: []" }],
    check: named(`${tests}/row_batch.test.js`, "R-8 a frame that does not decode"),
  },
  {
    rule: "R-11",
    bug: "one refused row stops the whole partition",
    patches: [{ file: `${engine}/sink.js`, find: `if (action === "data" && !attempt.committing && !searching)`, replace: "if (false)" }],
    check: named(`${tests}/sink_postgres.test.js`, "DP-50 R-11 a row that PostgreSQL refuses"),
  },
  {
    rule: "R-11",
    bug: "a deadlock costs rows",
    patches: [{ file: `${engine}/sqlstate.js`, find: `"40": busy`, replace: `"40": poison` }],
    check: named(`${tests}/policies.test.js`, "DP-50 R-11"),
  },
  {
    rule: "R-16",
    bug: "a missing day partition is nobody's business",
    patches: [{ file: `${engine}/sink.js`, find: `if (action === "partition" && !daysMade)`, replace: "if (false)" }],
    check: named(`${tests}/sink_postgres.test.js`, "R-16"),
  },
  {
    rule: "R-17",
    bug: "the gate's verdicts are ignored: invalid lines become rows",
    patches: [{ file: `${engine}/row_batch.js`, find: "if (verdict !== undefined && verdict.line === line)", replace: "if (false)" }],
    check: named(`${tests}/row_batch.test.js`, "R-17"),
  },
  {
    rule: "R-29",
    bug: "a honeypot's events land among the agents'",
    patches: [{ file: `${engine}/tables.js`, find: `honeypot: "events_honeypot",`, replace: `honeypot: "events_agent",` }],
    check: named(`${tests}/row_batch.test.js`, "R-29"),
  },
];
