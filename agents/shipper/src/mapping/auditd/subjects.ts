// Why: every record of auditd's names processes and users by the same few fields.
// Enforces: one way from those fields to OCSF's objects; ids that are not set are nobody.
// Forbids: taking the login user (auid), who stays the same through sudo, for the user that a process runs as.

import { type Fields, type Json, some } from "../json.ts";
import { actorOf, baseName, fileAt, userOf } from "../ocsf_parts.ts";

/** -1 as the kernel prints it, and as tools do. */
const unset: ReadonlySet<string> = new Set(["4294967295", "-1", "unset"]);

/** Placeholders that say that nothing is known. */
const nothing: ReadonlySet<string> = new Set(["?", "(null)", "(none)", ""]);

/** Takes a text that says something. */
export function known(record: Fields, name: string): string | undefined {
  const value = record.word(name);
  return value === undefined || nothing.has(value) ? undefined : record.text(name);
}

/** Takes an id that is set. */
export function idBy(record: Fields, name: string): string | undefined {
  return unset.has(record.word(name) ?? "") ? undefined : known(record, name);
}

/** Takes the name of an id that auditd resolved: it stands under the id's own name in capitals. */
export function resolvedName(record: Fields, name: string): string | undefined {
  const resolved = record.word(name.toUpperCase());
  return resolved === undefined || unset.has(resolved) || resolved.startsWith("unknown(") ? undefined : record.text(name.toUpperCase());
}

/** A user by the name of its id's field. */
export function userBy(record: Fields, name: string): Json | undefined {
  const uid = record.word(name);
  if (uid === undefined || unset.has(uid)) return undefined;
  return record.attempt(() => userOf({ uid: record.text(name), name: resolvedName(record, name) }));
}

/** The login session. */
export function sessionBy(record: Fields): Json | undefined {
  const ses = record.word("ses");
  return ses === undefined || unset.has(ses) ? undefined : { uid: record.text("ses"), terminal: known(record, "tty") };
}

/** The process that made a record, as the kernel knows it. */
export function processBy(record: Fields, more: Json = {}): Json | undefined {
  const path = known(record, "exe");
  // The thread's name tells something new only where it is not the program's.
  const name = path === undefined || record.word("comm") === baseName(path) ? known(record, "comm") : baseName(path);
  return some({ pid: record.integer("pid"), name, file: fileAt(path), user: userBy(record, "uid"), ...more });
}

/** Who acted: the process and the user who once logged in. */
export function actorBy(record: Fields, process: Json | undefined): Json | undefined {
  return actorOf({ process, user: userBy(record, "auid"), session: sessionBy(record) });
}

/** Success or failure of a system call. */
export function outcomeOf(record: Fields): Json {
  const success = record.word("success");
  if (success === undefined) return {};
  return { status_id: success === "yes" ? 1 : 2, status: record.text("success"), status_code: record.text("exit") };
}
