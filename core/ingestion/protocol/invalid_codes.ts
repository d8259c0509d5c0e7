// Why: an event that fails the schema becomes a dead letter with a reason that its owner can act on (architecture part 4, R-8).
// Enforces: one closed table; the number travels in verdicts and receipts, the name in dead letters, docs and output.
// Forbids: reusing or renumbering a code: numbers are stored beside frames for as long as the frames are.

import type { CodeSpec } from "ransomeye-kernel";

/** What one code says; its number is what travels. */
export interface InvalidSpec extends CodeSpec {
  readonly number: number;
}

/** Every reason why an event, or (from 100) a whole payload, is dead-lettered. */
export const INVALID_CODES = {
  EVENT_NOT_UTF8: {
    number: 1,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the line is not UTF-8",
    next: "encode the event as UTF-8; carry foreign bytes as base64 in raw_data",
  },
  EVENT_NOT_JSON: {
    number: 2,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the line is not one JSON value (a byte order mark is none either)",
    next: "send one JSON object a line",
  },
  EVENT_NOT_OBJECT: {
    number: 3,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the line is JSON, but not an object",
    next: "send one JSON object a line",
  },
  EVENT_TOO_DEEP: {
    number: 4,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "objects and lists lie inside one another deeper than json_depth_max",
    next: "flatten the event, or carry the inner part as text",
  },
  EVENT_TOO_LONG: {
    number: 5,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the line is longer than line_bytes_max",
    next: "shorten the event; keep long texts elsewhere and refer to them",
  },
  EVENT_CLASS_UNKNOWN: {
    number: 6,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "class_uid is missing or names no class of the subset",
    next: "use a class of the subset, or class_uid 0 with the rest in unmapped",
  },
  EVENT_FIELD_MISSING: {
    number: 7,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "a required field is missing; the reason names its path",
    next: "fill the field",
  },
  EVENT_FIELD_TYPE: {
    number: 8,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "a known field has another type; the reason names its path",
    next: "send the type that the schema names, or move the value to unmapped",
  },
  EVENT_FIELD_RANGE: {
    number: 9,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "a number lies outside its range; the reason names its path",
    next: "send time in milliseconds since 1970 UTC, and codes within their range",
  },
  EVENT_UID_MISMATCH: {
    number: 10,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "category_uid or type_uid contradicts class_uid and activity_id",
    next: "send the category of the class, and type_uid = class_uid * 100 + activity_id",
  },
  EVENT_SCHEMA_VERSION: {
    number: 11,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "metadata.version names another major version of OCSF",
    next: "send OCSF 1.x",
  },
  EVENT_TOO_MANY_KEYS: {
    number: 12,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the objects of the event have more keys together than json_keys_max",
    next: "split the event, or carry the inner part as text",
  },
  EVENT_STRING_TOO_LONG: {
    number: 13,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "a string, or a key, is longer than json_string_bytes_max",
    next: "shorten the text; keep long texts elsewhere and refer to them",
  },
  PAYLOAD_LINE_COUNT: {
    number: 100,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the payload holds another number of lines than the signed header says",
    next: "sign the number of lines that the payload has",
  },
  PAYLOAD_UNTERMINATED: {
    number: 101,
    stage: "validate",
    disposition: "dead_letter",
    meaning: "the payload does not end with a line feed",
    next: "end every line, also the last, with a line feed",
  },
} as const;

/** Name of a code, for people and for dead letters. */
export type InvalidName = keyof typeof INVALID_CODES;

/** Number of a code, for verdicts and receipts. */
export type InvalidCode = (typeof INVALID_CODES)[InvalidName]["number"];

const specs: Readonly<Record<InvalidName, InvalidSpec>> = INVALID_CODES;
const nameByNumber: ReadonlyMap<number, InvalidName> = new Map(
  (Object.keys(specs) as InvalidName[]).map((name) => [specs[name].number, name] as const),
);

/** The name of a stored number; numbers of a later build are shown as they are. */
export function invalidName(code: number): InvalidName | `CODE_${number}` {
  return nameByNumber.get(code) ?? `CODE_${code}`;
}
