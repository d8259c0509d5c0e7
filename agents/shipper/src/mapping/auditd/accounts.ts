// Why: whoever stays on a host makes an account, or puts one into a group that may do more.
// Enforces: the record's type says whether it is about a user or a group; the program's word (`op`) says what was done, in the words of shadow-utils old
//   and new (`adding user to group`, `add-user-to-group`).
// Forbids: calling what comes beside an account (its home, its mail, the locks on the files) its creation or its end, and accounts that nobody named.

import { type Fields, type Json, some } from "../json.ts";
import { actorOf } from "../ocsf_parts.ts";
import type { AuditPart } from "./calls.ts";
import { namedAccount, origin, outcome, sender } from "./message_subjects.ts";
import { idBy, known, sessionBy, userBy } from "./subjects.ts";

const userManagement = 3007;
const groupManagement = 3006;

/** Activities of User Management. */
const user = { create: 1, update: 2, delete: 3, lock: 6, unlock: 7, passwordChange: 8 } as const;
/** Activities of Group Management. */
const group = { addUser: 3, removeUser: 4, delete: 5, create: 6, update: 9 } as const;

/** What was done, in lower case with spaces: newer programs join the words by hyphens, older ones leave them as words of no name. */
function deedOf(message: Fields): string {
  return `${message.word("op") ?? ""} ${message.word("words") ?? ""}`
    .toLowerCase()
    .replaceAll(/[-\s]+/g, " ")
    .trim();
}

/** Steps beside the account itself. */
const beside = /\b(?:home|mail|directory|file|shadow|group|member|membership)\b/;
const password = /\b(?:password|passwd|chauthtok)\b/;
/** How long a password lives is the account's, not the password. */
const passwordAge = /\b(?:age|aging|expir\w*|inactiv\w*|minimum|maximum|warning)\b/;

/** The activity of a change to a user: its type's own, unless the deed was something smaller or something else. */
function userActivity(own: number, deed: string): number {
  if (own === user.lock || own === user.unlock) return own;
  if (beside.test(deed)) return user.update;
  if (own !== user.update) return own;
  if (/\bunlock/.test(deed)) return user.unlock;
  if (/\block/.test(deed)) return user.lock;
  return password.test(deed) && !passwordAge.test(deed) ? user.passwordChange : user.update;
}

/** Who did it, from where, and how it went. */
function around(record: Fields, message: Fields): Json {
  return {
    actor: actorOf({ process: sender(record, message), user: userBy(record, "auid"), session: sessionBy(record) }),
    src_endpoint: origin(message),
    ...outcome(message),
  };
}

/** A user came into a group or left it; undefined where that was not the deed, or where not both are named. */
function membership(record: Fields, message: Fields, deed: string): AuditPart | undefined {
  const way = / (to|from) (?:shadow )?group$/.exec(deed)?.[1];
  if (way === undefined) return undefined;
  const both = message.attempt(() => {
    const name = known(message, "grp");
    const member = name === undefined ? undefined : namedAccount(record, message);
    return member === undefined ? undefined : { group: { name }, users: [member] };
  });
  if (both === undefined) return undefined;
  const activityId = way === "to" ? group.addUser : group.removeUser;
  return { classUid: groupManagement, activityId, fields: { ...both, ...around(record, message) } };
}

function userChange(own: number): (record: Fields) => AuditPart | undefined {
  return (record) => {
    const message = record.nested("msg");
    const deed = deedOf(message);
    const joined = membership(record, message, deed);
    if (joined !== undefined) return joined;
    const target = namedAccount(record, message);
    if (target === undefined) return undefined;
    return {
      classUid: userManagement,
      activityId: userActivity(own, deed),
      fields: { user: target, ...around(record, message) },
    };
  };
}

/** Newer programs name the group `grp`; older ones have put it where accounts stand. */
function groupNamed(message: Fields): Json | undefined {
  const name = known(message, "grp") ?? known(message, "acct");
  return some({ name, uid: idBy(message, "id") });
}

function groupChange(own: number): (record: Fields) => AuditPart | undefined {
  return (record) => {
    const message = record.nested("msg");
    const joined = membership(record, message, deedOf(message));
    if (joined !== undefined) return joined;
    const target = groupNamed(message);
    return target === undefined
      ? undefined
      : { classUid: groupManagement, activityId: own, fields: { group: target, ...around(record, message) } };
  };
}

/** Readers by type. */
export const accountParts: readonly (readonly [type: string, part: (record: Fields) => AuditPart | undefined])[] = [
  ["ADD_USER", userChange(user.create)],
  ["DEL_USER", userChange(user.delete)],
  ["USER_MGMT", userChange(user.update)],
  ["USER_CHAUTHTOK", userChange(user.update)],
  ["ACCT_LOCK", userChange(user.lock)],
  ["ACCT_UNLOCK", userChange(user.unlock)],
  ["ADD_GROUP", groupChange(group.create)],
  ["DEL_GROUP", groupChange(group.delete)],
  ["GRP_MGMT", groupChange(group.update)],
  ["GRP_CHAUTHTOK", groupChange(group.update)],
];
