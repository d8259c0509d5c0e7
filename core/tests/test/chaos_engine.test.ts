/** Faults of engine and database, a few of them, and the judge that says what came of it. Many: `npm run chaos:engine`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tamper } from "ransomeye-db/testing";
import { engineFaults, faultName } from "../src/chaos_engine/faults.ts";
import { type Findings, holds, judge } from "../src/chaos_engine/judge.ts";
import type { Fate } from "../src/chaos_engine/producers.ts";
import { Stage } from "../src/chaos_engine/stage.ts";

/** Where one row lies, and what an intruder does to it; findings that must follow. */
const intrusions: readonly { readonly sql: string; readonly found: Partial<Findings> }[] = [
  { sql: "DELETE FROM data.events_agent WHERE (producer_id, epoch, seq) = ($1::uuid, $2, $3)", found: { lost: 1, imbalance: 1 } },
  {
    sql: "INSERT INTO data.events_agent SELECT * FROM data.events_agent WHERE (producer_id, epoch, seq) = ($1::uuid, $2, $3)",
    found: { doubled: 1, imbalance: 1 },
  },
  { sql: "UPDATE data.events_agent SET host = 'other' WHERE (producer_id, epoch, seq) = ($1::uuid, $2, $3)", found: { altered: 1 } },
  {
    sql: "UPDATE data.events_agent SET seq = 9999999 WHERE (producer_id, epoch, seq) = ($1::uuid, $2, $3)",
    found: { lost: 1, foreign: 1 },
  },
  { sql: "UPDATE data.events_agent SET frame_off = 0 WHERE (producer_id, epoch, seq) = ($1::uuid, $2, $3)", found: { outOfOrder: 1 } },
];

test("DP-46 X-6 one fault of each kind at the engine and its database: everything is stored once, and the judge sees each thing that is not so", async () => {
  await using stage = await Stage.open("one of each kind");
  for (const fault of new Map(engineFaults.map((one) => [one.kind, one])).values()) {
    if (fault.kind === "server_killed" && !stage.ownsServer) continue;
    const { hit, recovered } = await stage.strike(fault);
    assert.deepEqual({ hit, recovered }, { hit: true, recovered: true }, faultName(fault));
  }
  const findings = await stage.judge();
  assert.ok(findings.accepted > 0 && holds(findings), JSON.stringify(findings));

  const client = await stage.admin.connect();
  try {
    // Not the first of its frame's producer and epoch, so that it has one before it.
    const { rows } = await client.query<{ producer_id: string; epoch: number; seq: number }>(
      "SELECT producer_id, epoch, seq FROM data.events_agent WHERE seq > 20 ORDER BY producer_id, epoch, seq DESC LIMIT 1",
    );
    const place = Object.values(rows[0] ?? {});
    for (const { sql, found } of intrusions) {
      await client.query("BEGIN");
      assert.equal(await tamper(client, "data.events_agent", sql, place), 1, sql);
      const seen = await judge(client, stage.fates);
      assert.ok(!holds(seen), sql);
      for (const [what, n] of Object.entries(found)) assert.equal(seen[what as keyof Findings], n, `${what}: ${sql}`);
      await client.query("ROLLBACK");
    }
    const more = new Map<string, readonly Fate[]>([...stage.fates].map(([key, fates]) => [key, [...fates, "row never-sent"]]));
    assert.equal((await judge(stage.admin, more)).lost, more.size, "what was accepted and never came is missed");
  } finally {
    client.release(true);
  }
});
