// Why: rows hold canonical, typed columns, while the signed bytes stay as they are; so rows are derived when they are written.
// Enforces: one function from event to columns: canonical and non-canonical input give the same values; whatever does not fit its column is
//   left out and flagged, never refused and never altered in silence. Raise NORMALISER_VERSION when any value would come out differently.
// Forbids: throwing, for any JSON value at all; clocks; and validating again what the gate has judged.

import { limits } from "ransomeye-kernel";
import { type ColumnText, safeText, TextBytes } from "./column_text.ts";
import { canonicalDomain, canonicalHash, canonicalIp, parseInstantUs } from "./canonical.ts";
import { ranges } from "./event_schema.ts";
import { scanEvent, scanned } from "./event_scan.ts";
import { anyVersionRules } from "./scan_plan.ts";
import { EventValues, type ProcessSlots, slot } from "./event_values.ts";
import { parseLine, unparsed } from "./line_parse.ts";

/** Version of the rules in this file and in canonical.ts, kept in every row. */
export const NORMALISER_VERSION = 1;

/** Claimed and received time further apart than this are flagged: a clock is wrong, or the event is old. Kerberos draws the same line. */
export const skewMsMax = 300_000;

/** Bits of a row's `flags` column. */
export const ROW_FLAGS = {
  /** Claimed time lies more than skew_ms_max from received time. */
  clockSkewed: 1,
  /** A text was cut to column_text_bytes_max; the document has the rest. */
  textCut: 2,
  /** NUL or a lone surrogate, which PostgreSQL's text cannot hold, became U+FFFD. */
  textReplaced: 4,
  /** A value had no place in its column's type and was left out; the document has it. */
  valueDropped: 8,
  /** A value was not in canonical form and was brought into it. */
  nonCanonical: 16,
} as const;

/** The columns that come from the event itself; the object is reused from row to row, and texts that are bytes hold until the next row. */
export interface RowColumns<Text = string | null> {
  eventTimeUs: number;
  classUid: number;
  activityId: number;
  severityId: number;
  flags: number;
  host: Text;
  userName: Text;
  processName: Text;
  processPid: number | null;
  filePath: Text;
  /** 32 bytes. */
  fileSha256: Buffer | null;
  /** Canonical text. */
  srcIp: string | null;
  srcPort: number | null;
  dstIp: string | null;
  dstPort: number | null;
  domain: Text;
  message: Text;
}

/** An empty set of columns, to be filled again and again by `deriveRow`. */
export function newRowColumns(): RowColumns {
  return {
    eventTimeUs: 0,
    classUid: 0,
    activityId: 0,
    severityId: 0,
    flags: 0,
    host: null,
    userName: null,
    processName: null,
    processPid: null,
    filePath: null,
    fileSha256: null,
    srcIp: null,
    srcPort: null,
    dstIp: null,
    dstPort: null,
    domain: null,
    message: null,
  };
}

/** The event that is being derived and the flags of its row; deriving is synchronous. */
const values = new EventValues();
let flags = 0;
const texts = {
  host: new TextBytes(),
  userName: new TextBytes(),
  processName: new TextBytes(),
  filePath: new TextBytes(),
  message: new TextBytes(),
};
/** No slot. */
const nowhere = -1;

/** A slot's text if it is a string with something in it. */
function textAt(at: number): string | null {
  const value = values.get(at);
  if (typeof value === "string" && value !== "") return value;
  if (value !== undefined && value !== null && value !== "") flags |= ROW_FLAGS.valueDropped;
  return null;
}

/** The first of these slots that holds a text with something in it, or -1. */
function firstText(first: number, second: number = nowhere, third: number = nowhere): number {
  if (hasText(first)) return first;
  if (second !== nowhere && hasText(second)) return second;
  return third !== nowhere && hasText(third) ? third : nowhere;
}

