/**
 * Why it exists: everything the bus says to operators, log line and metric from one definition.
 * Enforces: ERROR only where data is at risk or an operator is needed.
 * Forbids: payloads, keys or frame bytes in fields.
 */
import { defineEvent, defineGauge, type EventDefinition, type GaugeDefinition } from "ransomeye-kernel";

const secondsBuckets: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export const busOpened: EventDefinition<{ adapter: string; generation: string; partitions: number }> = defineEvent({
  name: "bus_opened",
  level: "info",
  help: "The bus answers and is durable.",
});

export const busConfirmation: EventDefinition<{ server: string; confirms: string }> = defineEvent({
  name: "bus_confirmation",
  level: "info",
  help: "What replicas of a log's server confirm before a receipt: flushed (WAITAOF), or received, where the server has no WAITAOF (WAIT).",
});

export const busAppended: EventDefinition<{ part: number; frames: number; bytes: number; seconds: number }> = defineEvent({
  name: "bus_appended",
  level: "debug",
  help: "One durable append call, with the frames that were grouped into it.",
  counter: { name: "ransomeye_bus_appended_bytes_total", help: "Bytes handed to the bus.", labels: [], by: "bytes" },
  histogram: {
    name: "ransomeye_bus_append_seconds",
    help: "Time of one append call, flush included.",
    unit: "seconds",
    labels: [],
    value: "seconds",
    buckets: secondsBuckets,
  },
});

export const busFramesJudged: EventDefinition<{ verdict: string; frames: number }> = defineEvent({
  name: "bus_frames_judged",
  level: "debug",
  help: "Verdicts on the frames of one append call.",
  counter: { name: "ransomeye_bus_frames_total", help: "Frames by verdict.", labels: ["verdict"], by: "frames" },
});

export const busEquivocation: EventDefinition<{ producer: string; epoch: number; first_seq: number; head_seq: number }> = defineEvent({
  name: "bus_equivocation",
  level: "error",
  help: "A producer has signed a second history under its key: a cloned machine or a stolen key.",
  counter: { name: "ransomeye_bus_equivocations_total", help: "Frames refused as equivocation.", labels: [] },
  noAlarm: "one line for each frame; the gateway tells it as equivocation_found",
});

export const busEpochOpened: EventDefinition<{ producer: string; epoch: number; part: number }> = defineEvent({
  name: "bus_epoch_opened",
  level: "info",
  help: "A producer's epoch was sealed and the next one opened.",
  counter: { name: "ransomeye_bus_epochs_opened_total", help: "Epochs opened.", labels: [] },
});

export const busEpochLimited: EventDefinition<{ producer: string; epoch: number }> = defineEvent({
  name: "bus_epoch_limited",
  level: "error",
  help: "A producer wants more epochs than a day allows: a suspected clone, an operator decides (R-6).",
  counter: { name: "ransomeye_bus_epochs_limited_total", help: "Epoch openings refused by the daily limit.", labels: [] },
  noAlarm: "one line for each attempt; the registry tells it as clone_suspected",
});

export const busCallFailed: EventDefinition<{ call: string; code: string; server_code: string | null; frames: number }> = defineEvent({
  name: "bus_call_failed",
  level: "warn",
  help: "A call to the bus failed; its code says what the caller does next.",
  counter: { name: "ransomeye_bus_call_failures_total", help: "Failed calls to the bus.", labels: ["call", "code"] },
});

export const busStopped: EventDefinition<{ part: number; off: number; code: string }> = defineEvent({
  name: "bus_partition_stopped",
  level: "error",
  help: "A partition cannot be read on: a hole, corrupt bytes or another history.",
  counter: {
    name: "ransomeye_bus_partition_stops_total",
    help: "Reads that ended in a hole, corruption or a diverged history.",
    labels: ["code"],
  },
  noAlarm: "the engine, which reads, tells it as partition_stopped",
});

export const silentHolderEnded: EventDefinition<{ group: string; backend_pid: number }> = defineEvent({
  name: "bus_silent_holder_ended",
  level: "warn",
  help: "A session held partitions past the end of its lease while PostgreSQL waited for its client, and was ended: its process stands still or is cut off. What it had not committed comes again.",
  counter: {
    name: "ransomeye_bus_silent_holders_ended_total",
    help: "Sessions that were ended because they held partitions past their lease and said nothing.",
    labels: ["group"],
  },
});

