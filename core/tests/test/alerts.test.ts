/**
 * Why: who is to act on an alarm reads no log of five processes: what is alarmed must be a message, whoever noticed it and whatever died since.
 * Enforces: EB-25, EB-26 and EB-28 through the real system, wherever its log lies: alarms of gateway, registry, engine and supervisor are one message each in
 * stream:alerts, with whom they are about, and so is each dead letter; they outlive the supervisor that had them in hand; `ransomeye feed` shows them.
 * Forbids: looking into tables for what was published: the stream is read as a consumer reads it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { EXITS } from "ransomeye";
import { recordingTelemetry, systemClock, systemEnvironment, systemRandom } from "ransomeye-kernel";
import { type AlertPayload, type Message, type MessageLog, MessagePriority, MessageQueueManager, StreamName } from "ransomeye-pipeline";
import { loadIdentity } from "ransomeye-sdk";
import { writeNumberedEvents } from "../src/crash/numbered_events.ts";
import { floodUntilQuarantined } from "../src/harness/flooder.ts";
import { openStreams } from "../src/harness/system_streams.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

type Alert = Message<AlertPayload>;

/** Whether this run has its log on Redis servers. */
const onServers = (systemEnvironment()["RANSOMEYE_BUS_URL"] ?? "") !== "";

/** Asks until the answer is as it must become; a test that hangs is ended by its runner. */
async function until<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** All of the stream. */
async function alerts(log: MessageLog): Promise<Alert[]> {
  const found: Alert[] = [];
  for (const priority of Object.values(MessagePriority))
    for (const { message } of await log.read(StreamName.alerts, priority, 0, 1000)) found.push(message as Alert);
  return found;
}

function told(found: readonly Alert[], code: string): AlertPayload[] {
  return found.flatMap(({ payload }) => (payload.code === code ? [payload] : []));
}

/** Alerts that the supervisor still holds. */
async function waiting(system: RunningSystem): Promise<readonly Alert[]> {
  return (JSON.parse(await readFile(join(system.dataDir, "alerts.json"), "utf8")) as { waiting: Alert[] }).waiting;
}

/** Nothing is on its way any more. */
async function settled(system: RunningSystem): Promise<void> {
  const administrator = await system.administrator();
  const outbox = async (): Promise<number> =>
    (await administrator.query<{ count: number }>("SELECT count(*)::int4 AS count FROM bus.outbox")).rows[0]?.count ?? -1;
  await until(
    async () => (await waiting(system)).length + (await outbox()),
    (left) => left === 0,
  );
  await administrator.end();
}

async function shipped(system: RunningSystem, wait: "stored" | "receipt"): Promise<void> {
  const file = join(system.dataDir, `${wait}.ndjson`);
  await writeNumberedEvents(file, 100, 7, OCSF_VERSION);
  assert.equal((await system.run("ship", file, "--wait", wait)).exitCode, 0);
}

/** A gateway tells the registry that this identity seems to be in use twice; the address is a stranger's word. */
async function suspected(system: RunningSystem, producer: string): Promise<void> {
  const gateway = connect((await system.runtime()).registrySocket);
  await once(gateway, "connect");
  const suspicion = { producer, evidence: "address_flapping", detail: "192.0.2.7 and \u001b[2J192.0.2.8" };
  gateway.write(`${JSON.stringify({ op: "suspect", suspicion })}\n`);
  await until(
    () => system.run("producer", "clones"),
    ({ stdout }) => stdout.includes(producer),
  );
  gateway.destroy();
}

