/**
 * Why: a loss that a producer declares is worth something only if an operator sees it. Enforces: through the real gateway, bus and engine: the gap is
 * stored with its reason, the ledger balances with it and shows it, and the events around it are rows.
 * Forbids: a loss that only the producer knows of.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { loadIdentity, openProducer, type Producer } from "ransomeye-sdk";
import { numberedEvent } from "../src/crash/numbered_events.ts";
import { numberedRows } from "../src/crash/numbered_rows.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

const LINES_A_CALL = 100;

test("X-2 R-19 what a producer had to give up is a gap with its reason in the ledger, which balances (FM-15)", async () => {
  await using system = await RunningSystem.start();
  const out = join(system.dataDir, "identities", "live-source");
  await system.run("producer", "enroll", "live-source", "--kind", "linux", "--out", out);
  const identity = await loadIdentity(out);
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const nobody = (probe.address() as { port: number }).port;
  probe.close();
  const open = (port: number): Promise<Producer> =>
    openProducer({
      identity,
      gateway: { host: "127.0.0.1", port },
      spoolDir: join(system.dataDir, "spool", "live-source"),
      options: { whenFull: "declare", spoolBytesMax: 1024 * 1024 },
      clock: systemClock,
      random: systemRandom,
      telemetry: recordingTelemetry(),
    });
  const away = await open(nobody);
  let handed = 0;
  let lost = 0;
  for (let losses = 0; losses < 20; ) {
    const lines = Array.from({ length: LINES_A_CALL }, (_, i) => Buffer.from(numberedEvent(handed + i + 1, i, OCSF_VERSION)));
    handed += LINES_A_CALL;
    if ((await away.sendMany(lines)).lost === undefined) continue;
    lost += LINES_A_CALL;
    losses += 1;
  }
  await away.close();
  const back = await open((await system.runtime()).gateway.port);
  await back.drain("stored");
  await back.sendMany([Buffer.from(numberedEvent(handed + 1, 1, OCSF_VERSION))]);
  await back.drain("stored");
  await back.close();

  const ledger = await system.json<{ balanced: boolean; accepted: number; stored: number; gaps_by_reason: Record<string, number> }>(
    ...["audit", "--wait-idle", "60"],
  );
  assert.deepEqual(ledger.gaps_by_reason, { spool_full: lost });
  assert.deepEqual([ledger.balanced, ledger.accepted, ledger.stored], [true, handed + 1, handed + 1 - lost]);
  const rows = await numberedRows(system.dataDir, handed + 1);
  assert.deepEqual([rows.lost, rows.duplicated, rows.outOfOrder], [lost, 0, 0]);
  assert.match((await system.run("audit")).stdout, /declared lost: spool_full/);
});
