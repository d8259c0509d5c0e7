// Why: parsing JSON into objects, only to look at them and throw them away, was the largest part of what an event cost at the gate and in the engine.
//   One walk over the bytes checks a line against the schema and notes where its columns lie.
// Enforces: "valid" only where bounds, parser and checker together would say so, and slots that hold what the parser would have given: both are held
//   to it by property tests. Everything unusual is "not sure", never "invalid": the caller parses, and the parser decides.
// Forbids: verdicts of its own, copies, and looking beyond the line feed that ends the line.

import type { JsonBounds } from "./event_bounds.ts";
import { classes, ranges } from "./event_schema.ts";
import { basic } from "./event_plan.ts";
import { type EventValues, held, slot } from "./event_values.ts";
import { eventScanPlan, type FieldOrder, isQuoted, nameHash, type ScanRules, type ScanField, type ScanPlan } from "./scan_plan.ts";

/** What a scan can say of a line: nothing; that it is JSON and keeps its bounds; that it is a valid event. */
export const scanned = { unsure: 0, bounded: 1, valid: 2 } as const;
type Scanned = (typeof scanned)[keyof typeof scanned];

/** Answer of a step that is not sure; every other answer is the position behind what it read. */
const unsure = -1;

const tab = 0x09;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;
const quote = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
/** Integers of this many digits are exact in a JavaScript number. */
const exactDigitsMax = 15;

/** 1 for each byte that neither ends a string nor is special or wrong in one. */
const plain: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => (byte < space || byte === quote || byte === backslash ? 0 : 1));

/** Kind of the text that `skipString` read last. */
let textKind: number = held.nothing;
/** Bits of the fields that the outermost object had. */
let topBits = 0;
/** Keys that the event may still have; below zero the scan is not sure. */
let keysLeft = 0;
/** Bytes that a string of the event may have. */
let stringBytesMax = 0;

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === space || byte === tab || byte === carriageReturn; byte = bytes[++at]);
  return at;
}

/** A string from its opening quote. Bytes are known to be UTF-8. */
function skipString(bytes: Uint8Array, from: number): number {
  let at = from + 1;
  let high = 0;
  let byte = bytes[at] as number;
  while (plain[byte] === 1) {
    high |= byte;
    byte = bytes[++at] as number;
  }
  textKind = high < 0x80 ? held.ascii : held.utf8;
  const to = byte === quote ? at + 1 : byte === backslash ? skipEscaped(bytes, at) : unsure;
  return to - from - 2 > stringBytesMax ? unsure : to;
}

/** The rest of a string from its first backslash. */
function skipEscaped(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte !== quote; byte = bytes[at]) {
    if (byte === backslash) at = skipEscape(bytes, at + 1);
    else if (plain[byte as number] !== 1) return unsure;
    if (at === unsure) return unsure;
    at++;
  }
  textKind = held.escaped;
  return at + 1;
}

/** What follows a backslash; answers the position of its last byte. */
function skipEscape(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case quote:
    case backslash:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at;
    case 0x75: // u
      for (let digit = at + 1; digit <= at + 4; digit++) if (!isHex(bytes[digit] as number)) return unsure;
      return at + 4;
    default:
      return unsure;
  }
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}

function isHex(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

function skipDigits(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isDigit(bytes[at] as number)) at++;
  return at === from ? unsure : at;
}

/** A number by JSON's grammar. */
function skipNumber(bytes: Uint8Array, from: number): number {
  const first = bytes[from] === minus ? from + 1 : from;
  let at = bytes[first] === zero ? first + 1 : skipDigits(bytes, first);
  if (at !== unsure && bytes[at] === dot) at = skipDigits(bytes, at + 1);
  if (at !== unsure && ((bytes[at] as number) | 0x20) === 0x65) {
    const sign = bytes[at + 1];
    at = skipDigits(bytes, sign === 0x2b || sign === minus ? at + 2 : at + 1);
  }
  return at;
}

function skipWord(bytes: Uint8Array, from: number, word: string): number {
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word.charCodeAt(i)) return unsure;
  return from + word.length;
}

