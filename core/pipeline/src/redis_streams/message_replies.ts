/**
 * Why it exists: what the message scripts answer, as the port's types.
 * Enforces: the layouts that core/pipeline/redis/messages.lua documents.
 * Forbids: I/O.
 */
import type { Message, MessagePriority, StreamName } from "../messages/message.ts";
import { type ArchivedStream, placeKey } from "../messages/archive.ts";
import type { ByPriority } from "../messages/delivery_machine.ts";
import type { Delivery, Failure, GroupStatus, MissingEntries, StoredMessage, Taken } from "../messages/port.ts";
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

/** A delivery before its message is known. */
export interface HandedOut {
  readonly priority: MessagePriority;
  readonly off: number;
  readonly token: number;
  /** Empty where the archive has it. */
  readonly json: string;
  /** What the reply says of it beyond that, where it has been out before. */
  readonly again: readonly Reply[] | undefined;
}

/** Everything that a take handed out, in its order. */
export function handedOutOf(reply: Reply | undefined): HandedOut[] {
  const [, , deliveries, , fresh] = listOf(reply);
  return listOf(deliveries).flatMap((one): HandedOut | HandedOut[] => {
    const [of, from, found, token, ...again] = listOf(one);
    const priority = numberOf(of) as MessagePriority;
    const off = numberOf(from);
    if (token !== undefined) return { priority, off, token: numberOf(token), json: textOf(found), again };
    const freshToken = numberOf(fresh);
    return listOf(found).map((json, index) => ({ priority, off: off + index, token: freshToken, json: textOf(json), again: undefined }));
  });
}

/** @param archived JSON from the archive, by `placeKey`; what is neither in the reply nor there is left out */
export function decodeTaken(
  reply: Reply | undefined,
  handed: readonly HandedOut[],
  of: { readonly stream: StreamName; readonly group: string },
  archived: ReadonlyMap<string, string>,
): Taken {
  const [due, missing] = listOf(reply);
  const nextDue = textOf(due);
  return {
    nextDueMs: nextDue === "" ? null : Math.ceil(Number(nextDue) / 1000),
    missing: listOf(missing).map((one): MissingEntries => {
      const [priority, fromOff, toOff] = listOf(one);
      return { priority: numberOf(priority) as MessagePriority, fromOff: numberOf(fromOff), toOff: numberOf(toOff) };
    }),
    deliveries: handed.flatMap((one): Delivery | [] => {
      const json = one.json === "" ? archived.get(placeKey(one)) : one.json;
      return json === undefined ? [] : deliveryOf(one, json, of);
    }),
  };
}

function deliveryOf(
  { priority, off, token, again }: HandedOut,
  json: string,
  { stream, group }: { readonly stream: StreamName; readonly group: string },
): Delivery {
  const message = JSON.parse(json) as Message;
  const place = { stream, group, priority, off, token };
  const [count, burial, failed] = again ?? [];
  const failures = failed === undefined ? [] : decodeFailures(bytesOf(failed));
  return {
    ...place,
    message: message.retry_count === failures.length ? message : { ...message, retry_count: failures.length },
    deliveries: count === undefined ? 1 : numberOf(count),
    failures,
    exhausted: burial !== undefined && textOf(burial) === "1",
  };
}

/** What a group's hash says of it. */
export interface GroupFields extends Pick<GroupStatus, "missing" | "seenUs" | "quarantined"> {
  readonly places: ByPriority<number>;
  /** Entries that are out in batches. */
  readonly inBatches: number;
}

export function decodeGroup(reply: Reply | undefined): GroupFields {
  const [fields, words] = [new Map<string, string>(), listOf(reply).map(textOf)];
  for (let at = 0; at < words.length; at += 2) fields.set(words[at] as string, words[at + 1] as string);
  const numberIn = (name: string): number => Number(fields.get(name) ?? "0");
  const [places, batches] = [
    ["place1", "place2", "place3", "place4"].map(numberIn),
    [...fields].filter(([name]) => name.startsWith("batch:")),
  ];
  return {
    places: places as unknown as ByPriority<number>,
    missing: numberIn("missing"),
    seenUs: numberIn("seen"),
    quarantined: numberIn("quarantined") === 1,
    inBatches: batches.reduce((sum, [, batch]) => sum + openIn(batch), 0),
  };
}

/** "due_us segments open member", where each entry that is out is a 1 of open. */
function openIn(batch: string): number {
  const [, , open = ""] = batch.split(" ", 3);
  return open.replaceAll("0", "").length;
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
