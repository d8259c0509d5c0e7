/**
 * Why: consumers of the same streams are independent of each other, and none of them can lose, double or delay what another one sees (BUS-10, BUS-11).
 * Enforces: EB-13 to EB-15 through the real system, wherever its log lies: attacks come through the gateway; the sample AI consumer, the forensics trigger and the feed
 *   are processes that are killed and stopped.
 * Forbids: looking into tables, and judging by time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordingTelemetry, seededRandom, systemClock, systemRandom } from "ransomeye-kernel";
import {
  type AttackPayload,
  type Message,
  type MessageLog,
  MessageQueueManager,
  type StreamName,
  StreamName as streams,
} from "ransomeye-pipeline";
import { Decoy, isGrave } from "../src/consumers/decoy.ts";
import { AiInstance, FeedProcess } from "../src/consumers/processes.ts";
import { RunningSystem } from "../src/harness/running_system.ts";
import { openStreams } from "../src/harness/system_streams.ts";

const seed = 20_261_123;
const aiGroup = "group:ai_processor";
const forensicsGroup = "group:forensics_trigger";
/** What a killed instance held comes back soon. */
const leaseMs = 1000;
const watched = "attacks,ai_decisions,forensics";

interface Status {
  readonly roles: readonly { readonly role: string; readonly pid: number | null; readonly ready: boolean; readonly restarts: number }[];
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: () => Promise<boolean> | boolean, told: () => string): Promise<void> {
  for (let tries = 0; tries < 15_000; tries++) {
    if (await what()) return;
    await pause(10);
  }
  throw new Error(`it never came (seed ${seed}): ${told()}`);
}

function queueOn(log: MessageLog): MessageQueueManager {
  return new MessageQueueManager({ log, producerId: "test", clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() });
}

async function held(queue: MessageQueueManager, stream: StreamName): Promise<Message[]> {
  const found: Message[] = [];
  for await (const message of queue.replay(stream)) found.push(message);
  return found;
}

const aboutOf = ({ payload }: Message): string => (payload as { about: string }).about;
const seqOf = ({ payload }: Message): number => Number((payload as AttackPayload).event_ids?.[0]?.split(":")[2]);

/** Every attack was published once and has one decision, and one request where it is grave; nobody gave anything up. */
async function assertSettled(queue: MessageQueueManager, attacks: number): Promise<void> {
  const published = await held(queue, streams.attacks);
  const numbers = Array.from({ length: attacks }, (_, index) => index + 1);
  assert.deepEqual(
    published.map(seqOf).toSorted((a, b) => a - b),
    numbers,
  );
  const ids = published.map(({ message_id }) => message_id).toSorted();
  const grave = published.filter((attack) => isGrave(seqOf(attack))).map(({ message_id }) => message_id);
  assert.deepEqual((await held(queue, streams.aiDecisions)).map(aboutOf).toSorted(), ids, "one decision about each attack");
  assert.deepEqual((await held(queue, streams.forensics)).map(aboutOf).toSorted(), grave.toSorted(), "one request about each grave one");
  assert.deepEqual(await held(queue, streams.deadLetter), [], "nothing was given up");
}

/** A feed that saw everything: each message once, and a producer's attacks in their order within each priority. */
function assertSawAll(feed: FeedProcess, attacks: number): void {
  const grave = Array.from({ length: attacks }, (_, index) => index + 1).filter(isGrave).length;
  assert.equal(feed.missed, 0);
  assert.deepEqual(
    [streams.attacks, streams.aiDecisions, streams.forensics].map(
      (stream) => new Set(feed.of(stream).map(({ message_id }) => message_id)).size,
    ),
    [attacks, attacks, grave],
  );
  assert.equal(feed.messages.length, 2 * attacks + grave);
  for (const priority of [2, 3, 4]) {
    const seqs = feed.of(streams.attacks).flatMap((attack) => (attack.priority === priority ? [seqOf(attack)] : []));
    assert.ok(seqs.length > 0);
    assert.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
      `priority ${priority} in its order`,
    );
  }
}