test("EB-25 R-27 R-12 alarms of gateway, registry, engine and supervisor are one message each in stream:alerts, with whom they are about", async () => {
  await using system = await RunningSystem.start(["--set", "supervisor.drain_ms_max=600000"]);
  const producer = await floodUntilQuarantined(system, "flooder");
  await suspected(system, producer);
  await shipped(system, "stored");
  const administrator = await system.administrator();
  await administrator.query(
    "UPDATE bus.consumer_offset SET entry_hash = set_byte(entry_hash, 0, get_byte(entry_hash, 0) # 1) WHERE off > 0",
  );
  await administrator.end();
  await system.kill("engine");
  // Whoever reads on looks first at what it has read.
  await shipped(system, "receipt");
  const { stopped_partitions: stopped } = await until(
    () => system.json<{ stopped_partitions: number[] }>("status"),
    ({ stopped_partitions: parts }) => parts.length > 0,
  );

  const log = await openStreams(system);
  try {
    // On servers of its own the log itself is found not to hold what rows were made of: the keeper compares the two.
    const expected = ["producer_quarantined", "clone_suspected", "child_ended", "partition_stopped", ...(onServers ? ["log_lost"] : [])];
    await until(
      () => alerts(log),
      (found) => expected.every((code) => told(found, code).length > 0),
    );
    await settled(system);
    const found = await alerts(log);
    assert.deepEqual(
      found.map(({ payload }) => payload.code ?? "").toSorted((a, b) => a.localeCompare(b)),
      expected.toSorted((a, b) => a.localeCompare(b)),
      `one message each, and nothing else: ${JSON.stringify(found.map(({ payload }) => [payload.code, payload.details]))}`,
    );
    for (const { payload, message_id: id, priority, producer_id: from, timestamp } of found) {
      assert.deepEqual([payload.host, payload.process, payload.count], [hostname(), from, 1]);
      assert.deepEqual([payload.first_at, payload.last_at], [timestamp, timestamp]);
      assert.equal(priority, payload.severity === "critical" ? MessagePriority.critical : MessagePriority.high);
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-5/, "made from its reason");
    }
    const whom = (code: string): unknown[] =>
      told(found, code).map(({ severity, process, producer: about, part }) => [severity, process, about, part]);
    assert.deepEqual(whom("producer_quarantined"), [["high", "gateway-1", producer, undefined]]);
    assert.deepEqual(whom("clone_suspected"), [["critical", "registry", producer, undefined]]);
    assert.deepEqual(whom("partition_stopped"), [["critical", "engine", undefined, stopped[0]]]);
    assert.deepEqual(whom("log_lost"), onServers ? [["critical", "keeper", undefined, undefined]] : []);
    assert.deepEqual(whom("child_ended"), [["high", "supervisor", undefined, undefined]]);
    assert.deepEqual(
      told(found, "child_ended").map(({ details }) => [details?.["child"], details?.["how"]]),
      [["engine", "signal SIGKILL"]],
    );
    const feed = await system.run("feed", "--stream", "alerts", "--since", "1h", "--limit", String(found.length));
    assert.equal(feed.exitCode, 0);
    const line = (text: string): RegExp => new RegExp(`alerts +(critical|high) +.*${text}.*`);
    assert.match(feed.stdout, line(`producer_quarantined gateway-1 ${producer}`));
    assert.match(feed.stdout, line(`partition_stopped engine partition ${stopped[0]}`));
    assert.ok(!feed.stdout.includes("\u001b"));
    // The ERROR line and the metric are as they were.
    assert.match(await system.metrics("gateway-1"), /^ransomeye_gateway_quarantines_total\{.*\} 1$/m);
    assert.match(await readFile(join(system.dataDir, "logs", "gateway-1.log"), "utf8"), /"level":"error".*"event":"producer_quarantined"/);
  } finally {
    await log.close();
  }
  // The partition that has stopped holds what nobody will store now: the stop would wait ten minutes for it, and a second signal ends that.
  assert.equal(await system.stopWithin(2_000), EXITS.interrupted.code);
});

test("EB-26 R-27 an alarm outlives a keeper that stands still and the supervisor that is killed with it in hand", async () => {
  await using system = await RunningSystem.start();
  assert.equal((await system.run("producer", "enroll", "twin", "--kind", "linux")).exitCode, 0);
  const { producer } = await loadIdentity(join(system.dataDir, "identities", "twin"));
  {
    await using _ = await system.standStill("keeper");
    await suspected(system, producer);
    await until(
      () => waiting(system),
      (held) => held.some(({ payload }) => payload.code === "clone_suspected"),
    );
    await system.kill("supervisor");
  }
  await system.startAgain();
  const log = await openStreams(system);
  try {
    await until(
      () => alerts(log),
      (found) => ["clone_suspected", "system_returned"].every((code) => told(found, code).length > 0),
    );
    await settled(system);
    const found = await alerts(log);
    assert.deepEqual(
      told(found, "clone_suspected").map(({ process, producer: about, count }) => [process, about, count]),
      [["registry", producer, 1]],
    );
    assert.deepEqual(
      told(found, "system_returned").map(({ process, severity }) => [process, severity]),
      [["supervisor", "medium"]],
    );
  } finally {
    await log.close();
  }
  // A system that is stopped in order comes back without a word.
  assert.equal(await system.stop(), 0);
  await system.startAgain();
  const again = await openStreams(system);
  try {
    await settled(system);
    assert.equal(told(await alerts(again), "system_returned").length, 1);
  } finally {
    await again.close();
  }
});

test("EB-28 R-27 BUS-7 a dead letter is an alarm, whoever buried it and whenever the keeper died", async () => {
  await using system = await RunningSystem.start();
  const log = await openStreams(system);
  try {
    const queue = new MessageQueueManager({
      ...{ log, producerId: "outside", clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() },
    });
    /** A group outside the system gives up the oldest attack that it has not had. */
    const bury = async (group: string): Promise<void> => {
      for await (const received of queue.consume(StreamName.attacks, group, { prefetch: 1 })) {
        await received.reject("nobody knows what it is", { permanent: true });
        break;
      }
    };
    const buried = (found: readonly Alert[]): AlertPayload[] => told(found, "dead_letter_found");
    await queue.publish(StreamName.attacks, { attack_type: "odd", source: { kind: "detection", name: "test" } });
    await bury("group:first");
    await until(
      () => alerts(log),
      (found) => buried(found).length === 1,
    );
    await system.kill("keeper");
    await bury("group:second");
    await until(
      () => alerts(log),
      (found) => buried(found).length > 1,
    );
    await settled(system);
    const found = await alerts(log);
    const letters = await log.read(StreamName.deadLetter, MessagePriority.normal, 0, 10);
    assert.deepEqual(
      buried(found).map(({ severity, process, about, count, details }) => [
        severity,
        process,
        about,
        count,
        details?.["group"],
        details?.["reason"],
      ]),
      letters.map(({ message }, nth) => [
        "medium",
        "keeper",
        [message.message_id],
        1,
        ["group:first", "group:second"][nth],
        "nobody knows what it is",
      ]),
    );
    assert.equal(letters.length, 2);
    await queue.close();
  } finally {
    await log.close();
  }
});