export const busQueuedBytes: GaugeDefinition = defineGauge({
  name: "ransomeye_bus_append_queued_bytes",
  help: "Bytes of frames that wait for an append call under way.",
  unit: "bytes",
  labels: [],
});

export const messagesPublished: EventDefinition<{ stream: string; outcome: string; messages: number }> = defineEvent({
  name: "messages_published",
  level: "debug",
  help: "Messages handed to a stream, by what became of them.",
  counter: {
    name: "ransomeye_messages_published_total",
    help: "Messages by stream and outcome.",
    labels: ["stream", "outcome"],
    by: "messages",
  },
});

export const messageRetried: EventDefinition<{ stream: string; group: string; message_id: string; deliveries: number; reason: string }> =
  defineEvent({
    name: "message_retried",
    level: "warn",
    help: "A message could not be handled; it comes again after a back-off.",
    counter: { name: "ransomeye_message_retries_total", help: "Messages that were rejected and come again.", labels: ["stream", "group"] },
  });

export const messageBuried: EventDefinition<{ stream: string; group: string; message_id: string; deliveries: number; reason: string }> =
  defineEvent({
    name: "message_buried",
    level: "warn",
    help: "A message went to the dead letters: a person decides whether it is sent again. The system's keeper alarms each of them, whoever buried it.",
    counter: { name: "ransomeye_messages_buried_total", help: "Messages that went to the dead letters.", labels: ["stream", "group"] },
  });

export const messagesMissing: EventDefinition<{
  stream: string;
  group: string;
  priority: number;
  from_off: number;
  to_off: number;
  messages: number;
}> = defineEvent({
  name: "messages_missing",
  level: "error",
  help: "Messages that a group never had are gone: somebody has removed them by hand, or a server has lost them.",
  counter: {
    name: "ransomeye_messages_missing_total",
    help: "Messages that were gone before a group had them.",
    labels: ["stream", "group"],
    by: "messages",
  },
  alarm: { title: "Messages are gone that a group never had", severity: "high", about: ["stream", "group"] },
});

export const messagesArchived: EventDefinition<{ stream: string; messages: number }> = defineEvent({
  name: "messages_archived",
  level: "debug",
  help: "Messages were copied from the servers into the archive: they may leave the servers' memory.",
  counter: {
    name: "ransomeye_messages_archived_total",
    help: "Messages that were copied into the archive.",
    labels: ["stream"],
    by: "messages",
  },
});

export const messagesUnarchived: GaugeDefinition = defineGauge({
  name: "ransomeye_messages_unarchived",
  help: "Messages that the servers hold and the archive does not yet; where a stream has so many as fit into the servers' memory, publishers wait.",
  unit: "messages",
  labels: ["stream"],
});

export const messagesReplaced: EventDefinition<{ stream: string; priority: number; messages: number }> = defineEvent({
  name: "messages_replaced",
  level: "error",
  help: "The servers have lost messages that the archive held, and given their places to others: what was archived of them has been replaced.",
  counter: {
    name: "ransomeye_messages_replaced_total",
    help: "Archived messages that the servers had lost and whose places they gave to others.",
    labels: ["stream"],
    by: "messages",
  },
  alarm: { title: "The servers have lost messages that the archive held", severity: "high", about: ["stream"] },
});

export const feedMissed: EventDefinition<{ stream: string; messages: number }> = defineEvent({
  name: "feed_missed",
  level: "debug",
  help: "A follower of the real-time feed was too slow, or came too late, and was told how many messages it has not seen.",
  counter: {
    name: "ransomeye_feed_missed_messages_total",
    help: "Messages that followers of the real-time feed have not seen.",
    labels: ["stream"],
    by: "messages",
  },
});

export const consumerFailed: EventDefinition<{ stream: string; group: string; message_id: string; reason: string }> = defineEvent({
  name: "message_handler_failed",
  level: "debug",
  help: "A consumer's handler threw; the message is rejected with what it threw.",
});