function hasText(at: number): boolean {
  return values.isText(at) ? values.textBytes(at) > 0 : textAt(at) !== null;
}

/** The text of a slot as its column can hold it. */
function columnAt(at: number, into: TextBytes): ColumnText {
  if (at === nowhere) return null;
  return into.take(values, at) ? into : columnText(textAt(at));
}

function columnText(value: string | null): string | null {
  if (value === null) return null;
  const safe = safeText(value);
  if (safe.cut) flags |= ROW_FLAGS.textCut;
  if (safe.replaced) flags |= ROW_FLAGS.textReplaced;
  return safe.text;
}

/** A slot's integer within [min, max], else null. */
function integerAt(at: number, min: number, max: number): number | null {
  const value = values.get(at);
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  flags |= ROW_FLAGS.valueDropped;
  return null;
}

function ipAt(at: number): string | null {
  const text = textAt(at);
  if (text === null) return null;
  const ip = canonicalIp(text);
  if (ip === null) flags |= ROW_FLAGS.valueDropped;
  else if (ip !== text) flags |= ROW_FLAGS.nonCanonical;
  return ip;
}

const sha256Algorithm = 3;

/** The first SHA-256 among a file's hashes. */
function sha256At(at: number): Buffer | null {
  const hashes = values.get(at);
  if (!Array.isArray(hashes)) return null;
  for (const hash of hashes as unknown[]) {
    if (typeof hash !== "object" || hash === null || (hash as Record<string, unknown>)["algorithm_id"] !== sha256Algorithm) continue;
    const value = (hash as Record<string, unknown>)["value"];
    if (value === undefined || value === null || value === "") return null;
    const canonical = typeof value === "string" ? canonicalHash(value, 32) : null;
    if (canonical === null) {
      flags |= ROW_FLAGS.valueDropped;
      return null;
    }
    if (canonical !== value) flags |= ROW_FLAGS.nonCanonical;
    return Buffer.from(canonical, "hex");
  }
  return null;
}

/**
 * Claimed time in microseconds. `time` (milliseconds) is OCSF's and decides; `time_dt` refines it if it names the same millisecond, and is
 * otherwise left out and flagged. An event without a usable time, which no valid event is, gets its received time.
 */
function eventTimeUs(receivedUs: number): number {
  const time = integerAt(slot.time, ranges.timeMsMin, ranges.timeMsMax);
  if (time === null) {
    flags |= ROW_FLAGS.valueDropped;
    return receivedUs;
  }
  const text = textAt(slot.time_dt);
  if (text !== null) {
    const us = parseInstantUs(text, false);
    if (Math.floor(us / 1000) === time) {
      // Canonical is exactly YYYY-MM-DDThh:mm:ss.ffffffZ.
      if (text.length !== 27 || text.charCodeAt(26) !== 0x5a || text.charCodeAt(10) !== 0x54) flags |= ROW_FLAGS.nonCanonical;
      return us;
    }
    flags |= ROW_FLAGS.valueDropped;
  }
  return time * 1000;
}

