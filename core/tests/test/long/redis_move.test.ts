/**
 * Why: a log that moves to Redis servers, or is lost there, is the moment at which events are lost or doubled if anything was thought of wrongly.
 * Enforces: EB-9, EB-10, R-2 and R-5 through the real system: the move loses and doubles nothing, servers that have lost the log are refused, and after a loss
 * producers send again what had not become rows.
 * Forbids: looking at anything but the system's own commands and rows.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { startRedis } from "ransomeye-pipeline/testing";
import { loadIdentity, openProducer, type Producer } from "ransomeye-sdk";
import { numberedEvent } from "../../src/crash/numbered_events.ts";
import { numberedRows } from "../../src/crash/numbered_rows.ts";
import { RunningSystem } from "../../src/harness/running_system.ts";

const linesPerCall = 100;

/** A producer of this system with an identity and a spool that outlive every start. */
async function sender(system: RunningSystem): Promise<Producer> {
  const out = join(system.dataDir, "identities", "mover");
  const identity = await loadIdentity(out).catch(async () => {
    await system.run("producer", "enroll", "mover", "--kind", "linux", "--out", out);
    return loadIdentity(out);
  });
  return openProducer({
    identity,
    gateway: { host: "127.0.0.1", port: (await system.runtime()).gateway.port },
    spoolDir: join(system.dataDir, "spool", "mover"),
    options: {},
    clock: systemClock,
    random: systemRandom,
    telemetry: recordingTelemetry(),
  });
}

let handed = 0;

async function send(producer: Producer, lines: number): Promise<void> {
  for (const end = handed + lines; handed < end; handed += linesPerCall)
    await producer.sendMany(Array.from({ length: linesPerCall }, (_, i) => Buffer.from(numberedEvent(handed + i + 1, i, OCSF_VERSION))));
}

async function assertAllThere(system: RunningSystem): Promise<void> {
  const ledger = await system.json<{ balanced: boolean; accepted: number; stored: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.accepted, ledger.stored], [true, handed, handed]);
  const rows = await numberedRows(system.dataDir, handed);
  assert.deepEqual([rows.lost, rows.duplicated, rows.outOfOrder], [0, 0, 0]);
}

async function refusal(starting: Promise<void>): Promise<string> {
  return starting.then(
    () => assert.fail("it started"),
    (error: unknown) => String(error),
  );
}

test("R-4 servers that are less durable than asked, or do not let us in, end a start at once and in words", async () => {
  const [careless, closed] = await Promise.all([
    startRedis({ settings: { appendfsync: "everysec" } }),
    startRedis({ settings: { requirepass: "secret" } }),
  ]);
  const stranger = closed.url.replace(/\/\/[^@/]*@/, "//:wrong@");
  try {
    for (const [url, code] of [
      [careless.url, "BUS_NOT_DURABLE"],
      [stranger, "BUS_FORBIDDEN"],
    ] as const) {
      const said = await refusal(
        RunningSystem.start(["--bus", url], { RANSOMEYE_BUS_URL: "" }).then((system) => system[Symbol.asyncDispose]()),
      );
      assert.match(said, new RegExp(`keeper does not start: ${code}`));
      assert.match(said, /keeper ended .*\(restart 1\)/);
      assert.doesNotMatch(said, /\(restart 2\)|wrong|secret/);
    }
  } finally {
    await Promise.all([careless.close(), closed.close()]);
  }
});

test("EB-9 EB-10 R-2 R-5 the log moves to Redis and is lost there: nothing is lost or doubled, and nothing goes on in silence", async () => {
  const redis = await startRedis();
  try {
    await using system = await RunningSystem.start([], { RANSOMEYE_BUS_URL: "" });
    const bus = ["--bus", redis.url];
    let producer = await sender(system);
    await send(producer, 3000);
    await producer.drain("stored");
    await producer.close();
    assert.equal(await system.stop(), 0);

    await system.startAgain(bus);
    producer = await sender(system);
    await send(producer, 3000);
    await producer.drain("stored");
    await assertAllThere(system);
    assert.match((await system.run("events", "--limit", "1")).stdout, /\S/);

    // Receipted and not stored: the engine stands still, and then all of it is gone.
    const still = await system.standStill("engine");
    await send(producer, 1000);
    await producer.drain("receipt");
    await producer.close();
    await system.kill("supervisor");
    await still[Symbol.asyncDispose]();
    await redis.client().flushall();

    assert.match(await refusal(system.startAgain(bus)), /do not hold this installation's log any more/);
    assert.match(await refusal(system.startAgain()), /start with the same --bus/);
    await system.startAgain([...bus, "--after-loss"]);
    producer = await sender(system);
    await send(producer, 500);
    await producer.drain("stored");
    await producer.close();
    await assertAllThere(system);
    assert.equal(await system.stop(), 0);
    await system.startAgain(bus);
    await assertAllThere(system);
  } finally {
    await redis.close();
  }
});
