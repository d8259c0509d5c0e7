/**
 * Why: a dead letter is a question to a person, and the answer must do what it says (BUS-7).
 * Enforces: EB-12 through the real system and its command line: what a group gave up is shown whole, sent again once to that group alone, or let go, and what
 * was done is noted with author and reason.
 * Forbids: looking into tables.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type AttackPayload, type MessageLog, MessageQueueManager, StreamName } from "ransomeye-pipeline";
import { RunningSystem } from "../src/harness/running_system.ts";
import { openStreams } from "../src/harness/system_streams.ts";

const attack = (attack_type: string): AttackPayload => ({ attack_type, source: { kind: "detection", name: "test" } });
const ai = "group:ai_processor";

interface Listed {
  readonly dead_letters: readonly {
    readonly id: string;
    readonly state: string;
    readonly group: string;
    readonly reason: string;
    readonly message_id: string;
  }[];
}

function queueOn(log: MessageLog): MessageQueueManager {
  return new MessageQueueManager({
    ...{ log, producerId: "test", clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() },
    retryDelaysMs: [1, 1, 1],
  });
}

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it never came");
}

/** A group that cannot handle some attacks; what it could handle is noted. */
function processor(
  queue: MessageQueueManager,
  group: string,
  broken: ReadonlySet<string>,
): { handled: string[]; stop: () => Promise<void> } {
  const handled: string[] = [];
  const consumer = queue.startConsumer({
    stream: StreamName.attacks,
    group,
    handle: async ({ payload }) => {
      if (broken.has(payload.attack_type)) throw new Error(`the model does not know ${payload.attack_type}`);
      handled.push(payload.attack_type);
    },
  });
  return { handled, stop: () => queue.stopConsumer(consumer) };
}

test("EB-12 BUS-7 dead letters are listed, shown, sent again to the group that failed, and let go, with an audit trail", async () => {
  await using system = await RunningSystem.start();
  const log = await openStreams(system);
  const queue = queueOn(log);
  try {
    const failing = processor(queue, ai, new Set(["new kind", "nonsense"]));
    const other = processor(queue, "group:dashboard", new Set());
    const published = await queue.publish(StreamName.attacks, attack("new kind"));
    for (const name of ["known", "nonsense"]) await queue.publish(StreamName.attacks, attack(name));
    const open = async (): Promise<Listed["dead_letters"]> => (await system.json<Listed>("dlq", "list")).dead_letters;
    await until(async () => (await open()).length === 2);
    await failing.stop();
    assert.deepEqual(failing.handled, ["known"]);
    const letters = await open();
    assert.ok(letters.every(({ group, reason, state }) => group === ai && reason === "Max retries exceeded" && state === "open"));
    const chosen = letters.find(({ message_id }) => message_id === published.messageId);
    assert.ok(chosen !== undefined);
    assert.equal((await system.run("dlq", "list")).exitCode, 1, "something waits for somebody");

    const whole = await system.json<{ dead_letter: { original_message: { payload: AttackPayload }; failures: { reason: string }[] } }>(
      "dlq",
      "show",
      chosen.id,
    );
    assert.deepEqual(whole.dead_letter.original_message.payload, attack("new kind"));
    assert.deepEqual(
      whole.dead_letter.failures.map(({ reason }) => reason),
      Array(4).fill("the model does not know new kind"),
    );

    const filter = ["--text", "new kind"];
    assert.match((await system.run("dlq", "redrive", ...filter, "--dry-run")).stdout, /1 would be sent again/);
    assert.equal((await open()).length, 2, "nothing was done");
    assert.equal((await system.run("dlq", "redrive", ...filter)).exitCode, 2, "a reason is asked for");
    assert.equal((await system.run("dlq", "redrive", "--reason", "all of them")).exitCode, 2, "and what is meant");
    assert.equal((await system.run("dlq", "redrive", ...filter, "--reason", "model mended")).exitCode, 0);
    const mended = processor(queue, ai, new Set());
    await until(() => mended.handled.includes("new kind"));
    await mended.stop();
    await other.stop();
    assert.deepEqual(mended.handled, ["new kind"]);
    assert.deepEqual(other.handled.toSorted(), ["known", "new kind", "nonsense"], "other groups pass over what is sent again");

    const [left] = await open();
    assert.equal((await system.run("dlq", "discard", left?.id ?? "", "--reason", "a test of ours")).exitCode, 0);
    assert.equal((await system.run("dlq", "list")).exitCode, 0);
    assert.equal((await system.run("dlq", "redrive", chosen.id, "--reason", "again")).exitCode, 7, "what was sent again is not open");
    const trail = async (id: string): Promise<unknown> =>
      (await system.json<{ trail: { action: string; reason: string }[] }>("dlq", "show", id)).trail.map(({ action, reason }) => [
        action,
        reason,
      ]);
    assert.deepEqual(
      [await trail(chosen.id), await trail(left?.id ?? "")],
      [[["redriven", "model mended"]], [["discarded", "a test of ours"]]],
    );
  } finally {
    await queue.close();
    await log.close();
  }
});
