/**
 * Why: a dashboard that counts is a consumer like any other, of which one can say afterwards what it was given.
 * Enforces: each message has a number; how often each was seen, and in which order, is noted when the handler has it.
 * Forbids: judging.
 */
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type AttackPayload, type MessageLog, MessageQueueManager, StreamName } from "ransomeye-pipeline";

export const dashboardGroup = "group:dashboard";

export function queueOn(log: MessageLog, producerId: string): MessageQueueManager {
  return new MessageQueueManager({ log, producerId, clock: systemClock, random: systemRandom, telemetry: recordingTelemetry() });
}

/** An attack that says its number. */
export function numberedAttack(number: number): AttackPayload {
  return { attack_type: `burst ${number}`, source: { kind: "honeypot", name: "stopped_dashboard" } };
}

export class Dashboard {
  /** How often each number was seen. */
  readonly seen: Uint8Array;
  seenAll = 0;
  /** Numbers in the order in which they came, by priority 1 to 4. */
  readonly came: readonly number[][] = [[], [], [], []];
  readonly #queue: MessageQueueManager;

  constructor(log: MessageLog, numbers: number) {
    this.seen = new Uint8Array(numbers);
    this.#queue = queueOn(log, "dashboard");
  }

  /** Begins to consume, one message at a time, as a page that shows them in their order does; `stop` ends it. */
  start(): () => Promise<void> {
    const consumer = this.#queue.startConsumer({
      stream: StreamName.attacks,
      group: dashboardGroup,
      prefetch: 64,
      handle: async ({ payload, priority }) => {
        const number = Number(payload.attack_type.slice("burst ".length));
        this.seen[number] = (this.seen[number] ?? 0) + 1;
        this.seenAll += 1;
        this.came[priority - 1]?.push(number);
      },
    });
    return () => this.#queue.stopConsumer(consumer);
  }
}
