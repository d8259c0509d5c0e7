// Why: whoever ships a file must learn which record was not taken, where it stands and why; and which file cannot be read at all.
// Enforces: one closed table for both. `reject` codes cost one record; `fatal` ones end the input, what came before them is kept.
// Forbids: matching on messages; messages that carry bytes of the input unescaped.

import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

/** Codes that cost one record. */
export type RecordCode =
  | "SHIP_RECORD_NOT_JSON"
  | "SHIP_RECORD_NOT_OBJECT"
  | "SHIP_RECORD_MALFORMED"
  | "SHIP_RECORD_TOO_LARGE"
  | "SHIP_RECORD_TOO_DEEP"
  | "SHIP_TIME_MISSING"
  | "SHIP_EVENT_INVALID"
  | "SHIP_EVENT_TOO_LARGE";

/** Codes that end an input. */
export type InputCode =
  | "SHIP_FORMAT_UNKNOWN"
  | "SHIP_FORMAT_UNSUPPORTED"
  | "SHIP_ENCODING"
  | "SHIP_HEADER_MISSING"
  | "SHIP_GZIP_TRUNCATED"
  | "SHIP_GZIP_CORRUPT"
  | "SHIP_INPUT_UNREADABLE";

/** Codes of following files. */
export type FollowCode = "SHIP_CHECKPOINT" | "SHIP_FOLLOW_LOST" | "SHIP_FOLLOW_MANY" | "SHIP_NOT_A_FILE";

/** Everything the shipper can complain about. */
export type ShipCode = RecordCode | InputCode | FollowCode;

const record = "record";
const input = "input";

export const SHIP_CODES: CodeTable<ShipCode> = {
  SHIP_RECORD_NOT_JSON: {
    stage: record,
    disposition: "reject",
    meaning: "a record is not JSON",
    next: "look at the place that the message names; the other records are shipped",
  },
  SHIP_RECORD_NOT_OBJECT: {
    stage: record,
    disposition: "reject",
    meaning: "a record is JSON, but not an object",
    next: "ship objects; the other records are shipped",
  },
  SHIP_RECORD_MALFORMED: {
    stage: record,
    disposition: "reject",
    meaning: "a line does not follow the grammar of the input's format",
    next: "look at the place that the message names; the other records are shipped",
  },
  SHIP_RECORD_TOO_LARGE: {
    stage: record,
    disposition: "reject",
    meaning: "a record is longer than record_bytes_max; it was passed over without being kept in memory",
    next: "split the record at its source",
  },
  SHIP_RECORD_TOO_DEEP: {
    stage: record,
    disposition: "reject",
    meaning: "objects and arrays of a record lie too deep inside one another",
    next: "flatten the record at its source",
  },
  SHIP_TIME_MISSING: {
    stage: record,
    disposition: "reject",
    meaning: "a record has no time that can be read, so nobody could say when it happened",
    next: "have the source write the time field of its format",
  },
  SHIP_EVENT_INVALID: {
    stage: record,
    disposition: "reject",
    meaning: "a record gives no valid event, not even a base event; the message has the schema's reason",
    next: "see the event schema page for the reason's code",
  },
  SHIP_EVENT_TOO_LARGE: {
    stage: record,
    disposition: "reject",
    meaning:
      "the event of a record is beyond a bound of the event schema (line, keys, strings, depth), also with unmapped left to raw_data",
    next: "shorten the record at its source, or ship it with --no-raw",
  },
  SHIP_FORMAT_UNKNOWN: {
    stage: input,
    disposition: "fatal",
    meaning: "no format was recognised in the beginning of the input",
    next: "name it with --format, or check that the input is one of the supported formats",
  },
  SHIP_FORMAT_UNSUPPORTED: {
    stage: input,
    disposition: "fatal",
    meaning: "the input's format was recognised and has no reader",
    next: "convert it as the message says, or have its source write a supported format",
  },
  SHIP_ENCODING: {
    stage: input,
    disposition: "fatal",
    meaning: "the input is UTF-16 or UTF-32",
    next: "convert it to UTF-8, for example with iconv",
  },
  SHIP_HEADER_MISSING: {
    stage: input,
    disposition: "fatal",
    meaning: "rows of a format whose header names their fields came without that header; what came before them was read",
    next: "ship the file from its beginning, header included, or have its source write JSON",
  },
  SHIP_GZIP_TRUNCATED: {
    stage: input,
    disposition: "fatal",
    meaning: "a gzip input ends before its end mark; the complete records before that place were read",
    next: "fetch the file again and ship the rest",
  },
  SHIP_GZIP_CORRUPT: {
    stage: input,
    disposition: "fatal",
    meaning: "a gzip input is damaged; the complete records before that place were read",
    next: "fetch the file again and ship the rest",
  },
  SHIP_INPUT_UNREADABLE: {
    stage: input,
    disposition: "fatal",
    meaning: "reading the input failed; the complete records before that place were read",
    next: "see the cause, then ship again",
  },
  SHIP_CHECKPOINT: {
    stage: "follow",
    disposition: "fatal",
    meaning:
      "the checkpoint beside the spool is damaged, or does not belong to what the spool holds: how far files were read is not known exactly",
    next: "restore the checkpoint, or move it away: then every followed file is read from its beginning, and what was sent of it is sent again",
  },
  SHIP_FOLLOW_LOST: {
    stage: "follow",
    disposition: "dead_letter",
    meaning: "a followed file was truncated, replaced or removed, and what it may still have held was found nowhere",
    next: "let the rotation keep at least one file beside the live one (copytruncate: without delay), and the agent running",
  },
  SHIP_FOLLOW_MANY: {
    stage: "follow",
    disposition: "reject",
    meaning: "the patterns match more files than one agent follows; the rest is not read",
    next: "narrow the patterns, or run a second agent with a data directory and an identity of its own",
  },
  SHIP_NOT_A_FILE: {
    stage: "follow",
    disposition: "retry",
    meaning: "a followed path is no regular file, or may not be read; it is looked at again",
    next: "check the path and its permissions",
  },
};

/** Ends an input. `fields` has the input's name, and byte offset and line where reading stopped. */
export class ShipError extends RansomeyeError<ShipCode> {
  constructor(code: InputCode | FollowCode, message: string, options?: ErrorOptions) {
    super(SHIP_CODES, code, message, options);
  }
}
