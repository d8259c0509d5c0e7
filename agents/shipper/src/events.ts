// Why: what became of an input is one event each, in log and metrics alike.
// Enforces: names and fields of the shipper's events in one place.
// Forbids: contents of records in logs.

import { defineEvent, type EventDefinition } from "ransomeye-kernel";

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
