/** What PostgreSQL shows of itself, how it is judged, and what gateways hear of it. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openClient } from "ransomeye-db";
import { openTestServer } from "ransomeye-db/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { openPostgresAppender } from "ransomeye-pipeline";
import { CheckpointPace, type ServerSignals, serverStrain } from "../src/roles/server_strain.ts";
import { askServer, signalsSql, StrainWatch } from "../src/roles/strain_watch.ts";

const server = await openTestServer();
after(() => server.close());

const calm: ServerSignals = {
  replicationLagBytes: 0,
  requestedCheckpoints: 0,
  checkpointWarningMs: 30_000,
  lockWaitMs: 0,
  connections: 10,
  connectionsMax: 100,
};
const bounds = { replicationLagBytesMax: 1000, lockWaitMsMax: 1000 };
const never = Number.POSITIVE_INFINITY;

test("BP-26 each signal of the server counts from the value at which gateways open, and the worst is told", () => {
  const of = (signals: Partial<ServerSignals>, intervalMs = never, disk?: { freeBytes: number; floorBytes: number }): string => {
    const strain = serverStrain({ ...calm, ...signals }, intervalMs, disk, bounds);
    return strain === undefined ? "calm" : `${strain.name} ${strain.level.toFixed(2)}`;
  };
  assert.equal(of({}), "calm");
  assert.equal(of({ replicationLagBytes: 370 }), "calm");
  assert.equal(of({ replicationLagBytes: 1000 }), "replication_lag 1.00");
  assert.equal(of({ lockWaitMs: 625 }), "lock_wait 0.63");
  assert.equal(of({ connections: 80 }), "calm");
  assert.equal(of({ connections: 100 }), "connections 1.00");
  assert.equal(of({}, 30_000), "checkpoints_frequent 0.63");
  assert.equal(of({}, 1), "checkpoints_frequent 0.95", "checkpoints alone never pause");
  assert.equal(of({ checkpointWarningMs: 0 }, 1), "calm", "a server that is not to warn");
  assert.equal(of({}, never, { freeBytes: 1600, floorBytes: 1000 }), "disk_low 0.63");
  assert.equal(of({}, never, { freeBytes: 0, floorBytes: 1000 }), "disk_low 1000.00");
  assert.equal(of({ lockWaitMs: 700, replicationLagBytes: 800 }), "replication_lag 0.80");
});

test("BP-26 checkpoints are paced by those that WAL has asked for, and a pause between them is seen while it lasts", () => {
  const pace = new CheckpointPace();
  assert.equal(pace.seen(5, 0), never, "when the last one was nobody knows");
  assert.equal(pace.seen(6, 1000), never);
  assert.equal(pace.seen(7, 11_000), 10_000);
  assert.equal(pace.seen(9, 13_000), 1000, "two within two seconds");
  assert.equal(pace.seen(9, 13_500), 1000);
  assert.equal(pace.seen(9, 63_000), 50_000, "the last is long ago");
  assert.equal(pace.seen(0, 64_000), never, "statistics were reset");
});

test("BP-26 connections, checkpoints and their bounds are those that the server counts", { timeout: 60_000 }, async () => {
  const database = await server.database();
  const keeper = database.rolePool("ransomeye_keeper", 1);
  const sql = await signalsSql(keeper);
  const before = await askServer(keeper, sql);
  const setting = async (name: string): Promise<number> =>
    Number(
      (await database.pool.query<{ setting: string }>("SELECT setting FROM pg_settings WHERE name = $1", [name])).rows[0]?.setting ?? 0,
    );
  const reserved = (await setting("superuser_reserved_connections")) + (await setting("reserved_connections"));
  assert.equal(before.connectionsMax, (await setting("max_connections")) - reserved);
  assert.equal(before.checkpointWarningMs, (await setting("checkpoint_warning")) * 1000);
  const clients = await Promise.all(Array.from({ length: 5 }, () => openClient(database.connection, "one more")));
  try {
    await database.pool.query("CHECKPOINT");
    // The server tells its counts late.
    let now = before;
    while (now.connections < before.connections + clients.length || now.requestedCheckpoints <= before.requestedCheckpoints) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      now = await askServer(keeper, sql);
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

test("BP-26 a lock wait and a slot of a real server reach a gateway's question and end with the keeper's word", async () => {
  const database = await server.database();
  const telemetry = recordingTelemetry();
  const keeper = database.rolePool("ransomeye_keeper", 1);
  const appender = await openPostgresAppender({ pool: database.rolePool("ransomeye_gate", 1), clock: systemClock, telemetry });
  const ask = { gateway: "test", incarnation: "00000000-0000-4000-9000-000000000001", wantBytes: 1 };
  const watchWith = (more: Partial<typeof bounds>): StrainWatch =>
    new StrainWatch({
      pool: keeper,
      clock: systemClock,
      telemetry,
      bounds: { replicationLagBytesMax: 1e15, lockWaitMsMax: 1e9, ...more },
      disk: async () => undefined,
    });
  const heard = async (watch: StrainWatch): Promise<string | undefined> => {
    await watch.look();
    return (await appender.pressure(ask)).strain?.name;
  };
  const rowVersion = async (): Promise<unknown> => (await database.pool.query("SELECT xmin::text FROM bus.state")).rows[0];

  const before = await rowVersion();
  assert.equal(await heard(watchWith({})), undefined);
  assert.deepEqual(await rowVersion(), before, "while nothing is strained nothing is written");

  const [holder, waiter] = [await openClient(database.connection, "holder"), await openClient(database.connection, "waiter")];
  const watch = watchWith({ lockWaitMsMax: 1 });
  try {
    await holder.query("BEGIN; LOCK TABLE data.gaps IN ACCESS EXCLUSIVE MODE");
    const waiting = waiter.query("SELECT count(*) FROM data.gaps");
    while ((await heard(watch)) !== "lock_wait") await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(((await appender.pressure(ask)).strain?.level ?? 0) >= 1);
    await holder.query("ROLLBACK");
    await waiting;
    assert.equal(await heard(watch), undefined);
  } finally {
    await Promise.all([holder.end(), waiter.end()]);
  }
  assert.deepEqual(
    telemetry.events.filter(({ name }) => name.startsWith("server_strain")).map(({ name, fields }) => [name, fields["signal"]]),
    [
      ["server_strained", "lock_wait"],
      ["server_strain_over", "lock_wait"],
    ],
  );

  const slot = `strain_${database.connection.database}`;
  await database.pool.query("SELECT pg_create_physical_replication_slot($1, true)", [slot]);
  try {
    await database.pool.query("CREATE TABLE public.more AS SELECT repeat('x', 1000) FROM generate_series(1, 100)");
    assert.equal(await heard(watchWith({ replicationLagBytesMax: 1 })), "replication_lag");
  } finally {
    await database.pool.query("SELECT pg_drop_replication_slot($1)", [slot]);
  }

  // A keeper that stands still: its word runs out.
  await keeper.query("SELECT bus.strain_put('lock_wait', 1, 50)");
  while ((await appender.pressure(ask)).strain !== null) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(keeper.query("SELECT bus.strain_put('lock_wait', 1, 0)"), { code: "RB001" });
});
