/**
 * Why: what the database server suffers from must reach producers, and end with its cause.
 * Enforces: ING-6 on a running system whose log lies in its database; with the log on other servers gateways do not ask PostgreSQL.
 * Forbids: a strain that is only written into a table.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { writeNumberedEvents } from "../src/crash/numbered_events.ts";
import { until } from "../src/gate/test_gate.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

const events = 500;

test("BP-26 ING-6 a lock that somebody holds too long throttles and pauses producers, who hear why; when it is gone they go on", async () => {
  await using system = await RunningSystem.start(["--set", "database.lock_wait_ms_max=2000"]);
  const [holder, waiter] = await Promise.all([system.administrator(), system.administrator()]);
  const reason = async (): Promise<string | undefined> =>
    (await system.json<{ gateways: readonly { state: string; reason: string }[] }>("status")).gateways
      .map((gateway) => `${gateway.state} ${gateway.reason}`)
      .at(0);
  try {
    assert.equal(await reason(), "open ");
    // Somebody else's table: what waits for one of ours would be the system itself, status too.
    await holder.query("CREATE TABLE public.theirs ()");
    await holder.query("BEGIN; LOCK TABLE public.theirs IN ACCESS EXCLUSIVE MODE");
    const waiting = waiter.query("SELECT count(*) FROM public.theirs");
    await until(async () => (await reason()) === "paused lock_wait");
    await holder.query("ROLLBACK");
    await waiting;
    await until(async () => (await reason()) === "open ");
    const file = join(system.dataDir, "numbered.ndjson");
    await writeNumberedEvents(file, events, 7, OCSF_VERSION);
    assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
    assert.match(await system.metrics("keeper"), /^ransomeye_server_strains_total\{signal="lock_wait"\} [1-9]/m);
  } finally {
    await Promise.all([holder.end(), waiter.end()]);
  }
});