/** Kills the database and waits until it answers commands again: whoever starts meanwhile is refused. */
async function killDatabase(system: RunningSystem): Promise<void> {
  await system.kill("postgres");
  await until(
    async () => (await system.run("events", "--limit", "1")).exitCode === 0,
    () => "the database never came back",
  );
}

/** Kills the forensics trigger as soon as it runs. */
async function killForensics(system: RunningSystem): Promise<void> {
  let pid: number | null = null;
  await until(
    async () => {
      const { roles } = await system.json<Status>("status");
      pid = roles.find(({ role, ready }) => role === "forensics" && ready)?.pid ?? null;
      return pid !== null;
    },
    () => "the forensics trigger never came back",
  );
  process.kill(pid ?? 0, "SIGKILL");
}

test("EB-13 EB-15 BUS-6 BUS-10 the AI consumer and the forensics trigger are killed again and again, and the database once: one decision for each attack, one request for each grave one, and the feed saw all", async () => {
  const random = seededRandom(seed);
  const kills = 12;
  const attacksBetween = 40;
  await using system = await RunningSystem.start();
  const decoy = await Decoy.open(system);
  const log = await openStreams(system);
  const queue = queueOn(log);
  await using feed = new FeedProcess(system, "--stream", watched, "--since", "1h");
  const instances = [new AiInstance(system, leaseMs), new AiInstance(system, leaseMs), new AiInstance(system, leaseMs)];
  try {
    let forensicsKills = 0;
    for (let kill = 0; kill < kills; kill++) {
      const before = instances.map(({ decisions }) => decisions);
      const busy = (): number[] => [...instances.keys()].filter((index) => (instances[index]?.decisions ?? 0) > (before[index] ?? 0));
      await decoy.isAttacked(attacksBetween);
      await until(
        () => busy().length > 0,
        () => `nobody decides any more; ${instances.map(({ said }) => said).join("")}`,
      );
      // One in the middle of its work.
      await pause(random.uint32() % 30);
      const victim = busy()[random.uint32() % busy().length] ?? 0;
      await instances[victim]?.kill();
      instances[victim] = new AiInstance(system, leaseMs);
      // The log itself is away for a moment, where it lies in the database.
      if (kill === 9) await killDatabase(system);
      if (kill % 5 !== 2) continue;
      await killForensics(system);
      forensicsKills += 1;
    }
    await decoy.isStored();
    const grave = Array.from({ length: decoy.sent }, (_, index) => index + 1).filter(isGrave).length;
    await until(
      () => feed.messages.length >= 2 * decoy.sent + grave,
      () => `the feed has ${feed.messages.length} of ${2 * decoy.sent + grave} and missed ${feed.missed}: ${feed.said}`,
    );
    const groups = async (): Promise<string[]> =>
      (await queue.groups(streams.attacks))
        .filter(({ pending, waiting }) => pending + waiting.reduce((sum, one) => sum + one) > 0)
        .map(({ group }) => group);
    await until(
      async () => (await groups()).length === 0,
      () => "something is never acknowledged",
    );
    await assertSettled(queue, decoy.sent);
    assertSawAll(feed, decoy.sent);
    assert.equal(await feed.stop(), 0, "Ctrl-C is how a feed ends");
    const { roles } = await system.json<Status>("status");
    const trigger = roles.find(({ role }) => role === "forensics");
    // It may have ended once more by itself: one that starts while the database is away is started again.
    assert.ok(trigger?.ready === true && trigger.restarts >= forensicsKills);
  } finally {
    for (const instance of instances) await instance.kill();
    await decoy.close();
    await log.close();
  }
});