/** The part of a text before its first line end: rendered Windows messages open with a title and go on for pages. */
function firstLine(text: string | null): string | null {
  if (text === null) return null;
  const feed = text.indexOf("\n");
  const line = feed < 0 ? text : text.slice(0, feed);
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/** A registry value as people write it: its key's path and its name. */
function registryValue(): string | null {
  const path = textAt(slot.reg_value.path);
  const name = textAt(slot.reg_value.name);
  return path === null || name === null ? path : `${path}\\${name}`;
}

/** What a row shows of an event in one line: the finding's title, else the command line, else the first line of the message. */
function messageColumn(): ColumnText {
  const title = firstText(slot.finding_info.title, slot.process.cmd_line);
  if (title !== nowhere) return columnAt(title, texts.message);
  if (hasText(slot.message)) return columnText(firstLine(textAt(slot.message)));
  return (
    columnText(registryValue()) ?? columnAt(firstText(slot.reg_key.path, slot.job.name, slot.http_request.url.url_string), texts.message)
  );
}

/** Where a domain may stand, the likeliest place first. */
const domainSlots: readonly number[] = [
  slot.query.hostname,
  slot.http_request.url.hostname,
  slot.tls.sni,
  slot.url.hostname,
  slot.dst_endpoint.hostname,
  slot.dst_endpoint.domain,
];

function domainColumn(): ColumnText {
  for (const at of domainSlots) {
    const text = values.holds(at) ? textAt(at) : null;
    if (text === null) continue;
    const domain = canonicalDomain(text);
    if (domain !== text) flags |= ROW_FLAGS.nonCanonical;
    if (domain !== null) return columnText(domain);
  }
  return null;
}

/** The user whom an activity is about: its own, its process's, its actor's. */
function userOf(process: ProcessSlots): ProcessSlots["user"] {
  if (values.isObject(slot.user.self)) return slot.user;
  if (values.isObject(slot.process.user.self)) return slot.process.user;
  return values.isObject(slot.actor.user.self) ? slot.actor.user : process.user;
}

function fileOf(process: ProcessSlots): ProcessSlots["file"] {
  if (values.isObject(slot.file.self)) return slot.file;
  return values.isObject(slot.module.file.self) ? slot.module.file : process.file;
}

/** Fills `out` from the values of one event. */
function derive(receivedUs: number, out: RowColumns<ColumnText>): void {
  flags = 0;
  const process = values.isObject(slot.process.self) ? slot.process : slot.actor.process;
  const user = userOf(process);
  const file = fileOf(process);

  out.eventTimeUs = eventTimeUs(receivedUs);
  out.classUid = integerAt(slot.class_uid, 0, 2_147_483_647) ?? 0;
  out.activityId = integerAt(slot.activity_id, 0, ranges.smallMax) ?? 0;
  out.severityId = integerAt(slot.severity_id, 0, ranges.smallMax) ?? 0;
  out.host = columnAt(firstText(slot.device.hostname, slot.device.name, slot.src_endpoint.hostname), texts.host);
  out.userName = columnAt(firstText(user.name, user.uid), texts.userName);
  out.processName = columnAt(firstText(process.name, process.path, process.file.name), texts.processName);
  out.processPid = integerAt(process.pid, 0, Number.MAX_SAFE_INTEGER);
  out.filePath = columnAt(firstText(file.path, file.name), texts.filePath);
  out.fileSha256 = sha256At(file.hashes);
  out.srcIp = ipAt(slot.src_endpoint.ip);
  out.srcPort = integerAt(slot.src_endpoint.port, 0, 65_535);
  out.dstIp = ipAt(slot.dst_endpoint.ip);
  out.dstPort = integerAt(slot.dst_endpoint.port, 0, 65_535);
  out.domain = domainColumn();
  out.message = messageColumn();
  if (Math.abs(out.eventTimeUs - receivedUs) > skewMsMax * 1000) flags |= ROW_FLAGS.clockSkewed;
  out.flags = flags;
}

/** Fills `out` from one parsed event; texts are strings then. `receivedUs` is the bus's time of its frame. Never throws; see ROW_FLAGS for what it had to do. */
export function deriveRow(event: unknown, receivedUs: number, out: RowColumns): void {
  values.take(event);
  derive(receivedUs, out);
}

/** The same from the line [start, end) of a payload, with a line feed behind it. False where the line is not JSON, or not UTF-8. */
export function deriveLine(payload: Buffer, start: number, end: number, receivedUs: number, out: RowColumns<ColumnText>): boolean {
  if (scanEvent(payload, start, end, limits, anyVersionRules, values) !== scanned.valid) {
    const event = parseLine(payload, start, end);
    if (event === unparsed) return false;
    values.take(event);
  }
  derive(receivedUs, out);
  return true;
}
