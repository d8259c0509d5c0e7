/**
 * Why it exists: what a message is, on every stream and every adapter (BUS-2, BUS-3).
 * Enforces: closed lists of streams and priorities; one spelling of a message, in memory and as JSON.
 * Forbids: knowing what a payload says; that is payloads.ts.
 */

/** The message streams. Signed telemetry has a log of its own (bus.ts) and is known here by its name alone. */
export const StreamName = {
  attacks: "stream:attacks",
  aiDecisions: "stream:ai_decisions",
  alerts: "stream:alerts",
  forensics: "stream:forensics",
  deadLetter: "stream:dead_letter",
  telemetry: "stream:telemetry",
} as const;
export type StreamName = (typeof StreamName)[keyof typeof StreamName];

/** 4 is the most urgent. */
export const MessagePriority = { low: 1, normal: 2, high: 3, critical: 4 } as const;
export type MessagePriority = (typeof MessagePriority)[keyof typeof MessagePriority];

/** From the most urgent down. */
export const priorities: readonly MessagePriority[] = [4, 3, 2, 1];

/** As it travels; `payload` is JSON. */
export interface Message<Payload = unknown> {
  /** Lower-case uuid. Published twice, it is stored once. */
  readonly message_id: string;
  readonly stream: StreamName;
  readonly payload: Payload;
  readonly priority: MessagePriority;
  /** ISO 8601, UTC, by the publisher's clock. */
  readonly timestamp: string;
  /** Who published it: a producer's uuid, or the name of a part of the system. */
  readonly producer_id: string;
  /** Failed deliveries to the group that sees it; 0 where it was published. */
  readonly retry_count: number;
  /** Of a message that was taken out of the dead letters: the message that it repeats, and the one group that failed at it. */
  readonly redriven?: { readonly message_id: string; readonly group: string };
}

/** Bytes of a message as JSON, at most. */
export const messageBytesMax: number = 256 * 1024;

const texts = new WeakMap<Message, string>();

/** A message as JSON; made once, for a message never changes. */
export function jsonOf(message: Message): string {
  const known = texts.get(message);
  if (known !== undefined) return known;
  const text = JSON.stringify(message);
  texts.set(message, text);
  return text;
}

/** Of its JSON in UTF-8, which is what bounds count. */
export function jsonBytes(message: Message): number {
  return Buffer.byteLength(jsonOf(message));
}
