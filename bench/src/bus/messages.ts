/**
 * Why: message streams promise order, retries and dead letters; how many messages a second that leaves is what consumers ask.
 * Enforces: each message is published, handled and acknowledged through the public face; all arrive, or the bench says so.
 * Forbids: reaching past MessageQueueManager.
 */
import { createTelemetry, sleep, systemClock, systemRandom } from "ransomeye-kernel";
import { type AttackPayload, type MessageLog, MessageQueueManager, StreamName } from "ransomeye-pipeline";

export const publishesInFlight = 256;
/** Handlers side by side: one, which is what both offer unless asked, and many. */
export const handlerCounts = [1, 32] as const;
/** The most that one member holds. */
export const prefetch = 64;
const waitMsMax = 60_000;

export const payload: AttackPayload = {
  attack_type: "smb_login",
  source: { kind: "honeypot", name: "decoy-fileserver" },
  host: "decoy-01",
  src_ip: "203.0.113.7",
  event_ids: ["7d8f1b7e-6a0e-4a53-8c1c-5f2f8f0f9a11:3:12345"],
};

export function queueOn(log: MessageLog): MessageQueueManager {
  const telemetry = createTelemetry({ role: "bench", level: "silent" });
  return new MessageQueueManager({ log, producerId: "bench", clock: systemClock, random: systemRandom, telemetry });
}

/** Publishes so many; gives messages a second. */
export async function publishAll(queue: MessageQueueManager, messages: number): Promise<number> {
  const fromMs = systemClock.monotonicMs();
  let asked = 0;
  await Promise.all(
    Array.from({ length: publishesInFlight }, async () => {
      while (asked < messages) {
        asked += 1;
        const { kind } = await queue.publish(StreamName.attacks, payload);
        if (kind !== "published") throw new Error(`a message was not taken: ${kind}`);
      }
    }),
  );
  return (messages / (systemClock.monotonicMs() - fromMs)) * 1000;
}

/** Handles and acknowledges so many that wait; gives messages a second. */
export async function consumeAll(queue: MessageQueueManager, messages: number, concurrency: number): Promise<number> {
  const fromMs = systemClock.monotonicMs();
  const all = arrivals(messages);
  const consumer = queue.startConsumer({
    stream: StreamName.attacks,
    group: "group:bench",
    concurrency,
    prefetch,
    handle: async () => all.one(),
  });
  await all.come;
  await queue.stopConsumer(consumer);
  return (messages / (systemClock.monotonicMs() - fromMs)) * 1000;
}

/** From publishing to the handler's first line, one message at a time, in milliseconds. */
export async function publishToHandler(queue: MessageQueueManager, messages: number): Promise<number[]> {
  const took: number[] = [];
  let arrived = (): void => undefined;
  let publishedMs = 0;
  const consumer = queue.startConsumer({
    stream: StreamName.telemetry,
    group: "group:bench",
    prefetch,
    handle: async () => {
      took.push(systemClock.monotonicMs() - publishedMs);
      arrived();
    },
  });
  for (let n = 0; n < messages; n += 1) {
    const come = new Promise<void>((resolve) => (arrived = resolve));
    publishedMs = systemClock.monotonicMs();
    await queue.publish(StreamName.telemetry, { producer: `bench-${n}`, state: "appeared", since: "2026-01-01T00:00:00.000Z" });
    await come;
  }
  await queue.stopConsumer(consumer);
  return took;
}

/** Resolves when so many have come. @throws Error where they do not */
export function arrivals(expected: number): { one(): void; readonly come: Promise<void> } {
  let seen = 0;
  const enough = new AbortController();
  const late = sleep(systemClock, waitMsMax, enough.signal).then(
    () => {
      throw new Error(`${expected - seen} of ${expected} messages did not arrive within ${waitMsMax / 1000} s`);
    },
    () => undefined,
  );
  return {
    one: () => {
      seen += 1;
      if (seen === expected) enough.abort(new Error("all have come"));
    },
    come: late,
  };
}
