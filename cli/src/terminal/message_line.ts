/**
 * Why it exists: whoever watches message streams sees one line for each message: when, where, how urgent, what.
 * Enforces: everything of the line is safe for a terminal and bounded, whatever the message says: attackers write parts of it.
 * Forbids: trusting that a payload is what its stream's schema says: on servers of their own others may have written it.
 */
import { type Message, MessagePriority, type StreamName } from "ransomeye-pipeline";
import { formatTimeUs } from "./format.ts";
import { terminalSafe } from "./terminal_safe.ts";

const summaryCharsMax = 200;
const streamChars = 12;

type Fields = Readonly<Record<string, unknown>>;

/** What of a payload says most, by stream. */
const summaries: { readonly [Stream in StreamName]: (payload: Fields) => readonly unknown[] } = {
  "stream:attacks": ({ attack_type, source, host, src_ip, details }) => [
    attack_type,
    fieldsOf(source)["kind"],
    host ?? src_ip,
    fieldsOf(details)["message"],
  ],
  "stream:ai_decisions": ({ verdict, confidence, model, about }) => [verdict, confidence, model, "about", about],
  "stream:alerts": ({ severity, title, code, process, producer, part, count }) => [
    severity,
    title,
    code,
    process,
    producer ?? (part === undefined ? undefined : `partition ${textOrFigure(part)}`),
    count === undefined || count === 1 ? undefined : `×${textOrFigure(count)}`,
  ],
  "stream:forensics": ({ reason, host, about }) => [reason, host, "about", about],
  "stream:telemetry": ({ producer, state, since }) => [producer, state, since],
  "stream:dead_letter": ({ original_stream, group, reason }) => [original_stream, group, reason],
};

/** `2026-01-05T10:00:00.000Z attacks high ocsf.1007.1 honeypot … ID` */
export function messageLine(stream: StreamName, publishedUs: number, message: Message): string {
  const said = summaries[stream](fieldsOf(message.payload)).filter((part) => typeof part === "string" || typeof part === "number");
  const priority = Object.entries(MessagePriority).find(([, value]) => value === message.priority)?.[0] ?? "";
  const parts = [
    formatTimeUs(publishedUs),
    shortName(stream).padEnd(streamChars),
    priority.padEnd("critical".length),
    terminalSafe(said.join(" "), summaryCharsMax),
    terminalSafe(textOf(message.message_id), summaryCharsMax),
  ];
  return parts.join("  ");
}

/** `stream:attacks` → `attacks`, as people type it. */
export function shortName(stream: StreamName): string {
  return stream.slice("stream:".length);
}

function textOrFigure(value: unknown): string {
  return typeof value === "number" ? String(value) : textOf(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
