// Why: what programs tell the audit system (PAM, sshd, sudo, systemd) has a manner of its own: a text in quotes, with its own fields.
// Enforces: who logged on and off, what was run through sudo, accounts and the audit service itself go to the classes that they mean; all else stays a
//   base event.
// Forbids: calling each of PAM's steps a logon: one logon makes five of them.

import type { Fields } from "../json.ts";
import { actorOf, baseName, fileAt } from "../ocsf_parts.ts";
import { accountParts } from "./accounts.ts";
import type { AuditRecords } from "./audit_event.ts";
import { auditServiceParts } from "./audit_service.ts";
import type { AuditPart } from "./calls.ts";
import { account, origin, outcome, sender } from "./message_subjects.ts";
import { actorBy, known, processBy, sessionBy, userBy } from "./subjects.ts";

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
const parts: ReadonlyMap<string, (record: Fields, records: AuditRecords) => AuditPart | undefined> = new Map([
  ["USER_LOGIN", authentication(1)],
  ["USER_LOGOUT", authentication(2)],
  ...["USER_AUTH", "USER_ACCT", "USER_START", "USER_END", "USER_ERR", "CRED_ACQ", "CRED_DISP", "CRED_REFR"].map(
    (type) => [type, authentication(other)] as const,
  ),
  ["USER_CMD", command],
  ["ANOM_ABEND", abnormalEnd],
  ...accountParts,
  ...auditServiceParts,
]);

/** What a message was; undefined where its type has no class. */
export function messagePart(records: AuditRecords): AuditPart | undefined {
  return parts.get(records.type)?.(records.one(records.type), records);
}
