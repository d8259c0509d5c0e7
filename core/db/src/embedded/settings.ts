/**
 * Why it exists: the embedded server's settings in one table, derived from the machine, each with its reason.
 * Enforces: durability is stated, not assumed; no TCP port; UTC.
 * Forbids: sizes that ignore the machine.
 */
import type { DiskFacts, MachineFacts } from "ransomeye-kernel";

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** What the settings are derived from. */
export interface SettingsInput {
  readonly machine: Pick<MachineFacts, "memoryBytes" | "cores">;
  readonly disk: DiskFacts;
  readonly socketDirectory: string;
  readonly port: number;
  /** Over ours; the caller's budget of connections for example. */
  readonly overrides: Readonly<Record<string, string>>;
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / mebibyte)}MB`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

/** Settings by name, as `postgres -c name=value` takes them. */
export function serverSettings(input: SettingsInput): Readonly<Record<string, string>> {
  const { machine, disk } = input;
  // Frames and rows are written once and read soon after: the page cache serves that; an eighth is enough, the box is shared.
  const sharedBuffers = clamp(machine.memoryBytes / 8, 128 * mebibyte, 4 * gibibyte);
  // Much log between checkpoints spares full page images (rules.md, CPU budget), but never a quarter of what the disk has left.
  const walBytesMax = clamp(disk.freeBytes / 4, 256 * mebibyte, 8 * gibibyte);
  return {
    listen_addresses: "",
    port: String(input.port),
    unix_socket_directories: input.socketDirectory,
    unix_socket_permissions: "0700",
    password_encryption: "scram-sha-256",
    max_connections: "200",
    // What a receipt rests on. assertDurable() checks the same from inside a session.
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    wal_sync_method: "fdatasync",
    // A failed fsync must never be forgotten: PostgreSQL stops, recovers from its log, and we start it again.
    data_sync_retry: "off",
    // Kept at replica for base backups and point-in-time restore; minimal would save nothing on partitions that already exist.
    wal_level: "replica",
    // The embedded build knows only pglz, which costs more than the bytes it saves.
    wal_compression: "off",
    shared_buffers: megabytes(sharedBuffers),
    effective_cache_size: megabytes(machine.memoryBytes / 2),
    maintenance_work_mem: megabytes(clamp(machine.memoryBytes / 32, 64 * mebibyte, gibibyte)),
    max_wal_size: megabytes(walBytesMax),
    min_wal_size: megabytes(clamp(walBytesMax / 8, 80 * mebibyte, gibibyte)),
    checkpoint_timeout: "15min",
    checkpoint_completion_target: "0.9",
    // Day partitions of several tables under one query: each needs a lock of its own.
    max_locks_per_transaction: "256",
    autovacuum: "on",
    autovacuum_naptime: "20s",
    // What can wait takes half of the cores, and a question a quarter of them beside its own: on a small machine producers would wait while somebody counts.
    autovacuum_max_workers: String(clamp(Math.floor(machine.cores / 2), 1, 3)),
    max_parallel_workers_per_gather: String(clamp(Math.floor(machine.cores / 4), 0, 2)),
    max_parallel_maintenance_workers: String(clamp(Math.floor(machine.cores / 4), 0, 2)),
    // The queries here are short or read much; compiling them costs more than it gives, and holds memory.
    jit: "off",
    TimeZone: "UTC",
    log_timezone: "UTC",
    DateStyle: "ISO, YMD",
    logging_collector: "off",
    log_destination: "stderr",
    // %e is the SQLSTATE: a failed start is classified by it and not by words.
    log_line_prefix: "%m [%p] %e %q%u@%d %a ",
    log_min_messages: "warning",
    // Statements may hold attackers' text and analysts' secrets: PostgreSQL logs the error, never the statement.
    log_min_error_statement: "panic",
    log_parameter_max_length: "0",
    log_parameter_max_length_on_error: "0",
    ...input.overrides,
  };
}
