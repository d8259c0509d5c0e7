// Why: what the engine tells about itself: log lines and metrics from one list.
// Enforces: ERROR only where data is at risk or an operator is needed.
// Forbids: events of producers in log lines: ids and counts only.

import { type EventDefinition, type GaugeDefinition, defineEvent, defineGauge } from "ransomeye-kernel";

const latencyMs: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000];

export const groupStored: EventDefinition<{ rows: number; frames: number; skipped: number; partitions: number; ms: number }> = defineEvent({
  name: "group_stored",
  level: "debug",
  help: "A commit group became durable.",
  counter: { name: "engine_rows_total", help: "Rows stored.", labels: [], by: "rows" },
  histogram: {
    name: "engine_commit_ms",
    help: "Time from sending a commit group to its commit.",
    unit: "milliseconds",
    labels: [],
    value: "ms",
    buckets: latencyMs,
  },
});

export const framesStored: EventDefinition<{ frames: number; age_ms: number }> = defineEvent({
  name: "frames_stored",
  level: "debug",
  help: "Frames of a commit group became rows; age_ms is the time that the oldest of them spent since its append.",
  counter: { name: "engine_frames_total", help: "Frames stored.", labels: [], by: "frames" },
  histogram: {
    name: "engine_age_ms",
    help: "Time from the append to the rows, of the oldest frame of a group.",
    unit: "milliseconds",
    labels: [],
    value: "age_ms",
    buckets: latencyMs,
  },
});

export const eventsDeadLettered: EventDefinition<{ events: number }> = defineEvent({
  name: "events_dead_lettered",
  level: "info",
  help: "Events of a commit group were kept as dead letters.",
  counter: { name: "engine_dead_letters_total", help: "Events kept as dead letters.", labels: [], by: "events" },
});

export const gapsStored: EventDefinition<{ events: number; reason: string; producer: string }> = defineEvent({
  name: "gaps_stored",
  level: "error",
  help: "Producers have declared events lost, for this reason; `producer` is one of them. The ledger shows them all.",
  counter: { name: "engine_gap_events_total", help: "Events that producers declared lost.", labels: [], by: "events" },
  alarm: { title: "Events are lost: their producers have declared it", severity: "high", about: ["reason"] },
});

export const framesSkipped: EventDefinition<{ frames: number }> = defineEvent({
  name: "frames_skipped",
  level: "info",
  help: "Redelivered frames that the sink already held.",
  counter: { name: "engine_redelivered_frames_total", help: "Redelivered frames that the sink already held.", labels: [], by: "frames" },
});

export const rowsRefused: EventDefinition<{ rows: number; producer: string; epoch: number; seq: number; detail: string }> = defineEvent({
  name: "rows_refused",
  level: "warn",
  help: "PostgreSQL refused single rows; they became dead letters. Producer, epoch and seq name the first.",
  counter: { name: "engine_rows_refused_total", help: "Rows that PostgreSQL refused.", labels: [], by: "rows" },
});

export const commitSettled: EventDefinition<{ stored: boolean; partitions: number; ms: number }> = defineEvent({
  name: "commit_settled",
  level: "warn",
  help: "The answer to a COMMIT was lost; the offset rows have told how it ended.",
  counter: { name: "engine_commits_settled_total", help: "Commits whose answer was lost.", labels: ["stored"] },
});

export const partitionMissing: EventDefinition<{ days: string }> = defineEvent({
  name: "partition_missing",
  level: "warn",
  help: "A day partition was missing when rows were to be written; the engine asks for it to be made.",
  counter: { name: "engine_partition_missing_total", help: "Commit groups that met a missing day partition.", labels: [] },
});

export const storeRetried: EventDefinition<{ code: string; reason: string; attempt: number; partitions: number }> = defineEvent({
  name: "store_retried",
  level: "warn",
  help: "A commit group was not stored and will be read and stored again.",
  counter: { name: "engine_store_retries_total", help: "Commit groups that were not stored.", labels: ["code"] },
});

export const storeStalled: EventDefinition<{ code: string; reason: string; next: string }> = defineEvent({
  name: "store_stalled",
  level: "error",
  help: "Storing has failed many times in a row; frames wait on the bus.",
  counter: { name: "engine_store_stalls_total", help: "Times that storing kept failing.", labels: ["code"] },
  alarm: { title: "Events wait on the bus: storing them keeps failing", severity: "high", about: ["code"] },
});

export const partitionStopped: EventDefinition<{
  part: number;
  code: string;
  off: number;
  producer: string;
  reason: string;
  next: string;
}> = defineEvent({
  name: "partition_stopped",
  level: "error",
  help: "A partition is not read any further until an operator has looked; it is examined again after a pause.",
  counter: { name: "engine_partition_stops_total", help: "Times that a partition was stopped.", labels: ["code"] },
  alarm: { title: "A partition of the log has stopped until an operator has looked", severity: "critical", about: ["part", "code"] },
});

export const partitionHeld: EventDefinition<{ part: number; producer: string; off: number; ms: number }> = defineEvent({
  name: "partition_held",
  level: "warn",
  help: "An epoch's first frame still waits for the end of the epoch before (R-7).",
  counter: { name: "engine_holds_total", help: "Times that a partition waited long for another one.", labels: [] },
});

export const busUnreadable: EventDefinition<{ code: string; reason: string }> = defineEvent({
  name: "bus_unreadable",
  level: "warn",
  help: "The bus could not be read or asked; tried again.",
  counter: { name: "engine_bus_errors_total", help: "Failed questions to the bus.", labels: ["code"] },
});

export const leaseTaken: EventDefinition<{ part: number; token: number; off: number }> = defineEvent({
  name: "lease_taken",
  level: "info",
  help: "This engine now owns a partition.",
});

export const leaseLost: EventDefinition<{ part: number; reason: string }> = defineEvent({
  name: "lease_lost",
  level: "info",
  help: "This engine no longer owns a partition.",
  counter: { name: "engine_leases_lost_total", help: "Leases lost.", labels: ["reason"] },
});

export const engineStarted: EventDefinition<{ member: string; writers: number; partitions: number }> = defineEvent({
  name: "engine_started",
  level: "info",
  help: "The engine reads the bus.",
});

export const lagEntries: GaugeDefinition = defineGauge({
  name: "engine_lag_entries",
  help: "Frames on the bus that have no rows yet, in the partitions that this engine owns.",
  unit: "frames",
  labels: [],
});
export const partitionsOwned: GaugeDefinition = defineGauge({
  name: "engine_partitions_owned",
  help: "Partitions that this engine owns.",
  unit: "partitions",
  labels: [],
});
export const partitionsStopped: GaugeDefinition = defineGauge({
  name: "engine_partitions_stopped",
  help: "Partitions that this engine owns and does not read on.",
  unit: "partitions",
  labels: [],
});

export const forensicsRequested: EventDefinition<{ attack: string; outcome: string }> = defineEvent({
  name: "forensics_requested",
  level: "debug",
  help: "An attack is worth its evidence: a request was published, or had been before.",
  counter: { name: "ransomeye_forensics_requests_total", help: "Forensics requests by outcome of their publication.", labels: ["outcome"] },
});

export const progressUntold: EventDefinition<{ code: string; partitions: number; producers: number }> = defineEvent({
  name: "engine_progress_untold",
  level: "warn",
  help: "The log's servers could not be told how far rows have come; it is tried again, and meanwhile they keep more than they need.",
  counter: { name: "ransomeye_engine_progress_failures_total", help: "Tellings to the log's servers that failed.", labels: ["code"] },
});
