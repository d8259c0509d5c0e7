// Why: two RFCs and decades of habit: what a syslog line says of itself stands in several orders, and some of it is left out.
// Enforces: RFC 5424 by its grammar; RFC 3164 as it is met, with or without priority and host, with or without a year, also with ISO times.
// Forbids: guessing at a line that follows neither.

import { parseStructuredData } from "./structured_data.ts";
import { plainTimeUs, type TimeRule } from "./syslog_time.ts";
import { parseInstantUs } from "ransomeye-ingestion/protocol";

/** What a line says. */
export interface SyslogLine {
  /** Facility times 8 plus severity. */
  readonly priority: number | undefined;
  /** NaN where the line has no time that can be read. */
  readonly timeUs: number;
  readonly time: string;
  readonly host: string | undefined;
  readonly app: string | undefined;
  readonly process: string | undefined;
  readonly messageId: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  readonly message: string;
}

const priorityMax = 191;

const modern = /^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) /;

/** `Jan  5 10:00:00`, with a year or a fraction where a device writes them, or an ISO time; routers put `*` or `.` before a time they doubt. */
const plain =
  /^(?:<(\d{1,3})>)?[*.]?((?:[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?)|(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)):? (.*)$/s;

/** A tag as programs write it; behind a process some write no space. */
const tag = /^([^\s:[\]]{1,128})(?:\[([^\]\s]{1,128})\]:|:(?=\s|$)) ?(.*)$/s;

function priorityOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** `-` is RFC 5424's word for nothing. */
function said(text: string | undefined): string | undefined {
  return text === "-" ? undefined : text;
}

function modernLine(text: string): SyslogLine | undefined {
  const match = modern.exec(text);
  if (match === null) return undefined;
  const [whole, priority, time, host, app, process, messageId] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const structured = parseStructuredData(text.slice(whole.length));
  if (structured === undefined) return undefined;
  return {
    priority: Number(priority),
    timeUs: time === "-" ? Number.NaN : parseInstantUs(time, false),
    time,
    host: said(host),
    app: said(app),
    process: said(process),
    messageId: said(messageId),
    data: structured.data,
    // A byte order mark says that the message is UTF-8, which is how it is read anyway.
    message: structured.rest.replace(/^\ufeff/, ""),
  };
}

function plainLine(text: string, rule: TimeRule): SyslogLine | undefined {
  const match = plain.exec(text);
  if (match === null) return undefined;
  const [, priority, time, behind] = match as unknown as [string, string | undefined, string, string];
  // A host is followed by a tag; where a tag stands first, the host was left out.
  const tagged = tag.exec(behind);
  const cut = behind.indexOf(" ");
  const host = tagged !== null || cut <= 0 ? undefined : behind.slice(0, cut);
  const rest = host === undefined ? behind : behind.slice(cut + 1);
  const [, app, process, message] = (tagged ?? tag.exec(rest) ?? [rest, undefined, undefined, rest]) as [string, string?, string?, string?];
  return {
    priority: priorityOf(priority),
    timeUs: plainTimeUs(time, rule),
    time,
    host,
    app,
    process,
    messageId: undefined,
    data: undefined,
    message: message ?? "",
  };
}

/** Reads a line; undefined where it follows neither RFC. `rule` says how times without year and zone are meant. */
export function parseSyslog(text: string, rule: TimeRule): SyslogLine | undefined {
  const line = modernLine(text) ?? (/^<\d{1,3}>\d{1,2} /.test(text) ? undefined : plainLine(text, rule));
  return line === undefined || (line.priority ?? 0) > priorityMax ? undefined : line;
}
