// Why: evidence fades. Whoever collects it has to hear of a grave attack at once, and once (BUS-11).
// Enforces: the rule is the attack's priority and nothing else; a request's id is made from the attack's, so that redelivery and kill -9 never double one; an
//   attack is acknowledged after its request is durable.
// Forbids: waiting for whoever collects, and judging an attack by texts, which attackers write.

import type { Telemetry } from "ransomeye-kernel";
import {
  type ForensicsPayload,
  type MessageOf,
  MessagePriority,
  type MessageQueueManager,
  type RunningConsumer,
  StreamName,
  uuidV5,
} from "ransomeye-pipeline";
import { forensicsRequested } from "./events.ts";

export const forensicsGroup = "group:forensics_trigger";

/** Evidence is asked for from so long before an attack was seen … */
const beforeMs = 15 * 60_000;
/** … until so long after it. */
const afterMs = 5 * 60_000;
const prefetch = 16;

type Attack = MessageOf<typeof StreamName.attacks>;

export interface ForensicsTriggerOptions {
  readonly queue: MessageQueueManager;
  readonly telemetry: Telemetry;
  /** Attacks of this priority and above are worth a request. */
  readonly priorityMin: MessagePriority;
  /** Aborts when the process is to end: whatever waits for room then goes back to the group. */
  readonly stopping: AbortSignal;
}

/** Publishes requests until the queue is closed. */
export function startForensicsTrigger({ queue, telemetry, priorityMin, stopping }: ForensicsTriggerOptions): RunningConsumer {
  return queue.startConsumer({
    stream: StreamName.attacks,
    group: forensicsGroup,
    prefetch,
    handle: async (attack, received) => {
      const request = forensicsRequest(attack, priorityMin);
      if (request === undefined) return;
      const about = attackIdOf(attack);
      const signal = AbortSignal.any([received.signal, stopping]);
      const options = { messageId: forensicsRequestId(about), priority: attack.priority, signal };
      try {
        const { kind } = await queue.publishWhenRoom(StreamName.forensics, request, options);
        telemetry.emit(forensicsRequested, { attack: about, outcome: kind });
      } catch (error) {
        // Nobody's fault, so no failed delivery: whoever starts next publishes it.
        if (!stopping.aborted) throw error;
        await received.release();
      }
    },
  });
}

/** The id of the request that an attack causes. */
export function forensicsRequestId(attackId: string): string {
  return uuidV5(StreamName.forensics, attackId);
}

/** What an attack asks for; undefined if it is not worth it. */
export function forensicsRequest(attack: Attack, priorityMin: MessagePriority): ForensicsPayload | undefined {
  const { payload, priority, timestamp } = attack;
  if (priority < priorityMin) return undefined;
  const seenMs = Date.parse(timestamp);
  const window = Number.isNaN(seenMs) ? {} : { since: isoOf(seenMs - beforeMs), until: isoOf(seenMs + afterMs) };
  return {
    reason: `${nameOf(priority)} attack ${payload.attack_type}, seen by ${payload.source.kind} ${payload.source.name}`,
    about: attackIdOf(attack),
    ...(payload.host === undefined ? {} : { host: payload.host }),
    ...(payload.event_ids === undefined ? {} : { event_ids: payload.event_ids }),
    ...window,
  };
}

/** One that an operator has sent again out of the dead letters is still the same attack. */
function attackIdOf({ message_id, redriven }: Attack): string {
  return redriven?.message_id ?? message_id;
}

function nameOf(priority: MessagePriority): string {
  return Object.entries(MessagePriority).find(([, value]) => value === priority)?.[0] ?? String(priority);
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
