/**
 * Why: a message about an event must be published exactly when the event is stored, whatever dies when.
 * Enforces: EB-11 through the real system, wherever its log lies: each honeypot event is one message in stream:attacks, through kill -9 of the engine, which
 * writes it, and of the keeper, which relays it.
 * Forbids: looking into tables: the stream is read as a consumer reads it.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type AttackPayload, MessageQueueManager, StreamName } from "ransomeye-pipeline";
import { loadIdentity, openProducer } from "ransomeye-sdk";
import { numberedEvent } from "../src/crash/numbered_events.ts";
import { openStreams } from "../src/harness/system_streams.ts";
import { RunningSystem, type Victim } from "../src/harness/running_system.ts";

const events = 2000;
const linesPerCall = 100;
/** Who is killed after how many events. */
const victims = new Map<number, Victim>([
  [500, "engine"],
  [1000, "keeper"],
  [1500, "engine"],
]);

test("EB-11 R-27 each honeypot event is one message in stream:attacks, through kill -9 of engine and keeper", async () => {
  await using system = await RunningSystem.start();
  const out = join(system.dataDir, "identities", "decoy");
  await system.run("producer", "enroll", "decoy", "--kind", "honeypot", "--out", out);
  const identity = await loadIdentity(out);
  const producer = await openProducer({
    identity,
    gateway: { host: "127.0.0.1", port: (await system.runtime()).gateway.port },
    spoolDir: join(system.dataDir, "spool", "decoy"),
    options: {},
    clock: systemClock,
    random: systemRandom,
    telemetry: recordingTelemetry(),
  });
  for (let handed = 0; handed < events; handed += linesPerCall) {
    await producer.sendMany(Array.from({ length: linesPerCall }, (_, i) => Buffer.from(numberedEvent(handed + i + 1, i, OCSF_VERSION))));
    const victim = victims.get(handed);
    if (victim === undefined) continue;
    await system.run("status", "--wait", "ready");
    await system.kill(victim);
  }
  await producer.drain("stored");
  await producer.close();

  const log = await openStreams(system);
  try {
    const queue = new MessageQueueManager({
      log,
      producerId: "test",
      clock: systemClock,
      random: systemRandom,
      telemetry: recordingTelemetry(),
    });
    const seqs: number[] = [];
    for await (const received of queue.consume(StreamName.attacks, "group:test", { prefetch: 64 })) {
      const { payload, producer_id: from }: { payload: AttackPayload; producer_id: string } = received.message;
      assert.deepEqual([payload.source.kind, payload.source.name], ["honeypot", from]);
      seqs.push(Number(payload.event_ids?.[0]?.split(":")[2]));
      await received.acknowledge();
      if (seqs.length === events) break;
    }
    assert.deepEqual(
      seqs.toSorted((a, b) => a - b),
      Array.from({ length: events }, (_, index) => index + 1),
    );
    // Nothing more comes: the outbox holds none of them a second time.
    const client = await system.administrator();
    const waiting = await client.query<{ count: number }>("SELECT count(*)::int4 AS count FROM bus.outbox");
    await client.end();
    assert.deepEqual(waiting.rows, [{ count: 0 }]);
    assert.deepEqual((await log.take(StreamName.attacks, "group:test", "again", { max: 10, leaseMs: 1000 })).deliveries, []);
  } finally {
    await log.close();
  }
});
