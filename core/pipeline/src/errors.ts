/**
 * Why it exists: every way in which the bus can fail its caller has one name.
 * Enforces: a closed table of BUS_* codes with stage, disposition, meaning and next step. Only infrastructure, corruption and defects are
 * errors; every verdict on a frame is a returned outcome (bus.ts).
 * Forbids: matching on messages, or on a server's own codes outside its adapter.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

export type BusCode =
  | "BUS_UNAVAILABLE"
  | "BUS_OUTCOME_UNKNOWN"
  | "BUS_NO_SPACE"
  | "BUS_NOT_DURABLE"
  | "BUS_NOT_PREPARED"
  | "BUS_FORBIDDEN"
  | "BUS_HOLE"
  | "BUS_CORRUPT"
  | "BUS_HISTORY_DIVERGED"
  | "BUS_TRIMMED"
  | "BUS_BAD_ARGUMENT"
  | "BUS_CLOSED"
  | "BUS_INTERNAL";

/** The table of codes; the reference page is generated from it. */
export const BUS_CODES: CodeTable<BusCode> = {
  BUS_UNAVAILABLE: {
    stage: "bus",
    disposition: "retry",
    meaning: "The bus could not be reached, or gave the work back undone (restart, too many connections, a conflict of locks).",
    next: "Nothing was changed; the caller tries again with back-off. If it lasts, look at the server that holds the bus.",
  },
  BUS_OUTCOME_UNKNOWN: {
    stage: "append",
    disposition: "retry",
    meaning:
      "The connection was lost while a change was under way, or the master or too few replicas confirmed it in time; it may or may not have become durable.",
    next: "The caller appends the same frames again: what was stored comes back as duplicate, the rest is accepted.",
  },
  BUS_NO_SPACE: {
    stage: "append",
    disposition: "retry",
    meaning: "The server that holds the bus has no space left (or no memory) for the append; nothing of it was stored.",
    next: "Free disk space on its host, or give it more memory; producers keep their frames meanwhile.",
  },
  BUS_NOT_DURABLE: {
    stage: "open",
    disposition: "fatal",
    meaning:
      "The server is set so that a receipt would promise what a power cut, a crash or an eviction can take back (R-4); the error names the settings.",
    next: "PostgreSQL: set fsync, full_page_writes and synchronous_commit to on (ALTER SYSTEM SET … and reload). Redis or Valkey: appendonly yes, appendfsync always, no-appendfsync-on-rewrite no, maxmemory-policy noeviction, on replicas too. Then start again.",
  },
  BUS_NOT_PREPARED: {
    stage: "open",
    disposition: "fatal",
    meaning: "The server holds no bus, or one without partitions.",
    next: "Let `ransomeye start` prepare it (on PostgreSQL `ransomeye init` runs the migrations as administrator), then start again.",
  },
  BUS_FORBIDDEN: {
    stage: "bus",
    disposition: "fatal",
    meaning:
      "The database role or the server's user may not do this: the ownership matrix does not allow it, or the wrong one was configured.",
    next: "Compare the role in the error with the ownership matrix. On Redis or Valkey: have the servers load what `ransomeye bus acl` prints (with --waitaof where the error says so). Never grant by hand.",
  },
  BUS_HOLE: {
    stage: "read",
    disposition: "fatal",
    meaning: "An offset is missing in a partition. Offsets are dense by construction, so entries have been removed or lost.",
    next: "The partition stops. Keep the server as it is, restore or reconcile it, and compare with the producers' spools.",
  },
  BUS_CORRUPT: {
    stage: "read",
    disposition: "fatal",
    meaning: "The bytes of an entry do not match the hash that was stored with them, or something else stands in their place.",
    next: "The partition or stream stops. Check disk and memory of the server's host; restore the entry from a backup. Where somebody has added an entry the message says how to remove it.",
  },
  BUS_HISTORY_DIVERGED: {
    stage: "read",
    disposition: "fatal",
    meaning:
      "The entry at a stored position is not the one that was read there, or a part of the bus is gone: a failover or a restore has rewritten history (R-2).",
    next: "Find out which server was restored or failed over; `ransomeye reconcile` compares log and rows, and lets a partition go on.",
  },
  BUS_TRIMMED: {
    stage: "read",
    disposition: "fatal",
    meaning: "The position lies below what the bus still keeps: entries in between were removed before this reader had them.",
    next: 'After a restore of the database under a log on servers of its own: start with --after-loss and another bus.key_prefix (core/docs/data_plane.md, "Backup and crash"). Else decide what to do about the missing entries, then rewind the group to the first entry that is kept.',
  },
  BUS_BAD_ARGUMENT: {
    stage: "bus",
    disposition: "reject",
    meaning: "The caller broke a bound or a rule of the port (bytes, counts, a position that moves backward). A defect of the caller.",
    next: "Report it with the error's fields; nothing was changed.",
  },
  BUS_CLOSED: {
    stage: "bus",
    disposition: "reject",
    meaning: "The bus was used after close().",
    next: "None; the process is shutting down.",
  },
  BUS_INTERNAL: {
    stage: "bus",
    disposition: "fatal",
    meaning: "The server answered with something that the bus does not expect.",
    next: "Report it with the cause; the server's own code is in the error's fields.",
  },
};

export class BusError extends RansomeyeError<BusCode> {
  constructor(code: BusCode, message: string, options?: ErrorOptions) {
    super(BUS_CODES, code, message, options);
  }
}