test("EB-14 BUS-11 one instance, the trigger and a feed stand still: all others go on, and those go on later where they stood", async () => {
  await using system = await RunningSystem.start();
  const decoy = await Decoy.open(system);
  const log = await openStreams(system);
  const queue = queueOn(log);
  await using feed = new FeedProcess(system, "--stream", watched, "--since", "1h");
  await using slowFeed = new FeedProcess(system, "--stream", watched, "--since", "1h");
  await using stopped = new AiInstance(system, leaseMs);
  await using running = new AiInstance(system, leaseMs);
  const dashboard: number[] = [];
  queue.startConsumer({
    stream: streams.attacks,
    group: "group:dashboard",
    handle: async (attack) => void dashboard.push(seqOf(attack)),
  });
  const decided = (): number => feed.of(streams.aiDecisions).length;
  const asked = (): number => feed.of(streams.forensics).length;
  const told = (): string =>
    `${decided()} decisions, ${asked()} requests, ${dashboard.length} on the dashboard; ${feed.said}${running.said}`;
  try {
    // Until both have decided something, so that the one that stops is in the middle of it.
    while (stopped.decisions === 0 || running.decisions === 0) {
      await decoy.isAttacked(20);
      await until(() => decided() === decoy.sent, told);
    }
    await until(() => asked() === decoy.sent / 2, told);
    // What it has asked for it may yet have to acknowledge.
    const waitsForTrigger = async (): Promise<number> => {
      const trigger = (await queue.groups(streams.attacks)).find(({ group }) => group === forensicsGroup);
      return (trigger?.pending ?? 0) + (trigger?.waiting.reduce((sum, one) => sum + one) ?? 0);
    };
    await until(async () => (await waitsForTrigger()) === 0, told);
    const before = decoy.sent;
    {
      using _one = stopped.standStill();
      using _two = slowFeed.standStill();
      await using _three = await system.standStill("forensics");
      await decoy.isAttacked(400);
      await decoy.isStored();
      await until(() => decided() === decoy.sent && dashboard.length === decoy.sent, told);
      assert.equal(asked(), before / 2, "nobody else does the trigger's work");
      assert.equal(await waitsForTrigger(), 400, "it waits for the trigger");
      const ai = (await queue.groups(streams.attacks)).find(({ group }) => group === aiGroup);
      assert.deepEqual(ai?.waiting, [0, 0, 0, 0]);
    }
    await until(() => asked() === decoy.sent / 2, told);
    await until(() => slowFeed.messages.length + slowFeed.missed === feed.messages.length, told);
    assert.equal(new Set(slowFeed.messages.map(({ message_id }) => message_id)).size, slowFeed.messages.length, "it showed nothing twice");
    await assertSettled(queue, decoy.sent);
    assertSawAll(feed, decoy.sent);
    const few = await system.run("feed", "--stream", "forensics", "--since", "1h", "--limit", "3");
    assert.equal(few.exitCode, 0);
    assert.match(few.stdout, /^(\S+Z {2}forensics {5}(high {4}|critical) {2}(high|critical) attack ocsf\.1007\.1, .*\n){3}$/);
    assert.equal((await system.run("feed", "--stream", "rumours")).exitCode, 2);
    assert.deepEqual([await feed.stop(), await slowFeed.stop(), await stopped.stop(), await running.stop()], [0, 0, 0, 0]);
  } finally {
    await queue.close();
    await decoy.close();
    await log.close();
  }
});

test("BUS-10 turned off, the forensics trigger does not run; turned on again, it asks for all that it has missed", async () => {
  await using system = await RunningSystem.start(["--set", "forensics.enabled=false"]);
  const decoy = await Decoy.open(system);
  await decoy.isAttacked(40);
  await decoy.isStored();
  await decoy.close();
  assert.ok((await system.json<Status>("status")).roles.every(({ role }) => role !== "forensics"));
  assert.equal(await system.stop(), 0);
  await system.startAgain(["--set", "forensics.enabled=true"]);
  const log = await openStreams(system);
  const queue = queueOn(log);
  await until(
    async () => (await held(queue, streams.forensics)).length === 20,
    () => "requests are missing",
  );
  assert.equal(new Set((await held(queue, streams.forensics)).map(aboutOf)).size, 20);
  await log.close();
});
