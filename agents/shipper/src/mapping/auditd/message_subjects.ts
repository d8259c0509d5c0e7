// Why: programs name in their messages' own fields who and what they speak of, all by the same few names.
// Enforces: one way from those fields to OCSF's objects, whatever the message is about.
// Forbids: taking the login user for the account that a message is about where it names one.

import type { Fields, Json } from "../json.ts";
import { endpoint, processOf, userOf } from "../ocsf_parts.ts";
import { idBy, known, resolvedName, userBy } from "./subjects.ts";

const results: Readonly<Record<string, 1 | 2>> = { success: 1, "1": 1, yes: 1, failed: 2, "0": 2, no: 2 };

/** The program's own word for how it went. */
export function outcome(message: Fields): Json {
  const statusId = results[message.word("res") ?? message.word("result") ?? ""];
  return statusId === undefined ? {} : { status_id: statusId, status: message.text("res") ?? message.text("result") };
}

/** The program that sent the message. */
export function sender(record: Fields, message: Fields): Json | undefined {
  return record.attempt(() => processOf({ pid: record.integer("pid"), path: known(message, "exe") }, { user: userBy(record, "uid") }));
}

/** The account that the message names; undefined where it names none. auditd resolves its id behind the message. */
export function namedAccount(record: Fields, message: Fields): Json | undefined {
  const uid = idBy(message, "id");
  return userOf({ name: known(message, "acct") ?? (uid === undefined ? undefined : resolvedName(record, "id")), uid });
}

/** Whom it is about: the account that was named, else the login user. */
export function account(record: Fields, message: Fields): Json | undefined {
  return namedAccount(record, message) ?? userBy(record, "auid");
}

/** Where somebody came from: an address, or a host's name. Programs write the address into both. */
export function origin(message: Fields): Json | undefined {
  const ip = known(message, "addr");
  const hostname = known(message, "hostname");
  return endpoint({ ip, hostname: hostname === ip ? undefined : hostname });
}
