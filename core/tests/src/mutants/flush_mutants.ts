/** Why: bugs of order, which only a trace of the real processes shows. Enforces: each breaks one promise of the flush proof, so that the proof can fail (checks.md). */
import { promised } from "../flush/judge.ts";
import { flushOrder, type Mutant } from "./mutant.ts";
import { earlyReceipt } from "./gate_mutants.ts";

const migration = "core/db/migrations/0002_bus.sql";
const sdk = "agents/sdk/dist/src";

const sync = "                await segment.file.sync();\n";
const commit = "                this.#committed(group, segment);\n";
const tell = "                this.#tell(group);\n";

export const flushMutants: readonly Mutant[] = [
  {
    rule: "promise 1, R-4",
    bug: "flush order: the receipt leaves before the append",
    patches: [earlyReceipt],
    check: flushOrder(promised.receiptLeaves),
  },
  {
    rule: "promise 1, R-4",
    bug: "flush order: the bus answers before its commit is flushed",
    patches: [
      {
        file: migration,
        find: "IF pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN",
        replace: "IF true THEN",
      },
      { file: migration, find: "set_config('synchronous_commit', 'on', true)", replace: "set_config('synchronous_commit', 'off', true)" },
    ],
    check: flushOrder(promised.receiptSettles),
  },
  {
    rule: "R-6, X-6",
    bug: "flush order: the spool is never flushed",
    patches: [{ file: `${sdk}/spool_files.js`, find: "sync: () => file.datasync(),", replace: "sync: () => Promise.resolve()," }],
    check: flushOrder(promised.frameLeaves),
  },
  {
    rule: "R-6, X-6",
    bug: "flush order: what is spooled is told before its flush",
    patches: [
      { file: `${sdk}/spool.js`, find: `${sync}${commit}`, replace: commit },
      { file: `${sdk}/spool.js`, find: tell, replace: `${tell}${sync}` },
    ],
    check: flushOrder(promised.spooledSettles),
  },
];
