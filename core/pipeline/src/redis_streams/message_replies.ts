/**
 * Why it exists: what the message scripts answer, as the port's types.
 * Enforces: the layouts that core/pipeline/redis/messages.lua documents.
 * Forbids: I/O.
 */
import type { Message, MessagePriority, StreamName } from "../messages/message.ts";
import { type ArchivedStream, placeKey } from "../messages/archive.ts";
import type { Delivery, Failure, MissingEntries, StoredMessage, Taken } from "../messages/port.ts";
import { offsetOf } from "./entry.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";

/** Nothing was handed out: the group goes on in the archive, and the caller has said that it has none. */
export function isArchivedOnly(reply: Reply | undefined): boolean {
  return textOf(listOf(reply)[0]) === "archived";
}

/** The log as the archive knows it. */
export function logOf(reply: Reply | undefined, stream: StreamName): ArchivedStream {
  return { log: textOf(listOf(reply)[3]), stream };
}

/** Everything that a take handed out. */
export function handedOutOf(reply: Reply | undefined): HandedOut[] {
  return listOf(listOf(reply)[2]).map(handedOut);
}

/** A delivery before its message is known. */
export interface HandedOut {
  readonly priority: MessagePriority;
  readonly off: number;
  readonly token: number;
  /** The archive has it. */
  readonly isCold: boolean;
}

function handedOut(reply: Reply): HandedOut {
  const [priority, off, token, , , , json] = listOf(reply);
  return {
    priority: numberOf(priority) as MessagePriority,
    off: numberOf(off),
    token: numberOf(token),
    isCold: bytesOf(json).length === 0,
  };
}

/** @param archived JSON from the archive, by `placeKey`; what is neither in the reply nor there is left out */
export function decodeTaken(reply: Reply | undefined, stream: StreamName, group: string, archived: ReadonlyMap<string, string>): Taken {
  const [due, missing, deliveries] = listOf(reply);
  const nextDue = textOf(due);
  return {
    nextDueMs: nextDue === "" ? null : Math.ceil(Number(nextDue) / 1000),
    missing: listOf(missing).map((one): MissingEntries => {
      const [priority, fromOff, toOff] = listOf(one);
      return { priority: numberOf(priority) as MessagePriority, fromOff: numberOf(fromOff), toOff: numberOf(toOff) };
    }),
    deliveries: listOf(deliveries).flatMap((one): Delivery[] => {
      const [, , , count, burial, failed, hot] = listOf(one);
      const { priority, off, token, isCold } = handedOut(one);
      const json = isCold ? archived.get(placeKey({ priority, off })) : textOf(hot);
      if (json === undefined) return [];
      const failures = decodeFailures(bytesOf(failed));
      const message = { ...(JSON.parse(json) as Message), retry_count: failures.length };
      return [{ stream, group, priority, off, token, message, deliveries: numberOf(count), failures, exhausted: textOf(burial) === "1" }];
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
