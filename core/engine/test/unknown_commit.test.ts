/** Why: a COMMIT whose answer never comes is the one moment in which nobody knows; R-3 says how it is settled. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openPool } from "ransomeye-db";
import { CommitProxy, openTestServer } from "ransomeye-db/testing";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { Fixture, until } from "./postgres_fixture.ts";

const server = await openTestServer();
after(() => server.close());

async function scene(work: (fixture: Fixture, proxy: CommitProxy, chain: Chain, part: number) => Promise<void>): Promise<void> {
  const fixture = await Fixture.open(server);
  const proxy = await CommitProxy.open(fixture.database.roleConnection("ransomeye_engine"));
  try {
    const chain = new Chain(producerId(1));
    const part = await fixture.openEpoch(chain);
    await fixture.append(chain, [chain.frame({ lines: [eventLine("a"), eventLine("b")] })]);
    await work(fixture, proxy, chain, part);
  } finally {
    await proxy.close();
    await fixture.close();
  }
}

for (const [mode, expected] of [
  ["drop_commit", "failed"],
  ["drop_answer", "stored"],
] as const) {
  test(`R-3 an unknown COMMIT (${mode}) is settled on a new connection: ${expected}`, () =>
    scene(async (fixture, proxy, chain, part) => {
      const pool = openPool({ connection: proxy.connection, max: 2, applicationName: "test", telemetry: fixture.telemetry });
      const sink = fixture.sink(undefined, pool);
      const lease = await fixture.lease(part);
      proxy.mode = mode;
      assert.equal((await sink.store(await fixture.group([lease]))).get(part)?.kind, expected);
      assert.equal(proxy.losses, 1);
      const again = (await sink.store(await fixture.group([lease]))).get(part)?.kind;
      assert.equal(again, expected === "stored" ? "fenced" : "stored");
      await fixture.assertExactlyOnce(chain, 1, 2);
      await sink.close();
      await pool.end();
    }));
}

test("R-3 settling waits for a backend that is still committing; it never reads the offset that was", () =>
  scene(async (fixture, proxy, chain, part) => {
    // A commit that takes its time: a deferred trigger waits for an advisory lock that the test holds.
    await fixture.database.pool.query(`
      CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON data.sink_head DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.slow()`);
    const holder = await fixture.database.pool.connect();
    await holder.query("SELECT pg_advisory_lock(77)");
    const pool = openPool({ connection: proxy.connection, max: 2, applicationName: "test", telemetry: fixture.telemetry });
    const steps: string[] = [];
    const sink = fixture.sink({ step: async (name) => void steps.push(name) }, pool);
    const lease = await fixture.lease(part);
    const group = await fixture.group([lease]);
    proxy.mode = "drop_answer";
    let outcome: string | undefined;
    const storing = sink.store(group).then((outcomes) => {
      outcome = outcomes.get(part)?.kind;
    });
    const waiting = async (query: string): Promise<boolean> => ((await fixture.database.pool.query(query)).rowCount ?? 0) > 0;
    try {
      await until(() => steps.includes("settling"));
      const settling =
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%' AND usename = 'ransomeye_engine'";
      await until(async () => outcome !== undefined || (await waiting(settling)));
      assert.equal(outcome, undefined, "no answer while the old backend may still commit");
    } finally {
      await holder.query("SELECT pg_advisory_unlock(77)");
      holder.release();
    }
    await storing;
    assert.equal(outcome, "stored");
    await fixture.assertExactlyOnce(chain, 1, 2);
    await sink.close();
    await pool.end();
  }));
