// Why: one list of what the engine writes, column by column, shared by encoder, statements and tests.
// Enforces: the table follows the certificate's kind; the encoder's order of fields is the order of these lists.
// Forbids: choosing a table by anything a payload says.

import type { ProducerKind } from "ransomeye-pipeline";

export type EventTable = "events_dpi" | "events_agent" | "events_honeypot";

/** total, so that a new kind of producer cannot be forgotten. */
export const tableOfKind: Readonly<Record<ProducerKind, EventTable>> = {
  dpi: "events_dpi",
  linux: "events_agent",
  windows: "events_agent",
  honeypot: "events_honeypot",
};

export const eventTables: readonly EventTable[] = ["events_dpi", "events_agent", "events_honeypot"];

/** Columns of every event table, in the order in which `row_batch.ts` writes them. */
export const eventColumns: readonly string[] = [
  "received_at",
  "event_time",
  "producer_id",
  "epoch",
  "seq",
  "frame_part",
  "frame_off",
  "line",
  "byte_offset",
  "byte_length",
  "class_uid",
  "activity_id",
  "severity_id",
  "flags",
  "schema_version",
  "mapping_version",
  "normaliser_version",
  "host",
  "user_name",
  "process_name",
  "process_pid",
  "file_path",
  "file_sha256",
  "src_ip",
  "src_port",
  "dst_ip",
  "dst_port",
  "domain",
  "message",
];

/** Where a written row says which event it is; counted in `eventColumns`. */
export const seqColumn: number = eventColumns.indexOf("seq");
export const lineColumn: number = eventColumns.indexOf("line");
export const byteOffsetColumn: number = eventColumns.indexOf("byte_offset");
export const byteLengthColumn: number = eventColumns.indexOf("byte_length");

/** An event, or a whole frame (`line` null), that could not become rows. It counts `count` sequence numbers. */
export interface DeadLetter {
  readonly receivedUs: number;
  readonly producer: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly part: number;
  readonly off: number;
  readonly line: number | null;
  readonly byteOffset: number | null;
  readonly byteLength: number | null;
  /** A code of the gate's table of invalid events, or of `ENGINE_CODES`. */
  readonly code: string;
  readonly detail: string;
}

/** Sequence numbers that their producer has declared lost. */
export interface Gap {
  readonly receivedUs: number;
  readonly producer: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly part: number;
  readonly off: number;
  readonly reason: string;
}