/** Any value, of which only the grammar and the bounds matter. */
function skipValue(bytes: Uint8Array, from: number, depthLeft: number): number {
  switch (bytes[from]) {
    case quote:
      return skipString(bytes, from);
    case openBrace:
      return skipObject(bytes, from, depthLeft);
    case openBracket:
      return skipList(bytes, from, depthLeft);
    case 0x74:
      return skipWord(bytes, from, "true");
    case 0x66:
      return skipWord(bytes, from, "false");
    case 0x6e:
      return skipWord(bytes, from, "null");
    default:
      return skipNumber(bytes, from);
  }
}

function skipObject(bytes: Uint8Array, from: number, depthLeft: number): number {
  if (depthLeft === 0) return unsure;
  let at = skipSpace(bytes, from + 1);
  if (bytes[at] === closeBrace) return at + 1;
  for (;;) {
    if (bytes[at] !== quote || --keysLeft < 0) return unsure;
    at = skipString(bytes, at);
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] !== colon) return unsure;
    at = skipValue(bytes, skipSpace(bytes, at + 1), depthLeft - 1);
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBrace) return at + 1;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
  }
}

function skipList(bytes: Uint8Array, from: number, depthLeft: number): number {
  if (depthLeft === 0) return unsure;
  let at = skipSpace(bytes, from + 1);
  if (bytes[at] === closeBracket) return at + 1;
  for (;;) {
    at = skipValue(bytes, at, depthLeft - 1);
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
  }
}

/** An object whose names the table knows, from its brace. */
function scanObject(plan: ScanPlan, bytes: Uint8Array, from: number, depthLeft: number, values: EventValues): number {
  if (depthLeft === 0) return unsure;
  let seen = 0;
  let at = skipSpace(bytes, from + 1);
  let last: FieldOrder = plan.order;
  while (bytes[at] === quote) {
    if (--keysLeft < 0) return unsure;
    let field = last.next;
    if (field !== undefined && isQuoted(field.name, bytes, at + 1)) at += field.name.length + 1;
    else {
      const nameStart = ++at;
      let hash = 0;
      let byte = bytes[at] as number;
      for (; plain[byte] === 1; byte = bytes[++at] as number) hash = nameHash(hash, byte);
      // An escape may spell a name that the table knows.
      if (byte !== quote || at - nameStart > stringBytesMax) return unsure;
      field = plan.find(bytes, nameStart, at, hash);
      if (field !== undefined) last.next = field;
    }
    if (field !== undefined) last = field.order;
    at = skipSpace(bytes, at + 1);
    if (bytes[at] !== colon) return unsure;
    at = skipSpace(bytes, at + 1);
    if (field === undefined) at = skipValue(bytes, at, depthLeft - 1);
    else {
      // Of a name that comes twice the last counts: a matter for the parser, where it matters.
      if ((seen & field.bit) !== 0) return unsure;
      if (bytes[at] === 0x6e) at = skipWord(bytes, at, "null");
      else {
        seen |= field.bit;
        at = field.list
          ? scanList(field, bytes, at, depthLeft - 1, values)
          : scanValue(field, field.slot, bytes, at, depthLeft - 1, values);
      }
    }
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBrace) break;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
    if (bytes[at] !== quote) return unsure;
  }
  if (bytes[at] !== closeBrace || (seen & plan.required) !== plan.required || (plan.anyOf !== 0 && (seen & plan.anyOf) === 0))
    return unsure;
  topBits = seen;
  return at + 1;
}

/** A value of the field's type. `null` is the caller's. */
function scanValue(field: ScanField, into: number, bytes: Uint8Array, from: number, depthLeft: number, values: EventValues): number {
  switch (field.type) {
    case basic.string: {
      if (bytes[from] !== quote) return unsure;
      const to = skipString(bytes, from);
      if (into >= 0 && to !== unsure) keep(values, into, textKind, from + 1, to - 1);
      return to;
    }
    case basic.integer:
      return scanInteger(bytes, from, into, values);
    case basic.boolean:
      return skipWord(bytes, from, bytes[from] === 0x74 ? "true" : "false");
    case basic.any:
      // Kept by nobody: what a slot holds has a type.
      return into >= 0 ? unsure : skipValue(bytes, from, depthLeft);
    case basic.object: {
      if (bytes[from] !== openBrace) return unsure;
      if (into >= 0) values.kinds[into] = held.object;
      return scanObject(field.plan as ScanPlan, bytes, from, depthLeft, values);
    }
    default:
      return unsure;
  }
}

