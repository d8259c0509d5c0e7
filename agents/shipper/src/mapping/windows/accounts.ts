// Why: the Security log tells of every account and group that is made, changed or taken away, and by whom.
// Enforces: the event id chooses class and activity; the target is the account or the group, the member whoever came or went.
// Forbids: the privileges that the subject used as privileges of the account.

import type { Fields, Json } from "../json.ts";
import { endpoint, userOf } from "../ocsf_parts.ts";
import { type Part, subjectOf, table, userBy } from "./parts.ts";

const userManagement = 3007;
const groupManagement = 3006;

/** Takes a text; Windows writes a message's number (`%%1793`, "not set") where there is none. */
function saidText(data: Fields, name: string): string | undefined {
  return data.word(name)?.startsWith("%%") === true ? undefined : data.text(name);
}

function account(activityId: number, more: (data: Fields) => Json = () => ({})): (data: Fields) => Part {
  return (data) => ({
    classUid: userManagement,
    activityId,
    fields: { user: userBy(data, "Target"), actor: subjectOf(data), ...more(data) },
  });
}

function created(data: Fields): Part {
  const part = account(1)(data);
  const user = part.fields["user"] as Json | undefined;
  return user === undefined ? part : { ...part, fields: { ...part.fields, user: { ...user, full_name: saidText(data, "DisplayName") } } };
}

/** What is new about an account; names that stay the same are written too, others as `-`. */
function updatedUser(data: Fields): Json {
  const name = saidText(data, "SamAccountName");
  return { updated_user: name === undefined ? undefined : { name, full_name: saidText(data, "DisplayName") } };
}

function renamed(data: Fields): Part {
  const uid = data.text("TargetSid");
  const isNamed = uid !== undefined || data.word("OldTargetUserName") !== undefined;
  const domain = isNamed ? data.text("TargetDomainName") : undefined;
  const named = (name: string): Json | undefined => userOf({ name: data.text(name), domain, uid });
  return {
    classUid: userManagement,
    activityId: 2,
    fields: { user: named("OldTargetUserName"), updated_user: named("NewTargetUserName"), actor: subjectOf(data) },
  };
}

/** Whose logons failed too often. The target's domain is here the name of the computer that they came from. */
function locked(data: Fields): Part {
  return {
    classUid: userManagement,
    activityId: 6,
    fields: {
      user: userOf({ name: data.text("TargetUserName"), uid: data.text("TargetSid") }),
      src_endpoint: endpoint({ hostname: data.text("TargetDomainName") }),
      actor: subjectOf(data),
    },
  };
}

/** A group by its own name; on a domain controller a member's name is its place in the directory. */
function group(activityId: number, more: (data: Fields) => Json = () => ({})): (data: Fields) => Part {
  return (data) => ({
    classUid: groupManagement,
    activityId,
    fields: { group: userBy(data, "Target"), actor: subjectOf(data), ...more(data) },
  });
}

function members(data: Fields): Json {
  const member = userOf({ name: data.text("MemberName"), uid: data.text("MemberSid") });
  return { users: member === undefined ? undefined : [member] };
}

function updatedGroup(data: Fields): Json {
  const name = saidText(data, "SamAccountName");
  return { updated_group: name === undefined ? undefined : { name } };
}

/** Readers by Security event id. Groups come in six kinds: global, local and universal, with security or for mail alone. */
export const accountParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [4720, created],
  [4722, account(4)],
  [4723, account(8)],
  [4724, account(9)],
  [4725, account(5)],
  [4726, account(3)],
  [4738, account(2, updatedUser)],
  [4740, locked],
  [4767, account(7)],
  [4781, renamed],
  [[4727, 4731, 4754, 4744, 4749, 4759], group(6)],
  [[4728, 4732, 4756, 4746, 4751, 4761], group(3, members)],
  [[4729, 4733, 4757, 4747, 4752, 4762], group(4, members)],
  [[4730, 4734, 4758, 4748, 4753, 4763], group(5)],
  [[4735, 4737, 4755, 4745, 4750, 4760], group(9, updatedGroup)],
  [4764, group(9)],
]);
