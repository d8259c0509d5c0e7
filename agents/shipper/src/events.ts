// Why: what became of an input is one event each, in log and metrics alike.
// Enforces: names and fields of the shipper's events in one place.
// Forbids: contents of records in logs.

import { defineEvent, defineGauge, type EventDefinition, type GaugeDefinition } from "ransomeye-kernel";

interface InputFields {
  readonly [field: string]: string | number | undefined;
  /** What people call the input. */
  readonly input: string;
}

/** One input was read to its end. */
export const shipInputFinished: EventDefinition<InputFields & { format: string | undefined; events: number; invalid: number }> =
  defineEvent({
    name: "ship_input_finished",
    level: "info",
    help: "An input was read to its end.",
    counter: { name: "ransomeye_ship_events_total", help: "Events read from inputs.", labels: ["format"], by: "events" },
  });

/** One input could not be read, or not to its end. */
export const shipInputFailed: EventDefinition<InputFields & { code: string | undefined; events: number; invalid: number }> = defineEvent({
  name: "ship_input_failed",
  level: "warn",
  help: "An input could not be read, or not to its end; what came before was shipped.",
  counter: { name: "ransomeye_ship_inputs_failed_total", help: "Inputs that could not be read to their end.", labels: ["code"] },
});

/** One record gave no event. */
export const shipRecordInvalid: EventDefinition<InputFields & { code: string; line: number }> = defineEvent({
  name: "ship_record_invalid",
  level: "debug",
  help: "A record gave no event; its place and reason are told to whoever ships.",
  counter: { name: "ransomeye_ship_records_invalid_total", help: "Records that gave no event.", labels: ["code"] },
});

/** A followed path goes on with another file. */
export const followFile: EventDefinition<InputFields & { file: string; byte_offset: number; why: string }> = defineEvent({
  name: "follow_file",
  level: "info",
  help: "A followed path is read from another file: its first one, one that a rotation has moved away, or a new one.",
  counter: { name: "ransomeye_follow_files_total", help: "Files begun or gone on with, by why.", labels: ["why"] },
});

/** What a file may have held was not read. */
export const followLost: EventDefinition<InputFields & { code: string; byte_offset: number; detail: string }> = defineEvent({
  name: "follow_lost",
  level: "error",
  help: "A followed file was truncated, replaced or removed, and what it may still have held was found nowhere. It cannot be counted.",
  counter: { name: "ransomeye_follow_lost_total", help: "Times that a followed file may have lost records unread.", labels: [] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

/** A followed path cannot be read now. */
export const followBlocked: EventDefinition<InputFields & { code: string; detail: string }> = defineEvent({
  name: "follow_blocked",
  level: "warn",
  help: "A followed path cannot be read; it is tried again.",
  counter: { name: "ransomeye_follow_blocked_total", help: "Times that a followed path became unreadable, by code.", labels: ["code"] },
});

/** Records of a followed file that were not taken. */
export const followInvalid: EventDefinition<InputFields & { code: string; records: number; byte_offset: number; detail: string }> =
  defineEvent({
    name: "follow_invalid",
    level: "warn",
    help: "Records of one reading gave no event, or the gateway put them among the dead letters; place and reason are those of the first.",
    counter: {
      name: "ransomeye_follow_invalid_total",
      help: "Records that were not taken, by code of the first of a reading.",
      labels: ["code"],
      by: "records",
    },
  });

export const followLagBytes: GaugeDefinition = defineGauge({
  name: "ransomeye_follow_lag_bytes",
  help: "Bytes of a followed path that were not read yet, rotated files included.",
  unit: "bytes",
  labels: ["path"],
});

export const followLagMs: GaugeDefinition = defineGauge({
  name: "ransomeye_follow_lag_ms",
  help: "For how long a followed path has had bytes that were not read yet.",
  unit: "milliseconds",
  labels: ["path"],
});
