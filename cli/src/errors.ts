/**
 * Why it exists: a command that fails has to say what happened, what to do next, and leave an exit code that a script can branch on.
 * Enforces: the closed table of CLI_* codes, and the one table of exit codes; each code names its exit.
 * Forbids: `process.exit` in commands (they return or throw, main.ts alone sets the exit code), and matching on messages.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

export interface ExitSpec {
  readonly code: number;
  readonly meaning: string;
}

export type ExitName = "ok" | "found" | "usage" | "config" | "unreachable" | "partial" | "interrupted" | "not_found" | "busy" | "defect";

/** Every exit code of `ransomeye`, in one place; `core/docs/cli.md` is generated from it. */
export const EXITS: Readonly<Record<ExitName, ExitSpec>> = {
  ok: { code: 0, meaning: "Done; nothing found that needs attention." },
  found: {
    code: 1,
    meaning:
      "The command worked and found a problem, or was refused: the ledger does not balance, a proof fails, a partition has stopped, a producer is barred, doctor has a finding.",
  },
  usage: { code: 2, meaning: "The command line is wrong, or a named file cannot be opened." },
  config: { code: 3, meaning: "The configuration is not valid; every problem is listed with field and place." },
  unreachable: { code: 4, meaning: "No running system was found in the data directory, or it does not answer in time." },
  partial: { code: 5, meaning: "Some records were invalid or refused; all the others are receipted." },
  interrupted: { code: 6, meaning: "Stopped before the end by a signal; what was receipted is safe, and the run can be resumed." },
  not_found: { code: 7, meaning: "The named event, producer or run does not exist." },
  busy: { code: 8, meaning: "The data directory, identity or port is in use by another process." },
  defect: { code: 70, meaning: "A defect in ransomeye; the stack is printed, please report it." },
};

export type CliCode =
  | "CLI_USAGE"
  | "CLI_NOT_RUNNING"
  | "CLI_UNREACHABLE"
  | "CLI_ALREADY_RUNNING"
  | "CLI_NOT_READY"
  | "CLI_CHILD_FAILED"
  | "CLI_IDENTITY_BUSY"
  | "CLI_IDENTITY_MISSING"
  | "CLI_KIND_MISMATCH"
  | "CLI_EVENT_NOT_FOUND"
  | "CLI_DEAD_LETTER_NOT_FOUND"
  | "CLI_STATEMENT_NOT_FOUND"
  | "CLI_HOLD_NOT_FOUND"
  | "CLI_REBUILD_REFUSED"
  | "CLI_RUN_NOT_FOUND"
  | "CLI_FILE"
  | "CLI_DISK"
  | "CLI_REGISTRY_REFUSED"
  | "CLI_REGISTRY_PROTOCOL"
  | "CLI_PORT_BUSY"
  | "CLI_PERMISSION"
  | "CLI_REFUSED"
  | "CLI_START_FAILED"
  | "CLI_HOST_TOO_SMALL"
  | "CLI_CONTROL_GROUPS"
  | "CLI_BACKUP_EXTERNAL"
  | "CLI_RESTORE_TARGET";

