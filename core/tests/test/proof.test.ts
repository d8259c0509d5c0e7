/**
 * Why: promise P-7, whoever can write to the database cannot change what a producer signed without being seen.
 * Enforces: on a real system, `ransomeye event` says that the proof does not hold after a byte of the frame, a column of the row or a link of the
 * chain was changed behind its back, names the check that failed, and exits with 1.
 * Forbids: a proof that only ever holds.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tamper } from "ransomeye-db/testing";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { writeNumberedEvents } from "../src/crash/numbered_events.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

interface Shown {
  readonly proof: { readonly ok: boolean; readonly checks: readonly { readonly name: string; readonly ok: boolean }[] };
}

const EVENTS = 3000;

/** Each change is made and undone; the proof fails in between, at the named check. */
const TAMPERINGS = [
  {
    check: "payload_hash",
    table: "bus.frames",
    change: "UPDATE bus.frames SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE first_seq <= $1 AND first_seq + count > $1",
    undo: "UPDATE bus.frames SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE first_seq <= $1 AND first_seq + count > $1",
  },
  {
    check: "signature",
    table: "bus.frames",
    change:
      "UPDATE bus.frames SET signature = set_byte(signature, 3, get_byte(signature, 3) # 1) WHERE first_seq <= $1 AND first_seq + count > $1",
    undo: "UPDATE bus.frames SET signature = set_byte(signature, 3, get_byte(signature, 3) # 1) WHERE first_seq <= $1 AND first_seq + count > $1",
  },
  {
    check: "row",
    table: "data.events_agent",
    change: "UPDATE data.events_agent SET process_pid = process_pid + 1 WHERE seq = $1",
    undo: "UPDATE data.events_agent SET process_pid = process_pid - 1 WHERE seq = $1",
  },
] as const;

test("P-7 a frame or row that was changed inside PostgreSQL is noticed, and the failed check is named", async () => {
  await using system = await RunningSystem.start();
  const file = join(system.dataDir, "numbered.ndjson");
  await writeNumberedEvents(file, EVENTS, 7, OCSF_VERSION);
  assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
  const ledger = await system.json<{ producers: readonly { producer: string }[] }>("audit");
  const id = `${ledger.producers[0]?.producer}:1:${EVENTS}`;
  const before = await system.json<Shown>("event", id);
  assert.equal(before.proof.ok, true, JSON.stringify(before.proof.checks));

  const administrator = await system.administrator();
  try {
    for (const { check, table, change, undo } of TAMPERINGS) {
      assert.equal(await tamper(administrator, table, change, [EVENTS]), 1, check);
      const shown = await system.run("event", id, "--json");
      const { proof } = JSON.parse(shown.stdout) as Shown;
      assert.equal(shown.exitCode, 1, check);
      assert.deepEqual([proof.ok, proof.checks.find(({ name }) => name === check)?.ok], [false, false], JSON.stringify(proof.checks));
      await tamper(administrator, table, undo, [EVENTS]);
    }
  } finally {
    await administrator.end();
  }
  assert.equal((await system.json<Shown>("event", id)).proof.ok, true);
});
