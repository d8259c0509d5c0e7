/** The ledger as it is read: what gateways counted beside the sum, over all their lives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { openPostgresAppender } from "ransomeye-pipeline";
import { readLedger } from "../src/queries/ledger.ts";
import { ledgerText } from "../src/queries/ledger_text.ts";

test("FM-13 R-19 batches that came once more are told by their code, added up over gateways and their lives, and no part of the sum", async (t) => {
  const server = await openTestServer();
  t.after(() => server.close());
  const database = await server.database();
  t.after(() => database.close());
  const gate = await openPostgresAppender({
    pool: database.rolePool("ransomeye_gate", 1),
    clock: systemClock,
    telemetry: recordingTelemetry(),
  });
  const lives = [
    ["gateway-1", "00000000-0000-4000-8000-000000000001", { duplicate_INGEST_DUPLICATE: 2, refused_INGEST_SESSION_REPLAYED: 1 }],
    ["gateway-1", "00000000-0000-4000-8000-000000000002", { duplicate_INGEST_DUPLICATE_RESTART: 1000, frames_duplicate: 1000 }],
    ["gateway-2", "00000000-0000-4000-8000-000000000003", { duplicate_INGEST_DUPLICATE: 3 }],
  ] as const;
  for (const [gateway, incarnation, counters] of lives) {
    const figures = { startedUs: 1, state: "open" as const, reason: "", sessions: 0, quarantined: [], ended: true };
    await gate.report({ gateway, incarnation, counters, ...figures });
  }
  const ledger = await readLedger(database.rolePool("ransomeye_reader", 1));
  assert.ok(ledger.balanced);
  assert.deepEqual(ledger.duplicates_by_code, { INGEST_DUPLICATE: 5, INGEST_DUPLICATE_RESTART: 1000 });
  assert.deepEqual([ledger.duplicates, ledger.refused], [1005, 1]);
  assert.deepEqual(ledger.refused_by_code, { INGEST_SESSION_REPLAYED: 1 });
  assert.match(
    ledgerText(ledger),
    /^batches sent once more, and not stored again: 1,005 \(INGEST_DUPLICATE 5, INGEST_DUPLICATE_RESTART 1,000\)$/m,
  );
});