/** What each code means and what the operator does next. */
export const CLI_CODES: CodeTable<CliCode> = {
  CLI_USAGE: {
    stage: "command",
    disposition: "reject",
    meaning: "The command line does not say what to do.",
    next: "Run the command with --help; it ends with examples.",
  },
  CLI_NOT_RUNNING: {
    stage: "connect",
    disposition: "reject",
    meaning: "No running system belongs to this data directory.",
    next: "Run `ransomeye start` (or `npm start`), or name the right folder with --data-dir.",
  },
  CLI_UNREACHABLE: {
    stage: "connect",
    disposition: "retry",
    meaning: "The system is there but does not answer.",
    next: "Look at `ransomeye status` and at the files in the data directory's logs folder.",
  },
  CLI_ALREADY_RUNNING: {
    stage: "start",
    disposition: "reject",
    meaning: "Another supervisor, or another agent, owns this data directory.",
    next: "Use the running one, stop it with Ctrl-C or SIGTERM, or start a second one with another --data-dir.",
  },
  CLI_NOT_READY: {
    stage: "start",
    disposition: "retry",
    meaning: "The system did not become ready in the time given.",
    next: "Look at `ransomeye status` for the role that is missing and at its file in the logs folder.",
  },
  CLI_CHILD_FAILED: {
    stage: "supervise",
    disposition: "retry",
    meaning: "A role's process ended without being asked to; the supervisor starts it again with back-off.",
    next: "Nothing, if it comes back. If it keeps ending, its log in the logs folder names the reason.",
  },
  CLI_IDENTITY_BUSY: {
    stage: "ship",
    disposition: "retry",
    meaning: "Another process ships under this identity; two would sign one sequence twice.",
    next: "Wait for it to end, or enrol an identity of its own with `ransomeye producer enroll` and use --producer.",
  },
  CLI_IDENTITY_MISSING: {
    stage: "ship",
    disposition: "reject",
    meaning: "No identity of that name lies in the data directory.",
    next: "Enrol it first: `ransomeye producer enroll NAME --kind KIND` where the system runs, `ransomeye enrol` with --identity DATA_DIR/identities/NAME elsewhere.",
  },
  CLI_KIND_MISMATCH: {
    stage: "ship",
    disposition: "reject",
    meaning: "A record's format does not fit the kind of the producer that should sign it (R-35).",
    next: "Ship it under a producer of the fitting kind, or leave --producer out and let the format choose.",
  },
  CLI_STATEMENT_NOT_FOUND: {
    stage: "command",
    disposition: "reject",
    meaning: "The sealer has signed no such statement.",
    next: "`ransomeye evidence checkpoint` prints the newest; `ransomeye status` shows whether the sealer runs.",
  },
  CLI_HOLD_NOT_FOUND: {
    stage: "command",
    disposition: "reject",
    meaning: "There is no such legal hold, or it was released before.",
    next: "`ransomeye hold list --all` shows every hold and its release.",
  },
  CLI_REBUILD_REFUSED: {
    stage: "command",
    disposition: "reject",
    meaning: "The day's rows are left as they are: it cannot be rebuilt, put back or let go at this moment.",
    next: "The message says why; `ransomeye rebuild` without a day shows what is kept, and the same command may be given again.",
  },
  CLI_DEAD_LETTER_NOT_FOUND: {
    stage: "command",
    disposition: "reject",
    meaning: "No dead letter of this id, or none that is open and chosen by the filters, is in the stream.",
    next: "`ransomeye dlq list --state all` shows those that the stream still holds.",
  },
  CLI_EVENT_NOT_FOUND: {
    stage: "query",
    disposition: "reject",
    meaning: "No row or dead letter has this id.",
    next: "Ids are producer:epoch:sequence as `ransomeye events` prints them; retention may have removed the day.",
  },
  CLI_RUN_NOT_FOUND: {
    stage: "ship",
    disposition: "reject",
    meaning: "There is no unfinished run to resume.",
    next: "Ship without --resume; that starts a new run.",
  },
  CLI_FILE: { stage: "ship", disposition: "reject", meaning: "A file cannot be read or written.", next: "Check its name and permissions." },
  CLI_DISK: {
    stage: "command",
    disposition: "retry",
    meaning: "The disk has no room, or fails.",
    next: "Free disk space, or look after the disk; then repeat the command.",
  },
  CLI_REGISTRY_REFUSED: {
    stage: "registry",
    disposition: "reject",
    meaning: "The registry refused a request.",
    next: "The message names the reason; `ransomeye producer list` shows what is registered.",
  },
  CLI_REGISTRY_PROTOCOL: {
    stage: "registry",
    disposition: "retry",
    meaning: "The registry's socket carried something that is not its protocol; nothing of it was believed (R-13).",
    next: "If it repeats, make sure that all processes run the same version.",
  },
  CLI_PORT_BUSY: {
    stage: "start",
    disposition: "retry",
    meaning: "The gateway's port is taken.",
    next: "Set gateway.listen to a free port, or to port 0 for any.",
  },
  CLI_PERMISSION: {
    stage: "start",
    disposition: "fatal",
    meaning: "A private file or directory can be read by others, or belongs to somebody else.",
    next: "Give this user the path, closed to others, or name another folder with --data-dir; `ransomeye doctor` looks at every path.",
  },
  CLI_REFUSED: {
    stage: "supervise",
    disposition: "reject",
    meaning: "The running supervisor did not do what it was asked to.",
    next: "The message says why; `ransomeye status` shows what runs under which name.",
  },
  CLI_START_FAILED: {
    stage: "start",
    disposition: "fatal",
    meaning: "The system could not be started.",
    next: "The message and the logs folder name the part that failed.",
  },
  CLI_HOST_TOO_SMALL: {
    stage: "plan",
    disposition: "reject",
    meaning: "The machine has less memory than its services may need together.",
    next: "Add memory, lower gateway.sessions_max, gateway.processes or gateway.buffer_bytes_max, leave the demo fleet out (demo.enabled=false), or move a service to another host.",
  },
  CLI_CONTROL_GROUPS: {
    stage: "start",
    disposition: "fatal",
    meaning: "`supervisor.control_groups` is on, and this process has no control group of its own to divide.",
    next: "Start it by deploy/systemd/ransomeye.service, whose Delegate= gives one, or set supervisor.control_groups to false.",
  },
  CLI_BACKUP_EXTERNAL: {
    stage: "backup",
    disposition: "reject",
    meaning: "The database is an external server, which has tools of its own.",
    next: "Use pg_basebackup of that server's version, and copy keys and configuration as the message says.",
  },
  CLI_RESTORE_TARGET: {
    stage: "restore",
    disposition: "reject",
    meaning: "A restore goes into an empty data directory only.",
    next: "Name another one with --data-dir; what lies in this one was left as it is.",
  },
};

