/**
 * Why: retention is the work of three processes and a command; each is tested alone, and here they do it together.
 * Enforces: DP-31 and DP-32 as a stranger sees them: a day that is over goes, a held one stays, and the commands say so.
 * Forbids: rows in it: what the ledger says of a day that goes is shown where the database is alone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utcDay } from "ransomeye-db";
import { systemClock } from "ransomeye-kernel";
import { RunningSystem } from "../src/harness/running_system.ts";

interface Held {
  readonly hold: number;
  readonly days: number;
  readonly gone: readonly string[];
  readonly released: { readonly by: string; readonly reason: string } | null;
}
interface Status {
  readonly storage: {
    readonly days: readonly { readonly day: string; readonly holds: readonly number[] }[];
    readonly holds: { readonly open: number; readonly days: number; readonly bytes: number };
  };
}

test("DP-31 DP-32 in a running system retention takes a day that is over and leaves the held one; hold and status tell", async () => {
  await using system = await RunningSystem.start(["--set", "retention.days_max=1", "--set", "forensics.enabled=false"]);
  const dayOf = (back: number): string => utcDay(systemClock.nowUs(), -back);
  const refused = await system.run("hold", "add", "--everyone", "--since", dayOf(3), "--reason", "two\nlines");
  assert.deepEqual([refused.exitCode, /CLI_USAGE/.test(refused.stderr)], [2, true]);
  const administrator = await system.administrator();
  await administrator.query("SELECT ops.ensure_partitions($1::date, 2)", [dayOf(3)]);
  await administrator.end();
  const held = await system.json<Held>("hold", "add", "--everyone", "--since", dayOf(3), "--until", dayOf(2), "--reason", "case 2026-17");
  assert.deepEqual([held.hold, held.days, held.gone], [1, 1, []]);
  // The keeper looks once a minute, and when it begins.
  assert.equal((await system.run("restart", "keeper")).exitCode, 0);
  let status = await system.json<Status>("status");
  while (status.storage.days.some(({ day }) => day === dayOf(2))) status = await system.json<Status>("status");
  assert.deepEqual(
    status.storage.days.map(({ day, holds }) => [day, holds]),
    [
      [dayOf(3), [1]],
      [dayOf(1), []],
      [dayOf(0), []],
    ],
  );
  assert.deepEqual([status.storage.holds.open, status.storage.holds.days, status.storage.holds.bytes > 0], [1, 1, true]);
  assert.match((await system.run("status")).stdout, /held +[0-9.]+ KiB in 1 days, kept beside that by 1 legal holds/);
  const late = await system.run("hold", "add", "--everyone", "--until", dayOf(1), "--reason", "another");
  assert.deepEqual([late.exitCode, late.stdout.includes(`it came too late for ${dayOf(2)}`)], [1, true], late.stdout);
  assert.equal((await system.json<Held>("hold", "release", "1", "--reason", "closed")).released?.reason, "closed");
  assert.equal((await system.run("hold", "release", "1", "--reason", "closed")).exitCode, 7);
  const { holds } = await system.json<{ holds: readonly Held[] }>("hold", "list", "--all");
  assert.deepEqual(
    holds.map(({ hold, released }) => [hold, released?.reason ?? null]),
    [
      [1, "closed"],
      [2, null],
    ],
  );
});
