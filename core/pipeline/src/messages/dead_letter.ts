/**
 * Why it exists: a message that a group gave up is kept whole, with what was tried (BUS-7), and can be sent again.
 * Enforces: one dead letter for each message and group, however often somebody tries to bury it; a message that is sent again names its original
 * and goes to the group that had failed at it.
 * Forbids: I/O.
 */
import { cutText } from "ransomeye-kernel";
import { type Message, StreamName } from "./message.ts";
import type { DeadLetterPayload } from "./payloads.ts";
import type { Delivery } from "./port.ts";
import { uuidV5 } from "./uuid_v5.ts";

/** Reason of a dead letter after the last retry (BUS-7). */
export const retriesExceeded = "Max retries exceeded";

const reasonCharsMax = 1024;
const failureCharsMax = 4096;

/** The dead letter of a delivery that nobody will try again. `nowUs` is when it was given up. */
export function deadLetterOf(
  delivery: Delivery,
  reason: string,
  who: { readonly member: string; readonly nowUs: number },
): Message<DeadLetterPayload> {
  const { message, stream, group, failures } = delivery;
  const told = failures.map(({ atUs, member, reason: why }) => ({ at: isoTime(atUs), member, reason: cutText(why, failureCharsMax) }));
  return {
    message_id: uuidV5("dead letter", message.message_id, group),
    stream: StreamName.deadLetter,
    payload: {
      original_stream: stream,
      original_message: message,
      group,
      failed_at: isoTime(who.nowUs),
      reason: cutText(reason, reasonCharsMax),
      failures: told,
    },
    priority: message.priority,
    timestamp: isoTime(who.nowUs),
    producer_id: who.member,
    retry_count: 0,
  };
}

/** The message of a dead letter, to be published again. Published twice for one dead letter, it is stored once. */
export function redrivenMessage({ message_id: deadLetterId, payload }: Message<DeadLetterPayload>, nowUs: number): Message {
  const { original_message: original, group } = payload;
  return {
    ...original,
    message_id: uuidV5("redrive", deadLetterId),
    timestamp: isoTime(nowUs),
    retry_count: 0,
    redriven: { message_id: original.message_id, group },
  };
}

export function isoTime(us: number): string {
  return new Date(us / 1000).toISOString();
}
