/**
 * Why it exists: everything this room says to operators, log line and metric from one definition.
 * Enforces: ERROR only where data is at risk or an operator is needed.
 * Forbids: passwords, SQL values or rows in fields.
 */
import { defineEvent, type EventDefinition } from "ransomeye-kernel";

export const poolConnectionLost: EventDefinition<{ application: string; reason: string }> = defineEvent({
  name: "db_pool_connection_lost",
  level: "warn",
  help: "An idle connection of the pool ended; the next query opens another.",
  counter: {
    name: "ransomeye_db_pool_connections_lost_total",
    help: "Idle connections that ended by themselves.",
    labels: ["application"],
  },
});

export const serverStarted: EventDefinition<{ pid: number; data_directory: string; version: string; seconds: number; run_as: string }> =
  defineEvent({
    name: "db_server_started",
    level: "info",
    help: "The embedded PostgreSQL accepts connections.",
    counter: { name: "ransomeye_db_server_starts_total", help: "Starts of the embedded PostgreSQL.", labels: [] },
  });

export const serverInitialised: EventDefinition<{ data_directory: string; version: string }> = defineEvent({
  name: "db_server_initialised",
  level: "info",
  help: "A new database cluster was created.",
});

export const serverTakenOver: EventDefinition<{ pid: number; data_directory: string }> = defineEvent({
  name: "db_server_taken_over",
  level: "warn",
  help: "A postmaster of ours that an earlier supervisor left behind was stopped cleanly (R-22).",
});

export const serverWaitsForRemains: EventDefinition<{ data_directory: string; waited_ms: number; processes: number }> = defineEvent({
  name: "db_server_waits_for_remains",
  level: "warn",
  help: "Processes of a killed postmaster still hold its shared memory; the start waits for them (R-22).",
});

export const serverStopped: EventDefinition<{ pid: number; mode: string; seconds: number }> = defineEvent({
  name: "db_server_stopped",
  level: "info",
  help: "The embedded PostgreSQL was stopped on our word.",
});

export const serverExited: EventDefinition<{ pid: number; exit_code: number | null; signal: string | null }> = defineEvent({
  name: "db_server_exited",
  level: "error",
  help: "The embedded PostgreSQL ended without our word; the supervisor restarts it and it recovers from its log.",
  counter: { name: "ransomeye_db_server_exits_total", help: "Unasked ends of the embedded PostgreSQL.", labels: [] },
  alarm: { title: "PostgreSQL ended without being asked to", severity: "high", about: [] },
});

export const migrationApplied: EventDefinition<{ number: number; name: string; seconds: number }> = defineEvent({
  name: "db_migration_applied",
  level: "info",
  help: "A numbered migration was applied.",
  counter: { name: "ransomeye_db_migrations_applied_total", help: "Migrations applied by this process.", labels: [] },
});

export const partitionsMade: EventDefinition<{ from_day: string; days: number; made: number }> = defineEvent({
  name: "db_partitions_made",
  level: "info",
  help: "Day partitions were made ahead.",
  counter: { name: "ransomeye_db_partitions_made_total", help: "Day partitions made.", labels: [], by: "made" },
});

export const dayMissing: EventDefinition<{ day: string }> = defineEvent({
  name: "db_day_missing",
  level: "warn",
  help: "The intake waited for a day that was not there; it was made at once. Days ahead should have been made long before: a clock has jumped, or somebody removed tables.",
  counter: { name: "ransomeye_db_days_missing_total", help: "Days that were made when the intake already waited for them.", labels: [] },
});

export const partitionRetried: EventDefinition<{ attempt: number; reason: string }> = defineEvent({
  name: "db_partition_retried",
  level: "warn",
  help: "A partition could not be attached within lock_timeout; it is tried again.",
  counter: { name: "ransomeye_db_partition_retries_total", help: "Attempts that ended at lock_timeout.", labels: [] },
});

export const dayDropped: EventDefinition<{ day: string; bytes: number; reason: string }> = defineEvent({
  name: "db_day_dropped",
  level: "info",
  help: "Retention dropped a day's partitions, by age or by bytes (R-33).",
  counter: { name: "ransomeye_db_dropped_bytes_total", help: "Bytes freed by retention.", labels: ["reason"], by: "bytes" },
});

export const matrixDrifted: EventDefinition<{ unlisted: string; missing: string }> = defineEvent({
  name: "db_matrix_drifted",
  level: "warn",
  help: "Objects and ownership matrix do not name the same things; what is not listed has no rights at all.",
});
