/** Why: the whole engine on a real PostgreSQL, through restarts, takeovers and a bus that is read again. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { engineGroup } from "../src/engine.ts";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { type Fixture, fixturesOf, until } from "./postgres_fixture.ts";

const server = await openTestServer();
after(() => server.close());

const withFixture = fixturesOf(server);

/** A promise and the function that resolves it. */
function signal(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function chains(fixture: Fixture, count: number): Promise<Chain[]> {
  const all = Array.from({ length: count }, (_, i) => new Chain(producerId(i + 1)));
  for (const chain of all) await fixture.openEpoch(chain);
  return all;
}

test("X-6 frames of many producers become rows, exactly once, while they are being appended", () =>
  withFixture(async (fixture) => {
    const all = await chains(fixture, 12);
    const { engine, lifetime } = fixture.engine();
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        all.map((chain) => fixture.append(chain, [chain.frame({ lines: [eventLine("x"), eventLine("y")] }), chain.frame()])),
      );
    }
    await fixture.stored();
    for (const chain of all) await fixture.assertExactlyOnce(chain, 1, 30);
    assert.equal(engine.lag() >= 0, true);
    await lifetime.drain();
    const owners = await fixture.database.pool.query("SELECT 1 FROM bus.consumer_offset WHERE owner IS NOT NULL");
    assert.equal(owners.rowCount, 0, "a drained engine leaves its partitions free");
  }));

test("X-6 backends that are killed again and again cost nothing but time", () =>
  withFixture(async (fixture) => {
    const all = await chains(fixture, 6);
    const { lifetime } = fixture.engine();
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        all.map((chain) => fixture.append(chain, [chain.frame({ lines: [eventLine("x"), eventLine("y"), eventLine("z")] })])),
      );
      await fixture.database.pool.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ransomeye_engine' AND query LIKE '%data.%'",
      );
    }
    await fixture.stored();
    for (const chain of all) await fixture.assertExactlyOnce(chain, 1, 36);
    await lifetime.drain();
  }));

test("R-3 an engine that stands still loses its partitions to another, and can store nothing when it wakes", () =>
  withFixture(async (fixture) => {
    const [chain] = await chains(fixture, 1);
    assert.ok(chain !== undefined);
    await fixture.append(chain, [chain.frame(), chain.frame()]);
    const asleep = signal();
    const wake = signal();
    const first = fixture.engine({
      member: "first",
      leaseMs: 1000,
      probe: {
        step: async (name) => {
          if (name !== "begun") return;
          asleep.resolve();
          await wake.promise;
        },
      },
    });
    await asleep.promise;
    await fixture.database.pool.query(
      "UPDATE bus.consumer_offset SET lease_until = clock_timestamp() - interval '1 second'; UPDATE bus.group_member SET lease_until = clock_timestamp() - interval '1 second'",
    );
    const second = fixture.engine({ member: "second", leaseMs: 60_000 });
    await fixture.stored();
    wake.resolve();
    await until(() => fixture.telemetry.events.some(({ name }) => name === "lease_lost"));
    await fixture.assertExactlyOnce(chain, 1, 2);
    await first.lifetime.drain();
    await second.lifetime.drain();
  }));

test("R-3 an engine that died with its leases is succeeded at once under the same name, and is ready when it owns them", () =>
  withFixture(async (fixture) => {
    const [chain] = await chains(fixture, 1);
    assert.ok(chain !== undefined);
    const owned = (): number => fixture.telemetry.events.filter(({ name }) => name === "lease_taken").length;
    const first = fixture.engine({ leaseMs: 3_600_000 });
    await first.engine.ready;
    assert.equal(owned(), fixture.bus.partitions);
    // Unlike a drain this gives nothing back, as a kill would not.
    await first.lifetime.destroy();
    await fixture.append(chain, [chain.frame(), chain.frame()]);
    const second = fixture.engine({ leaseMs: 3_600_000 });
    await second.engine.ready;
    assert.equal(owned(), 2 * fixture.bus.partitions);
    await fixture.stored();
    await fixture.assertExactlyOnce(chain, 1, 2);
    const third = fixture.engine({ member: "another", leaseMs: 3_600_000 });
    await third.engine.ready;
    assert.equal(owned(), 2 * fixture.bus.partitions, "ready, with nothing free to own");
    await third.lifetime.drain();
    await second.lifetime.drain();
  }));

test("R-7 a producer's epochs in several partitions are stored in order, whoever reads first", () =>
  withFixture(async (fixture) => {
    const all = await chains(fixture, 4);
    const epochs: { readonly chain: Chain; readonly epoch: number; readonly frames: number }[] = [];
    const appendSome = async (chain: Chain, frames: number): Promise<void> => {
      await fixture.append(
        chain,
        Array.from({ length: frames }, () => chain.frame()),
      );
      epochs.push({ chain, epoch: chain.epoch, frames });
    };
    for (const chain of all) await appendSome(chain, 3);
    for (const partitions of [13, 7, 11]) {
      // The number of partitions changes, and with it the partition of each producer's next epoch.
      await fixture.database.pool.query("UPDATE bus.state SET partitions = $1", [partitions]);
      for (const chain of all) {
        await fixture.openEpoch(chain);
        await appendSome(chain, 2);
      }
    }
    const { lifetime } = fixture.engine();
    await fixture.stored();
    for (const { chain, epoch, frames } of epochs) await fixture.assertExactlyOnce(chain, epoch, frames);
    assert.equal(fixture.telemetry.events.filter(({ name }) => name === "partition_stopped").length, 0);
    await lifetime.drain();
  }));

test("R-2 a rewritten bus history stops the partition before anything is read", () =>
  withFixture(async (fixture) => {
    const [chain] = await chains(fixture, 1);
    assert.ok(chain !== undefined);
    await fixture.append(chain, [chain.frame(), chain.frame()]);
    const first = fixture.engine();
    await fixture.stored();
    await first.lifetime.drain();
    await fixture.database.pool.query("UPDATE bus.consumer_offset SET entry_hash = $1 WHERE grp = $2 AND off > 0", [
      Buffer.alloc(32, 1),
      engineGroup,
    ]);
    await fixture.append(chain, [chain.frame()]);
    const second = fixture.engine({ member: "two" });
    const stopped = (): boolean =>
      fixture.telemetry.events.some(({ name, fields }) => name === "partition_stopped" && fields["code"] === "BUS_HISTORY_DIVERGED");
    await until(async () => stopped() || (await fixture.events()).length > 2);
    assert.ok(stopped());
    assert.equal((await fixture.events()).length, 2);
    await second.lifetime.drain();
  }));
