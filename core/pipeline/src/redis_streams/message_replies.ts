/**
 * Why it exists: what the message scripts answer, as the port's types.
 * Enforces: the layouts that core/pipeline/redis/messages.lua documents.
 * Forbids: I/O.
 */
import type { Message, MessagePriority, StreamName } from "../messages/message.ts";
import type { Delivery, Failure, MissingEntries, StoredMessage, Taken } from "../messages/port.ts";
import { offsetOf } from "./entry.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";

export function decodeTaken(reply: Reply | undefined, stream: StreamName, group: string): Taken {
  const [due, missing, deliveries] = listOf(reply);
  const nextDue = textOf(due);
  return {
    nextDueMs: nextDue === "" ? null : Math.ceil(Number(nextDue) / 1000),
    missing: listOf(missing).map((one): MissingEntries => {
      const [priority, fromOff, toOff] = listOf(one);
      return { priority: numberOf(priority) as MessagePriority, fromOff: numberOf(fromOff), toOff: numberOf(toOff) };
    }),
    deliveries: listOf(deliveries).map((one): Delivery => {
      const [priority, off, token, count, burial, failed, json] = listOf(one);
      const failures = decodeFailures(bytesOf(failed));
      const message = JSON.parse(textOf(json)) as Message;
      return {
        stream,
        group,
        priority: numberOf(priority) as MessagePriority,
        off: numberOf(off),
        token: numberOf(token),
        message: { ...message, retry_count: failures.length },
        deliveries: numberOf(count),
        failures,
        exhausted: textOf(burial) === "1",
      };
    }),
  };
}

/** An entry of a message log as XRANGE gives it. */
export function decodeStored(reply: Reply): StoredMessage {
  const [, t, , , , json] = listOf(listOf(reply)[1]);
  const off = offsetOf(reply);
  if (off === undefined) throw unexpected();
  return { off, publishedUs: numberOf(t), message: JSON.parse(textOf(json)) as Message };
}

/** "at_us member_bytes reason_bytes " and then both, again and again. */
function decodeFailures(bytes: Buffer): Failure[] {
  const failures: Failure[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = /^(\d+) (\d+) (\d+) /.exec(bytes.toString("latin1", at, at + 64));
    if (found === null) throw unexpected();
    const memberAt = at + found[0].length;
    const reasonAt = memberAt + Number(found[2]);
    at = reasonAt + Number(found[3]);
    failures.push({
      atUs: Number(found[1]),
      member: bytes.toString("utf8", memberAt, reasonAt),
      reason: bytes.toString("utf8", reasonAt, at),
    });
  }
  return failures;
}
