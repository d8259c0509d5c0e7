/**
 * Why it exists: what the tests of the message port share: a subject, messages that nobody else has, and ways to take them.
 * Forbids: assertions about one adapter.
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { type Message, type MessagePriority, StreamName } from "../src/messages/message.ts";
import type { Delivery, MessageLog, Taken } from "../src/messages/port.ts";
import type { MessageLogOptions } from "../src/messages/settings.ts";
import { producerId } from "../src/testing/frames.ts";

export interface MessageSubject {
  readonly log: MessageLog;
  /** A second, independent way in. */
  readonly other: MessageLog;
  /** Lets this much time pass by the servers' clock. */
  readonly pass: (ms: number) => Promise<void>;
  /** Removes the oldest entries of a log as somebody with a client of his own would. */
  readonly removeByHand: (stream: StreamName, priority: MessagePriority, upToOff: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export type OpenMessages = (options?: Partial<MessageLogOptions>) => Promise<MessageSubject>;

export const attacks: StreamName = StreamName.attacks;
export const leaseMs = 60_000;
/** A lease that a test lets run out. */
export const shortMs = 60;
let made = 0;

/** A message nobody else has; `name` is what a test knows it by. */
export function attack(name: string, priority: MessagePriority = 2): Message {
  made += 1;
  return {
    message_id: producerId(700_000 + made),
    stream: attacks,
    payload: { attack_type: name, source: { kind: "honeypot", name: "decoy" } },
    priority,
    timestamp: "2026-01-01T00:00:00.000Z",
    producer_id: "test",
    retry_count: 0,
  };
}

export function nameOf({ message }: { readonly message: Message }): string {
  return (message.payload as { attack_type: string }).attack_type;
}

/** Of its JSON, which is what bounds count. */
export function bytesOf(message: Message): number {
  return Buffer.byteLength(JSON.stringify(message));
}

export function shared(open: OpenMessages, options: Parameters<OpenMessages>[0] = {}): () => MessageSubject {
  let subject: MessageSubject | undefined;
  before(async () => {
    subject = await open(options);
  });
  after(() => subject?.close());
  return () => subject as MessageSubject;
}

export const take = (log: MessageLog, group: string, max: number, member = "one", ms: number = leaseMs): Promise<Taken> =>
  log.take(attacks, group, member, { max, leaseMs: ms });
export const only = async (log: MessageLog, group: string, member = "one", ms: number = leaseMs): Promise<Delivery> => {
  const { deliveries } = await take(log, group, 1, member, ms);
  assert.equal(deliveries.length, 1);
  return deliveries[0] as Delivery;
};

/** Takes until something comes: a lease or a back-off is about to end by the servers' clock. */
export async function soon({ log, pass }: MessageSubject, group: string, member: string): Promise<Delivery> {
  for (let tries = 0; tries < 500; tries++) {
    const [delivery] = (await take(log, group, 1, member)).deliveries;
    if (delivery !== undefined) return delivery;
    await pass(10);
  }
  throw new Error("nothing became due");
}
