/**
 * Why it exists: a server that finds a backup's label has to be told how far to recover, and where the log beyond the backup lies.
 * Enforces: each restore begins a timeline of its own, so that no archive ever gets two histories under one name; what an earlier restore said is replaced; shell
 * and configuration file are quoted.
 * Forbids: settings that outlive the recovery in their effect: PostgreSQL heeds them only beside its signal file.
 */

/** Up to when, and from which archive. */
export interface RecoveryGoal {
  /** ISO 8601 in UTC; absent: as far as the log goes. */
  readonly until?: string;
  /** Directory with archived files of the log. */
  readonly wal?: string;
  /** Directory of an archive from which nothing is taken, and into which the restored server will put its own: names of timelines that are there are not given again. */
  readonly archive?: string;
}

/** Beside it PostgreSQL recovers, and removes it when it has. */
export const recoverySignal = "recovery.signal";
/** Read after the main file, below the command line. */
export const settingsName = "postgresql.auto.conf";

const [opening, closing] = ["# ransomeye restore: begin", "# ransomeye restore: end"];

/** A word for a shell that PostgreSQL starts: it replaces what follows a per cent sign. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`).replaceAll("%", "%%")}'`;
}

/** A value in PostgreSQL's configuration file. */
function fileValue(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** The settings file with those of this recovery, and without those of an earlier one. */
export function withRecovery(settings: string, goal: RecoveryGoal): string {
  const { until } = goal;
  const before = settings.replaceAll(new RegExp(`${opening}\n[\\s\\S]*?${closing}\n`, "g"), "");
  const values: Record<string, string> = {
    ...sourceOf(goal),
    recovery_target_action: "promote",
    // Nobody asks a server that recovers; one that may be asked insists on as many connections as its predecessor had.
    hot_standby: "off",
    // While it reads its settings PostgreSQL knows no names of zones yet, not even this one.
    ...(until === undefined ? {} : { recovery_target_time: until.replace(/Z$/, "+00") }),
  };
  const lines = Object.entries(values).map(([name, value]) => `${name} = ${fileValue(value)}`);
  return `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${[opening, ...lines, closing].join("\n")}\n`;
}

/** Where the log beyond the backup's own comes from, and along which history. */
function sourceOf({ wal, archive }: RecoveryGoal): Readonly<Record<string, string>> {
  if (wal !== undefined) return { restore_command: `cp ${shellWord(`${wal}/`)}"%f" "%p"` };
  // "There is no more": the backup's own log suffices.
  if (archive === undefined) return { restore_command: "false" };
  return {
    restore_command: `case "%f" in *.history) cp ${shellWord(`${archive}/`)}"%f" "%p";; *) false;; esac`,
    recovery_target_timeline: "current",
  };
}
