/**
 * Why it exists: what may be said on each stream is one schema, checked when a message is published and again when it is handed out.
 * Enforces: bounds on every text and list; unknown fields are kept, so that a newer publisher does not break an older consumer.
 * Forbids: payloads that JSON cannot hold.
 */
import { z } from "zod";
import type { Message, StreamName } from "./message.ts";

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const time = z.iso.datetime({ offset: false });
const score = z.number().min(0).max(1);

/** Something hostile was seen: a honeypot was touched, a detection fired. */
export interface AttackPayload {
  readonly attack_type: string;
  readonly source: { readonly kind: "honeypot" | "detection" | "indicator"; readonly name: string };
  /** Where it was seen, and by what events: `producer:epoch:seq`. */
  readonly host?: string | undefined;
  readonly src_ip?: string | undefined;
  readonly dst_ip?: string | undefined;
  readonly event_ids?: readonly string[] | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** What a model made of an attack. */
export interface AiDecisionPayload {
  /** The message that it judges. */
  readonly about: string;
  readonly verdict: "malicious" | "suspicious" | "benign" | "unknown";
  readonly confidence: number;
  readonly model: string;
  readonly reasons?: readonly string[] | undefined;
}

/** Somebody has to look. The system's own alarms fill in all of it. */
export interface AlertPayload {
  /** Of an alarm: always the same words; figures are in `details`. */
  readonly title: string;
  readonly severity: "info" | "low" | "medium" | "high" | "critical";
  /** Of an alarm: the event's name, by which its log line and the reference page know it. */
  readonly code?: string | undefined;
  /** Messages that it is about. */
  readonly about?: readonly string[] | undefined;
  /** Where it was noticed: the host, and the process there. */
  readonly host?: string | undefined;
  readonly process?: string | undefined;
  /** Whom or what it is about, where that is a producer or a partition of the log. */
  readonly producer?: string | undefined;
  readonly part?: number | undefined;
  /** How often it was raised between two moments; one message tells them all. */
  readonly count?: number | undefined;
  readonly first_at?: string | undefined;
  readonly last_at?: string | undefined;
  /** Of an alarm: the fields of its last log line. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Evidence is to be collected. */
export interface ForensicsPayload {
  readonly reason: string;
  /** The message that asked for it. */
  readonly about?: string | undefined;
  readonly host?: string | undefined;
  readonly event_ids?: readonly string[] | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** A message, or a frame's event, that could not be handled (BUS-7). */
export interface DeadLetterPayload {
  readonly original_stream: StreamName;
  readonly original_message: Message;
  readonly group: string;
  readonly failed_at: string;
  readonly reason: string;
  readonly failures: readonly { readonly at: string; readonly member: string; readonly reason: string }[];
}

/** What telemetry tells beside its signed frames: a producer that appears, is silent, or comes back. */
export interface TelemetryPayload {
  readonly producer: string;
  readonly state: "appeared" | "silent" | "returned";
  readonly since: string;
}

/** Payload of each stream. */
export interface StreamPayloads {
  readonly "stream:attacks": AttackPayload;
  readonly "stream:ai_decisions": AiDecisionPayload;
  readonly "stream:alerts": AlertPayload;
  readonly "stream:forensics": ForensicsPayload;
  readonly "stream:dead_letter": DeadLetterPayload;
  readonly "stream:telemetry": TelemetryPayload;
}

const details = z.record(z.string().max(128), z.unknown()).optional();
const ids = z.array(text(128)).max(1000).optional();

const attack: z.ZodType<AttackPayload> = z.looseObject({
  attack_type: text(128),
  source: z.looseObject({ kind: z.enum(["honeypot", "detection", "indicator"]), name: text(256) }),
  host: text(256).optional(),
  src_ip: text(64).optional(),
  dst_ip: text(64).optional(),
  event_ids: ids,
  details,
});
const aiDecision: z.ZodType<AiDecisionPayload> = z.looseObject({
  about: text(128),
  verdict: z.enum(["malicious", "suspicious", "benign", "unknown"]),
  confidence: score,
  model: text(128),
  reasons: z.array(text(1024)).max(100).optional(),
});
const alert: z.ZodType<AlertPayload> = z.looseObject({
  title: text(512),
  severity: z.enum(["info", "low", "medium", "high", "critical"]),
  code: text(128).optional(),
  about: ids,
  host: text(256).optional(),
  process: text(128).optional(),
  producer: text(128).optional(),
  part: z.int().min(0).optional(),
  count: z.int().min(1).optional(),
  first_at: time.optional(),
  last_at: time.optional(),
  details,
});
const forensics: z.ZodType<ForensicsPayload> = z.looseObject({
  reason: text(1024),
  about: text(128).optional(),
  host: text(256).optional(),
  event_ids: ids,
  since: time.optional(),
  until: time.optional(),
});
const telemetry: z.ZodType<TelemetryPayload> = z.looseObject({
  producer: text(128),
  state: z.enum(["appeared", "silent", "returned"]),
  since: time,
});
const streamName = z.enum([
  "stream:attacks",
  "stream:ai_decisions",
  "stream:alerts",
  "stream:forensics",
  "stream:dead_letter",
  "stream:telemetry",
]);
const deadLetter: z.ZodType<DeadLetterPayload> = z.looseObject({
  original_stream: streamName,
  original_message: z.looseObject({
    message_id: z.uuid(),
    stream: streamName,
    payload: z.unknown(),
    priority: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
    timestamp: z.string().max(64),
    producer_id: z.string().max(256),
    retry_count: z.int().min(0),
  }),
  group: text(128),
  failed_at: time,
  reason: text(1024),
  failures: z.array(z.looseObject({ at: time, member: z.string().max(256), reason: z.string().max(4096) })).max(64),
});

const schemas: { readonly [Stream in StreamName]: z.ZodType<StreamPayloads[Stream]> } = {
  "stream:attacks": attack,
  "stream:ai_decisions": aiDecision,
  "stream:alerts": alert,
  "stream:forensics": forensics,
  "stream:dead_letter": deadLetter,
  "stream:telemetry": telemetry,
};

/** What is wrong with a payload, by path; empty if nothing is. */
export function payloadProblems(stream: StreamName, payload: unknown): string[] {
  const checked = schemas[stream].safeParse(payload);
  return checked.success ? [] : checked.error.issues.map(({ path, message }) => `${["payload", ...path].join(".")}: ${message}`);
}
