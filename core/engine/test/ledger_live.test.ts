/** Why: the ledger of the sums rests on one property of the engine: rows and offset become visible together, so what is up to the offset is all there. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { fixturesOf } from "./postgres_fixture.ts";

const server = await openTestServer();
after(() => server.close());

const withFixture = fixturesOf(server);

test("DP-10 R-3 R-19 asked and folded at any moment while engines write, the ledger balances and is what a recount finds", () =>
  withFixture(async (fixture) => {
    const chains = Array.from({ length: 6 }, (_, n) => new Chain(producerId(n + 1), n % 2 === 0 ? "dpi" : "linux"));
    for (const chain of chains) await fixture.openEpoch(chain);
    const engines = ["one", "two"].map((member) => fixture.engine({ member }));
    const keeper = fixture.database.rolePool("ransomeye_keeper", 2);
    const reader = fixture.database.rolePool("ransomeye_reader", 1);
    const written = new AbortController();
    const asked = new Set<number>();
    const wrong: unknown[] = [];
    const ask = async (): Promise<void> => {
      while (!written.signal.aborted) {
        const { rows } = await keeper.query<{ stored: number; unbalanced_epochs: number }>(
          "SELECT stored, unbalanced_epochs FROM views.ledger_live",
        );
        asked.add(rows[0]?.stored ?? -1);
        if (rows[0]?.unbalanced_epochs !== 0) wrong.push(rows[0]);
        wrong.push(...(await reader.query("SELECT * FROM views.ledger_audit WHERE sums_differ OR imbalance <> 0 OR misplaced <> 0")).rows);
      }
    };
    const fold = async (): Promise<void> => {
      while (!written.signal.aborted) await keeper.query("SELECT * FROM ops.ledger_fold()");
    };
    const watching = Promise.all([ask(), fold()]);
    for (let round = 0; round < 60; round++)
      for (const chain of chains)
        await fixture.append(chain, [
          chain.frame({ lines: [eventLine("a"), "not json", eventLine("c")] }),
          ...(round % 10 === 0 ? [chain.frame({ gap: { count: 4, reason: "spool_full" } })] : []),
        ]);
    await fixture.stored();
    written.abort();
    await watching;
    assert.deepEqual(wrong, []);
    assert.ok(asked.size > 3, `asked at ${asked.size} different moments`);
    await keeper.query("SELECT * FROM ops.ledger_fold()");
    const { rows } = await reader.query("SELECT stored, dead_lettered, gap_declared, in_flight, imbalance, tail FROM views.ledger_live");
    assert.deepEqual(rows, [{ stored: 720, dead_lettered: 360, gap_declared: 144, in_flight: 0, imbalance: 0, tail: 0 }]);
    for (const { lifetime } of engines) await lifetime.drain();
  }));