function keep(values: EventValues, into: number, kind: number, from: number, to: number): void {
  values.kinds[into] = kind;
  values.starts[into] = from;
  values.ends[into] = to;
}

function scanInteger(bytes: Uint8Array, from: number, into: number, values: EventValues): number {
  const negative = bytes[from] === minus;
  const first = negative ? from + 1 : from;
  let at = first;
  let value = 0;
  for (let byte = bytes[at] as number; isDigit(byte); byte = bytes[++at] as number) value = value * 10 + (byte - zero);
  const digits = at - first;
  // Leading zeros are no JSON, minus zero is no zero, and what goes on is no plain integer: the parser knows.
  if (digits === 0 || digits > exactDigitsMax || (bytes[first] === zero && (digits > 1 || negative))) return unsure;
  if (into >= 0) {
    values.kinds[into] = held.integer;
    values.integers[into] = negative ? -value : value;
  }
  return at;
}

function scanList(field: ScanField, bytes: Uint8Array, from: number, depthLeft: number, values: EventValues): number {
  if (bytes[from] !== openBracket || depthLeft === 0) return unsure;
  let at = skipSpace(bytes, from + 1);
  if (bytes[at] !== closeBracket) {
    for (;;) {
      at = scanValue(field, -1, bytes, at, depthLeft - 1, values);
      if (at === unsure) return unsure;
      at = skipSpace(bytes, at);
      if (bytes[at] === closeBracket) break;
      if (bytes[at] !== comma) return unsure;
      at = skipSpace(bytes, at + 1);
    }
  }
  if (field.slot >= 0) keep(values, field.slot, held.list, from, at + 1);
  return at + 1;
}

/**
 * Walks the line [start, end) of `bytes`, which are known to be UTF-8, and fills `values`, which are the event's own where it is valid and else of no use.
 * A finding with evidence is at most bounded. A line without a line feed behind it is not scanned.
 */
export function scanEvent(bytes: Buffer, start: number, end: number, bounds: JsonBounds, rules: ScanRules, values: EventValues): Scanned {
  if (bytes[end] !== lineFeed) return scanned.unsure;
  keysLeft = bounds.jsonKeysMax;
  stringBytesMax = bounds.jsonStringBytesMax;
  values.clear(bytes);
  const open = skipSpace(bytes, start);
  if (bytes[open] !== openBrace) return scanned.unsure;
  const close = scanObject(eventScanPlan, bytes, open, bounds.jsonDepthMax, values);
  if (close === unsure || skipSpace(bytes, close) !== end) return scanned.unsure;
  return followsRules(values, rules) ? scanned.valid : scanned.bounded;
}

/** What the plan cannot say; the same rules as the checker's. */
function followsRules({ kinds, integers, starts, bytes }: EventValues, rules: ScanRules): boolean {
  if (kinds[slot.evidences] !== held.nothing) return false;
  const classUid = integers[slot.class_uid] as number;
  const required = rules.requiredByClass.get(classUid);
  // The base fields are required of every class, so their slots hold what they must; that the class is known comes first.
  if (required === undefined || (topBits & required) !== required) return false;
  const time = integers[slot.time] as number;
  const activity = integers[slot.activity_id] as number;
  const severity = integers[slot.severity_id] as number;
  // A shorter text ends in a quote, which is no part of "1.".
  const version = starts[slot.metadata.version] as number;
  return (
    time >= ranges.timeMsMin &&
    time <= ranges.timeMsMax &&
    activity >= 0 &&
    activity <= rules.activityMax &&
    severity >= 0 &&
    (severity <= rules.severityMax || severity === rules.severityOther) &&
    integers[slot.category_uid] === classes[classUid]?.categoryUid &&
    integers[slot.type_uid] === classUid * 100 + activity &&
    bytes[version] === 0x31 &&
    bytes[version + 1] === dot
  );
}
