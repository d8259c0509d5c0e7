/** Holds and evidence: what is held is not signed away, and proves itself when its neighbours are gone. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { expireDay } from "ransomeye-db";
import { openTestServer, removeCounted, tamper } from "ransomeye-db/testing";
import type { Selection } from "ransomeye-evidence";
import { producerIds, startUs, World } from "ransomeye-evidence/testing";
import { systemClock } from "ransomeye-kernel";
import { SealStore } from "../src/sealing/seal_store.ts";
import { Sealer } from "../src/sealing/sealer.ts";
import { SealerKeys } from "../src/sealing/sealer_keys.ts";
import { openPlace, type Place } from "./sealed_place.ts";

const server = await openTestServer();
after(() => server.close());
const [a = "", b = ""] = producerIds;
const everything: Selection = { kind: "all", sinceUs: 0 };
const place = (world?: World): Promise<Place & AsyncDisposable> => openPlace(server, world);

test("DP-33 R-20 a hold that comes while the sealer is about to sign a day away keeps it from signing", async () => {
  await using at = await place();
  const keeper = { pool: at.database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: at.telemetry };
  const custodian = at.database.rolePool("ransomeye_custodian");
  const day = "2026-11-01";
  const store = new SealStore(at.database.rolePool("ransomeye_sealer"));
  let placeHold: (() => Promise<unknown>) | undefined = () => custodian.query("SELECT ops.hold_place(NULL, NULL, NULL, 'case 7', 'ada')");
  // It has read the wish, and gathers what the day held of each chain.
  const chainsOf = store.chainsOf.bind(store);
  store.chainsOf = async (asked) => {
    await placeHold?.();
    placeHold = undefined;
    return chainsOf(asked);
  };
  const sealer = await Sealer.open({ store, keys: new SealerKeys(at.secrets), clock: systemClock, telemetry: at.telemetry });
  await sealer.seal();
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "unsigned", waitsTooLong: false });
  const before = (await at.notes()).length;
  assert.deepEqual(await sealer.expire(), []);
  assert.equal((await at.notes()).length, before, "nothing was signed");
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "held" });
  await custodian.query("SELECT ops.hold_release(1, 'closed', 'ada')");
  assert.deepEqual(await sealer.expire(), [day], "and its chain goes on where it was");
  assert.equal((await expireDay(keeper, day, "age")).kind, "expired");
});

test("DP-35 R-20 a held day between days that are gone proves itself, and what went with its neighbours is told as expired", async () => {
  const world = new World();
  for (const day of [0, 1, 2, 3, 4]) {
    world.batch(0, { day });
    world.batch(1, { day });
    world.batch(0, { day });
    if (day === 3) world.newEpoch(1);
  }
  await using at = await place(world);
  const keeper = { pool: at.database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: at.telemetry };
  const sealer = await at.open();
  assert.equal(await sealer.seal(), 15);
  const days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"];
  await at.database
    .rolePool("ransomeye_custodian")
    .query("SELECT ops.hold_place($1, $2::date, $2::date + 1, 'case 7', 'ada')", [a, days[1]]);
  for (const day of days.filter((one) => one !== days[1])) {
    assert.equal((await expireDay(keeper, day, "age")).kind, "unsigned");
    assert.deepEqual(await sealer.expire(), [day]);
    assert.equal((await expireDay(keeper, day, "age")).kind, "expired");
    await removeCounted(at.database.connection, keeper);
  }
  const copies = (await at.notes()).slice(-1);
  const gone = "EXPIRED_BY_POLICY";
  const all = await at.verify(everything, { copies });
  // Three checkpoints, a stretch of one epoch, and the end of the other's.
  assert.deepEqual([all.verdict, all.batches, all.unsealed, all.found], [gone, 6, 0, 5], JSON.stringify(all.findings, null, 1));
  assert.ok(all.findings.every(({ state }) => state === gone));
  for (const producer of [a, b]) {
    const chain = await at.verify({ kind: "producer", producer, sinceUs: startUs, untilUs: null });
    assert.deepEqual([chain.verdict, chain.found], [gone, 2], JSON.stringify(chain.findings, null, 1));
  }
  assert.equal((await at.verify({ kind: "event", producer: a, epoch: 1, seq: 5 })).verdict, "PASS", "of the held day");
  assert.equal((await at.verify({ kind: "event", producer: a, epoch: 1, seq: 1 })).verdict, gone);
  assert.equal((await at.verify({ kind: "event", producer: b, epoch: 1, seq: 6 })).verdict, gone);
  // What is missing from the held day is not told as expired.
  await tamper(at.pool, "bus.frames", "DELETE FROM bus.frames WHERE part = 0 AND off = 4");
  const hurt = await at.verify();
  assert.equal(hurt.verdict, "MISSING");
  assert.ok(hurt.findings.some(({ what }) => what === "partition 0, offset 4"));
});
