// Why: what programs tell the audit system (PAM, sshd, sudo, systemd) has a manner of its own: a text in quotes, with its own fields.
// Enforces: who logged on and off, and what was run through sudo, go to the classes that they mean; all else stays a base event.
// Forbids: calling each of PAM's steps a logon: one logon makes five of them.

import type { Fields, Json } from "../json.ts";
import { actorOf, baseName, endpoint, fileAt, processOf, userOf } from "../ocsf_parts.ts";
import type { AuditRecords } from "./audit_event.ts";
import type { AuditPart } from "./calls.ts";
import { actorBy, known, processBy, sessionBy, userBy } from "./subjects.ts";

const results: Readonly<Record<string, 1 | 2>> = { success: 1, "1": 1, yes: 1, failed: 2, "0": 2, no: 2 };

/** The program's own word for how it went. */
function outcome(message: Fields): Json {
  const statusId = results[message.word("res") ?? message.word("result") ?? ""];
  return statusId === undefined ? {} : { status_id: statusId, status: message.text("res") ?? message.text("result") };
}

/** The program that sent the message. */
function sender(record: Fields, message: Fields): Json | undefined {
  return record.attempt(() => processOf({ pid: record.integer("pid"), path: known(message, "exe") }, { user: userBy(record, "uid") }));
}

/** Whom it is about: the account that was named, else the login user. */
function account(record: Fields, message: Fields): Json | undefined {
  const user = userOf({ name: known(message, "acct"), uid: known(message, "id") });
  return user ?? userBy(record, "auid");
}

/** Where somebody came from: an address, or a host's name. Programs write the address into both. */
function origin(message: Fields): Json | undefined {
  const ip = known(message, "addr");
  const hostname = known(message, "hostname");
  return endpoint({ ip, hostname: hostname === ip ? undefined : hostname });
}

function authentication(activityId: number): (record: Fields) => AuditPart {
  return (record) => {
    const message = record.nested("msg");
    const from = origin(message);
    const session = sessionBy(record);
    return {
      classUid: 3002,
      activityId,
      activityName: message.word("op"),
      fields: {
        user: account(record, message),
        actor: actorOf({ process: sender(record, message) }),
        src_endpoint: from,
        is_remote: from === undefined ? undefined : true,
        session: session === undefined ? undefined : { ...session, terminal: session["terminal"] ?? known(message, "terminal") },
        ...outcome(message),
      },
    };
  };
}

/** A command that sudo ran for somebody, or refused to. */
function command(record: Fields): AuditPart {
  const message = record.nested("msg");
  const cmdLine = known(message, "cmd");
  const program = cmdLine?.split(" ", 1)[0];
  const process = {
    cmd_line: cmdLine,
    name: program === undefined ? undefined : baseName(program),
    file: program?.startsWith("/") === true ? fileAt(program) : undefined,
    working_directory: known(message, "cwd"),
  };
  const actor = actorOf({ process: sender(record, message), user: userBy(record, "auid"), session: sessionBy(record) });
  return { classUid: 1007, activityId: 1, fields: { process, actor, ...outcome(message) } };
}

/** A process that the kernel ended for what it did. */
function abnormalEnd(record: Fields): AuditPart {
  const process = processBy(record);
  return {
    classUid: 1007,
    activityId: 2,
    fields: { process, actor: actorBy(record, process) },
  };
}

const other = 99;

/** Readers by type. */
const parts: ReadonlyMap<string, (record: Fields) => AuditPart> = new Map([
  ["USER_LOGIN", authentication(1)],
  ["USER_LOGOUT", authentication(2)],
  ...["USER_AUTH", "USER_ACCT", "USER_START", "USER_END", "USER_ERR", "CRED_ACQ", "CRED_DISP", "CRED_REFR"].map(
    (type) => [type, authentication(other)] as const,
  ),
  ["USER_CMD", command],
  ["ANOM_ABEND", abnormalEnd],
]);

/** What a message was; undefined where its type has no class. */
export function messagePart(records: AuditRecords): AuditPart | undefined {
  return parts.get(records.type)?.(records.one(records.type));
}
