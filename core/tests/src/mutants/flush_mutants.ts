/** Why: bugs of order, which only a trace of the real processes shows. Enforces: each breaks one promise of the flush proof, so that the proof can fail (checks.md). */
import { promised } from "../flush/judge.ts";
import { flushOrder, type Mutant } from "./mutant.ts";
import { earlyReceipt } from "./gate_mutants.ts";

const migration = "core/db/migrations/0002_bus.sql";
const sdk = "agents/sdk/dist/src";

const flushed = "await segment.file.sync();\n            this.#committed(group, segment);";
const told = "this.#queuedBytes -= bytes;\n        this.#tell(group);";

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
      { file: `${sdk}/spool.js`, find: flushed, replace: "this.#committed(group, segment); this.#tell(group); await segment.file.sync();" },
      { file: `${sdk}/spool.js`, find: told, replace: "this.#queuedBytes -= bytes;" },
    ],
    check: flushOrder(promised.spooledSettles),
  },
];
