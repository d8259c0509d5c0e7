/**
 * Why: a rebuild is a command on a system that goes on, and dies as commands and servers die.
 * Enforces: DP-52 to DP-57 as an operator sees them: looked at, interrupted by kills of client and PostgreSQL, applied, put back, let go; the audits agree each time.
 * Forbids: looking at rows to find the answer: what a day is, the commands say.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { utcDay } from "ransomeye-db";
import { tamper } from "ransomeye-db/testing";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { systemClock } from "ransomeye-kernel";
import { writeNumberedEvents } from "../../src/crash/numbered_events.ts";
import { finished, RunningSystem } from "../../src/harness/running_system.ts";

const events = 3000;

interface Rebuilt {
  readonly outcome: string;
  readonly findings: readonly { readonly kind: string; readonly columns: readonly string[]; readonly events: number }[];
}
interface Listed {
  readonly kept: readonly { readonly day: string; readonly state: string }[];
  readonly records: readonly { readonly action: string; readonly rows_changed: number }[];
}

/** What was stored today was received yesterday, and an older release has made its rows. */
async function ageRows(system: RunningSystem): Promise<void> {
  const administrator = await system.administrator();
  try {
    await administrator.query("SELECT ops.ensure_partitions(current_date - 1, 1)");
    for (const table of ["bus.frames", "data.events_agent"])
      await tamper(administrator, table, `UPDATE ${table} SET received_at = received_at - interval '1 day'`);
    await administrator.query(
      `UPDATE bus.partition_head SET received_us = received_us - 86400000000 WHERE off > 0;
       UPDATE bus.consumer_offset SET entry_received_us = entry_received_us - 86400000000 WHERE off > 0`,
    );
    await tamper(administrator, "data.events_agent", "UPDATE data.events_agent SET host = 'x', normaliser_version = 77 WHERE seq <= 100");
  } finally {
    await administrator.end();
  }
}

test("DP-53 DP-55 DP-57 in a running system a day is looked at, rebuilt through kills of the command and of PostgreSQL, put back and let go; and its lines are replayed", async () => {
  await using system = await RunningSystem.start(["--set", "forensics.enabled=false"]);
  const file = join(system.dataDir, "numbered.ndjson");
  await writeNumberedEvents(file, events, 7, OCSF_VERSION);
  assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
  await ageRows(system);
  const day = utcDay(systemClock.nowUs(), -1);
  const older = [
    ["same", [], events - 100],
    ["changed", ["host"], 100],
  ];
  const assertBooks = async (): Promise<void> => {
    const audited = await system.run("audit");
    assert.equal(audited.exitCode, 0, audited.stdout + audited.stderr);
    const catalogue = await system.run("db", "audit");
    assert.equal(catalogue.exitCode, 0, catalogue.stdout);
  };

  assert.match((await system.run("rebuild", utcDay(systemClock.nowUs()))).stderr, /it is not over/);
  assert.equal((await system.run("rebuild", "2026-02-30")).exitCode, 2);
  const looked = await system.run("rebuild", day, "--json");
  const { outcome, findings } = JSON.parse(looked.stdout) as Rebuilt;
  assert.deepEqual([looked.exitCode, outcome, findings.map((one) => [one.kind, one.columns, one.events])], [1, "different", older]);

  // The new rows are made, and somebody's transaction keeps them from their place: first the command dies, then PostgreSQL.
  for (const victim of ["command", "postgres"] as const) {
    const holder = await system.administrator();
    holder.on("error", () => undefined);
    await holder.query("BEGIN; SELECT FROM data.events_agent LIMIT 1");
    const command = system.spawn("rebuild", day, "--apply");
    const ended = finished(command);
    const isReady = async (): Promise<boolean> => (await holder.query("SELECT FROM ops.day_rebuild WHERE state = 'ready'")).rows.length > 0;
    while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
    if (victim === "command") command.kill("SIGKILL");
    else await system.kill("postgres");
    assert.notEqual((await ended).exitCode, 0);
    // What the command had asked for last is the server's still: whoever lets it have the table now lets it do that.
    const asksStill = async (): Promise<boolean> =>
      victim === "command" && (await holder.query("SELECT FROM pg_stat_activity WHERE usename = 'ransomeye_rebuilder'")).rows.length > 0;
    while (await asksStill()) await new Promise((resolve) => setTimeout(resolve, 50));
    await holder.end().catch(() => undefined);
    while ((await system.run("rebuild")).exitCode !== 0) await new Promise((resolve) => setTimeout(resolve, 250));
    const left = (await system.json<Listed>("rebuild")).kept;
    assert.deepEqual(
      left.map((one) => [one.day, one.state]),
      [[day, "ready"]],
    );
    assert.equal((await system.json<Rebuilt>("rebuild", day)).outcome, "different");
    await assertBooks();
    if (victim === "command") assert.equal((await system.run("rebuild", day, "--discard")).exitCode, 0);
  }

  assert.equal((await system.json<Rebuilt>("rebuild", day, "--apply")).outcome, "replaced");
  assert.equal((await system.run("rebuild", day)).exitCode, 0);
  await assertBooks();
  assert.equal((await system.json<Rebuilt>("rebuild", day, "--undo")).outcome, "undone");
  assert.equal((await system.run("rebuild", day)).exitCode, 1);
  assert.equal((await system.run("rebuild", day, "--undo")).exitCode, 1);
  await assertBooks();
  assert.equal((await system.json<Rebuilt>("rebuild", day, "--apply")).outcome, "replaced");
  assert.equal((await system.json<Rebuilt>("rebuild", day, "--discard")).outcome, "discarded");
  const { kept, records } = await system.json<Listed>("rebuild");
  assert.deepEqual([kept, records.map(({ action }) => action)], [[], ["replace", "undo", "replace", "discard"]]);
  await assertBooks();

  const raw = await system.run("replay", "--since", day, "--into", "raw");
  assert.deepEqual([raw.exitCode, raw.stdout.trimEnd().split("\n").length], [0, events]);
  const named = (await system.run("replay", "--since", day)).stdout.trimEnd().split("\n");
  const lines = named.map((line) => JSON.parse(line) as { readonly id: string; readonly event: unknown });
  assert.deepEqual(
    lines.map(({ id }) => Number(id.split(":")[2])),
    Array.from({ length: events }, (_, n) => n + 1),
  );
  assert.equal(raw.stdout, lines.map(({ event }) => `${JSON.stringify(event)}\n`).join(""));
  assert.equal((await system.run("replay", "--since", day, "--until", day)).exitCode, 2);
});
