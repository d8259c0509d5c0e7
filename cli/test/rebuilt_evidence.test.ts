/** Rebuilt days and evidence: rows that no verifier of this release can judge become rows that it passes, under statements that were signed before. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { rebuildDay } from "ransomeye-engine";
import { systemClock } from "ransomeye-kernel";
import { openPlace } from "./sealed_place.ts";

const server = await openTestServer();
after(() => server.close());

test("DP-58 R-20 rows of another normaliser fail the verifier, which names the way out; once their day is rebuilt they pass, under the statements that were signed before", async () => {
  await using at = await openPlace(server);
  await (await at.open()).seal();
  const notes = await at.notes();
  assert.equal((await at.verify()).verdict, "PASS");
  await at.pool.query("UPDATE bus.consumer_offset o SET entry_received_us = p.received_us FROM bus.partition_head p WHERE p.part = o.part");
  await tamper(at.pool, "data.events_agent", "UPDATE data.events_agent SET normaliser_version = 99");
  const older = await at.verify();
  assert.equal(older.verdict, "FAIL");
  assert.ok(
    older.findings.every(({ why }) => why.includes("rebuild its day")),
    JSON.stringify(older.findings),
  );
  const { rows } = await at.pool.query<{ day: string }>(
    "SELECT DISTINCT to_char(received_at, 'YYYY-MM-DD') AS day FROM data.events_agent ORDER BY 1",
  );
  assert.ok(rows.length > 1);
  const pool = at.database.rolePool("ransomeye_rebuilder");
  for (const { day } of rows) {
    assert.notEqual((await at.verify()).verdict, "PASS", `${day} is still to come`);
    const { kind } = await rebuildDay({ pool, clock: systemClock, telemetry: at.telemetry, day, replaceAs: "ada" });
    assert.equal(kind, "replaced");
  }
  const rebuilt = await at.verify();
  assert.deepEqual([rebuilt.verdict, rebuilt.findings], ["PASS", []]);
  assert.deepEqual(await at.notes(), notes, "nothing was signed for it");
});