const exitOfCode: Readonly<Record<CliCode, ExitName>> = {
  CLI_USAGE: "usage",
  CLI_NOT_RUNNING: "unreachable",
  CLI_UNREACHABLE: "unreachable",
  CLI_ALREADY_RUNNING: "busy",
  CLI_NOT_READY: "unreachable",
  CLI_CHILD_FAILED: "found",
  CLI_IDENTITY_BUSY: "busy",
  CLI_IDENTITY_MISSING: "not_found",
  CLI_KIND_MISMATCH: "partial",
  CLI_EVENT_NOT_FOUND: "not_found",
  CLI_DEAD_LETTER_NOT_FOUND: "not_found",
  CLI_STATEMENT_NOT_FOUND: "not_found",
  CLI_HOLD_NOT_FOUND: "not_found",
  CLI_REBUILD_REFUSED: "found",
  CLI_RUN_NOT_FOUND: "not_found",
  CLI_FILE: "usage",
  CLI_DISK: "found",
  CLI_REGISTRY_REFUSED: "found",
  CLI_REGISTRY_PROTOCOL: "unreachable",
  CLI_PORT_BUSY: "busy",
  CLI_PERMISSION: "found",
  CLI_REFUSED: "found",
  CLI_START_FAILED: "unreachable",
  CLI_HOST_TOO_SMALL: "found",
  CLI_CONTROL_GROUPS: "found",
  CLI_BACKUP_EXTERNAL: "found",
  CLI_RESTORE_TARGET: "usage",
};

/** Errors of the command line, the supervisor and the registry. */
export class CliError extends RansomeyeError<CliCode> {
  readonly exit: ExitName;

  constructor(code: CliCode, message: string, options?: ErrorOptions) {
    super(CLI_CODES, code, message, options);
    this.exit = exitOfCode[code];
  }
}

const diskCodes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS"]);

/** A failed system call is the machine's matter, or the operator's, and no defect of ours; anything else stays what it is. */
export function ours(error: unknown): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof RansomeyeError) return error;
  return new CliError(diskCodes.has(code) ? "CLI_DISK" : "CLI_FILE", (error as Error).message, { cause: error });
}

/** The name of a failed system call's error; undefined for any other. */
export function systemCode(error: unknown): string | undefined {
  const { code, syscall } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException;
  return syscall === undefined ? undefined : code;
}

/** Exits of other rooms' codes, where it is not that nobody answers. */
const exitOfOthers: ReadonlyMap<string, ExitName> = new Map<string, ExitName>([
  ["ENGINE_HISTORY_DIVERGED", "found"],
  ["ENGINE_COUNT_BROKEN", "found"],
  ["SDK_OPTIONS_INVALID", "usage"],
  ["SDK_IDENTITY_INVALID", "usage"],
  ["SDK_IDENTITY_EXPOSED", "found"],
  ["SDK_SPOOL_LOCKED", "busy"],
  ["SDK_SPOOL_CORRUPT", "found"],
  ["SDK_SPOOL_FAILED", "found"],
  ["SDK_DISK_FULL", "found"],
  ["SDK_EPOCH_LIMIT", "found"],
  ["SDK_FENCED", "found"],
  ["SDK_REFUSED", "found"],
  ["SDK_KEY_RETIRED", "found"],
  ["SDK_ENROL_REFUSED", "found"],
  ["SDK_ENROL_UNTRUSTED", "found"],
  ["SHIP_CHECKPOINT", "found"],
  ["DB_BACKUP_TARGET", "usage"],
  ["DB_BACKUP_UNSUPPORTED", "found"],
  ["DB_BACKUP_INTERRUPTED", "found"],
  ["DB_BACKUP_INCOMPLETE", "found"],
  ["DB_BACKUP_DAMAGED", "found"],
  ["EVIDENCE_FILE_UNREADABLE", "found"],
  ["EVIDENCE_ENTRY_MISSING", "found"],
  ["EVIDENCE_NOTHING_SELECTED", "not_found"],
  ["EVIDENCE_KEY_UNREADABLE", "usage"],
  ["EVIDENCE_STATEMENT_MALFORMED", "usage"],
]);

/** The exit name for whatever a command threw: ours by its table, configuration errors as such, anything else is a defect. */
export function exitOf(error: unknown): ExitName {
  if (error instanceof CliError) return error.exit;
  if (!(error instanceof RansomeyeError)) return "defect";
  return exitOfOthers.get(error.code) ?? (error.code.startsWith("CONFIG_") ? "config" : "unreachable");
}
