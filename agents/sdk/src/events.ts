/**
 * Why: what a producer notices must reach an operator as one log line and one metric.
 * Enforces: every event of this room is defined here. Forbids: event contents and secrets in fields.
 */
import { defineEvent, defineGauge, type EventDefinition, type GaugeDefinition } from "ransomeye-kernel";

export const sessionOpened: EventDefinition<{ producer: string; gateway: string; epoch: number }> = defineEvent({
  name: "sdk_session_opened",
  level: "info",
  help: "A gateway welcomed the producer.",
  counter: { name: "sdk_sessions_total", help: "Sessions that reached Welcome.", labels: [] },
});

export const sessionEnded: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_session_ended",
  level: "warn",
  help: "A session or an attempt to open one ended; the producer connects again.",
  counter: { name: "sdk_session_ends_total", help: "Ended sessions and attempts by code.", labels: ["code"] },
});

export const producerAlarmed: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_producer_alarmed",
  level: "error",
  help: "History diverged or was lost on one side, or a receipt was false.",
  counter: { name: "sdk_alarms_total", help: "Alarms by code.", labels: ["code"] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

export const producerStopped: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_producer_stopped",
  level: "error",
  help: "The producer works no more until an operator has acted; its spool is kept.",
  counter: { name: "sdk_stops_total", help: "Stops by code.", labels: ["code"] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

export const spoolRecovered: EventDefinition<{ producer: string; frames: number; cut_bytes: number; dropped_batches: number }> =
  defineEvent({
    name: "sdk_spool_recovered",
    level: "info",
    help: "A spool was opened: frames found, bytes of a torn tail cut off, batches of an incomplete call dropped.",
  });

export const spoolStalled: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_spool_stalled",
  level: "error",
  help: "The disk has no room for the spool. Callers wait; nothing is lost.",
  counter: { name: "sdk_spool_stalls_total", help: "Failed attempts to write the spool.", labels: ["code"] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

export const lossDeclared: EventDefinition<{ producer: string; reason: string }> = defineEvent({
  name: "sdk_loss_declared",
  level: "error",
  help: "A declaration of lost events was begun: the spool is full, or held them for too long. It grows until events have room again.",
  counter: { name: "sdk_loss_declarations_total", help: "Declarations of lost events begun, by reason.", labels: ["reason"] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

export const eventsLost: EventDefinition<{ producer: string; reason: string; events: number }> = defineEvent({
  name: "sdk_events_lost",
  level: "debug",
  help: "Events were given up; a signed gap declares them.",
  counter: { name: "sdk_events_lost_total", help: "Events given up and declared lost, by reason.", labels: ["reason"], by: "events" },
});

export const framesSettled: EventDefinition<{ producer: string; frames: number; events: number; invalid: number; answer: string }> =
  defineEvent({
    name: "sdk_frames_settled",
    level: "debug",
    help: "Frames got their answer.",
    counter: { name: "sdk_events_settled_total", help: "Events that got their answer, by answer.", labels: ["answer"], by: "events" },
  });

export const certificateRenewed: EventDefinition<{ producer: string; days: number }> = defineEvent({
  name: "sdk_certificate_renewed",
  level: "info",
  help: "The producer has a new certificate; the next connection uses it.",
  counter: { name: "sdk_certificates_renewed_total", help: "Certificates renewed.", labels: [] },
});

export const batchKeyTaken: EventDefinition<{ producer: string; key_id: string }> = defineEvent({
  name: "sdk_batch_key_taken",
  level: "info",
  help: "Another batch key signs from the next frame on; what was signed before keeps its signature.",
  counter: { name: "sdk_batch_keys_taken_total", help: "Batch keys that took over while the producer ran.", labels: [] },
});

export const identityUnread: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_identity_unread",
  level: "warn",
  help: "The identity's files have changed and cannot be used; the producer goes on with what it has.",
});

export const renewalFailed: EventDefinition<{ producer: string; code: string; detail: string }> = defineEvent({
  name: "sdk_renewal_failed",
  level: "warn",
  help: "The certificate could not be renewed; it is tried again.",
  counter: { name: "sdk_renewals_failed_total", help: "Failed renewals by code.", labels: ["code"] },
});

export const certificateEnding: EventDefinition<{ producer: string; days: number }> = defineEvent({
  name: "sdk_certificate_ending",
  level: "warn",
  help: "The producer's certificate ends in 30, 14 or 7 days and has not been renewed.",
});

export const clockWrong: EventDefinition<{ producer: string; offset_seconds: number }> = defineEvent({
  name: "sdk_clock_wrong",
  level: "error",
  help: "By this host's clock the gateway's certificate is not valid, by the registry's signed time it is. The connection goes on; set the clock.",
  counter: { name: "sdk_clock_wrong_total", help: "Connections that needed signed time.", labels: [] },
  noAlarm: "told on the producer's host, by its log and metrics; what it means for the log, gateway and engine tell",
});

export const certificateDays: GaugeDefinition = defineGauge({
  name: "sdk_certificate_days",
  help: "Whole days until the producer's certificate ends.",
  unit: "days",
  labels: ["producer"],
});

export const spoolBytes: GaugeDefinition = defineGauge({
  name: "sdk_spool_bytes",
  help: "Bytes of the spool on disk.",
  unit: "bytes",
  labels: ["producer"],
});
export const spoolFrames: GaugeDefinition = defineGauge({
  name: "sdk_spool_frames",
  help: "Frames in the spool.",
  unit: "frames",
  labels: ["producer"],
});
