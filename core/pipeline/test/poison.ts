/**
 * Why it exists: the sentence "a poison message never blocks or crashes the rest" (BUS-7) with its number, on whichever adapter.
 * Enforces: one among a hundred thousand cannot be handled: all others are, once; it lies in the dead letters with its four attempts; sent again after the
 * fix it is handled like any other, by the group that had failed at it alone.
 * Forbids: a smaller number where the adapter is slow.
 */
import assert from "node:assert/strict";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { redrivenMessage } from "../src/messages/dead_letter.ts";
import { StreamName } from "../src/messages/message.ts";
import type { MessageLog } from "../src/messages/port.ts";
import { MessageQueueManager } from "../src/message_queue.ts";

const messages = 100_000;
const poisonAt = 70_000;
const publishers = 256;
const group = "group:ai_processor";

/** The story, on streams that hold nothing yet. */
export async function poisonAmongMany(log: MessageLog): Promise<void> {
  const telemetry = recordingTelemetry();
  const queue = new MessageQueueManager({
    ...{ log, producerId: "poison", clock: systemClock, random: systemRandom, telemetry, retryDelaysMs: [1, 1, 1] },
  });
  let published = 0;
  const publisher = async (): Promise<void> => {
    while (published < messages) {
      const index = published;
      published += 1;
      const payload = {
        attack_type: index === poisonAt ? "poison" : "fine",
        source: { kind: "honeypot", name: `decoy ${index}` },
      } as const;
      assert.equal((await queue.publish(StreamName.attacks, payload, { priority: index % 2 === 0 ? 2 : 3 })).kind, "published");
    }
  };
  await Promise.all(Array.from({ length: publishers }, publisher));

  const handled = new Map<string, number>();
  let isFixed = false;
  const progress = new EventTarget();
  const consumer = queue.startConsumer({
    ...{ stream: StreamName.attacks, group, concurrency: 32, prefetch: 64 },
    handle: async ({ payload: { attack_type, source } }) => {
      if (attack_type === "poison" && !isFixed) throw new Error("cannot be handled");
      handled.set(source.name, (handled.get(source.name) ?? 0) + 1);
      progress.dispatchEvent(new Event("handled"));
    },
  });
  await come(progress, () => handled.size === messages - 1);
  const letter = await buried(log);
  const { original_stream, reason, failures } = letter.payload;
  assert.deepEqual([original_stream, reason, failures.length], ["stream:attacks", "Max retries exceeded", 4]);
  for (const failure of failures) assert.equal(failure.reason, "cannot be handled");
  assert.equal(telemetry.events.filter(({ name }) => name === "message_buried").length, 1);

  isFixed = true;
  assert.deepEqual((await log.publish([redrivenMessage(letter, systemClock.nowUs())]))[0]?.kind, "published");
  await come(progress, () => handled.size === messages);
  await queue.stopConsumer(consumer);
  assert.deepEqual([...new Set(handled.values())], [1]);
  const [status] = await queue.groups(StreamName.attacks);
  assert.deepEqual([status?.pending, status?.waiting], [0, [0, 0, 0, 0]]);
}

async function come(progress: EventTarget, isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => progress.addEventListener("handled", resolve, { once: true }));
}

async function buried(log: MessageLog): Promise<Parameters<typeof redrivenMessage>[0]> {
  for (;;) {
    for (const priority of [2, 3] as const) {
      const [stored] = await log.read(StreamName.deadLetter, priority, 0, 1);
      if (stored !== undefined) return stored.message as Parameters<typeof redrivenMessage>[0];
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
