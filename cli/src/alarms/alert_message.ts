/**
 * Why it exists: an alarm that is told becomes one message of stream:alerts, which stays the same however often it is handed on.
 * Enforces: the id is made from the supervisor's life and the alarm's number in it; the payload is what the stream's schema wants, within its bounds.
 * Forbids: I/O, and ids made of times: two alarms may be told within one tick of the clock.
 */
import type { AlarmSeverity } from "ransomeye-kernel";
import { type AlertPayload, type Message, MessagePriority, StreamName, uuidV5 } from "ransomeye-pipeline";
import { type CountedAlarm, others } from "./alarm_limiter.ts";

const priorityOf: Readonly<Record<AlarmSeverity, MessagePriority>> = {
  medium: MessagePriority.normal,
  high: MessagePriority.high,
  critical: MessagePriority.critical,
};

/** Where an alarm comes from. */
export interface AlarmSource {
  readonly host: string;
  /** A process of the system: `gateway-1`, `supervisor`. */
  readonly process: string;
  /** When its supervisor began, in microseconds: one supervisor at a time works in a data directory. */
  readonly lifeUs: number;
  /** Of the alarms that were told in this life. */
  readonly seq: number;
}

export function alertMessage({ host, process, lifeUs, seq }: AlarmSource, alarm: CountedAlarm): Message<AlertPayload> {
  const { event, title, severity, about, fields, count, firstUs, lastUs } = alarm;
  const { producer } = about;
  const { part, message_id: message } = fields;
  const names = about["part"] !== undefined && about["part"] !== others;
  return {
    message_id: uuidV5(StreamName.alerts, host, lifeUs, seq),
    stream: StreamName.alerts,
    payload: {
      title,
      severity,
      code: event,
      ...(typeof message === "string" && message !== "" ? { about: [message] } : {}),
      host,
      process,
      ...(producer === undefined || producer === "" || producer === others ? {} : { producer: producer.slice(0, 128) }),
      ...(names && typeof part === "number" && Number.isSafeInteger(part) && part >= 0 ? { part } : {}),
      first_at: isoTime(firstUs),
      last_at: isoTime(lastUs),
      count,
      details: fields,
    },
    priority: priorityOf[severity],
    timestamp: isoTime(lastUs),
    producer_id: process,
    retry_count: 0,
  };
}

function isoTime(us: number): string {
  return new Date(us / 1000).toISOString();
}
