/**
 * Why: what the database enforces has to be checkable on a running system, by anybody who may read (DB-2).
 * Enforces: DP-3 through the command: exit code 0 on a system as it was started, wherever its log lies; 1 with the difference in words after somebody's change; a start
 * puts rights right again.
 * Forbids: the administrator's connection in the command.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drift } from "ransomeye-db";
import { RunningSystem } from "../src/harness/running_system.ts";

interface Audited {
  readonly clean: boolean;
  readonly differences: readonly Drift[];
}

test("DP-3 DB-2 the catalogue of a running system is as the release makes it, and a change is told until the next start", async () => {
  await using system = await RunningSystem.start();
  assert.deepEqual((await system.json<Audited>("db", "audit")).differences, []);

  const administrator = await system.administrator();
  await administrator.query("GRANT SELECT ON registry.producers TO ransomeye_reader; ALTER TABLE data.gaps DISABLE TRIGGER append_only");
  await administrator.end();
  const told = await system.run("db", "audit", "--json");
  const { clean, differences } = JSON.parse(told.stdout) as Audited;
  assert.deepEqual(
    [told.exitCode, clean, differences.map(({ object }) => object)],
    [1, false, ["table registry.producers", "table data.gaps"]],
  );
  assert.equal(differences[0]?.found, "SELECT to ransomeye_reader");
  assert.match(
    (await system.run("db", "audit")).stdout,
    /table data\.gaps\n {2}found {6}trigger .*, disabled\n {2}should be {2}trigger .*, always\n/,
  );

  await system.stop();
  await system.startAgain();
  assert.deepEqual(
    (await system.json<Audited>("db", "audit")).differences.map(({ object }) => object),
    ["table data.gaps"],
  );
});
