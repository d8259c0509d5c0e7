// Why: some tables hold no events but the host as it is; what changes between two queries tells what happened.
// Enforces: a row that came or went is a module loaded, an account made, a member added, or the contrary.
// Forbids: taking rows that were only found, in a snapshot or in a query's first answer, for something that happened.

import type { Part } from "../draft.ts";
import type { Fields, Json } from "../json.ts";
import { unknownActor, userOf } from "../ocsf_parts.ts";

/** A row's activity: what a table's coming and going rows mean. A changed row goes and comes again. */
function activityOf(action: string, added: number, removed: number): number | undefined {
  return action === "added" ? added : action === "removed" ? removed : undefined;
}

export function kernelModule(columns: Fields, action: string): Part | undefined {
  const activityId = activityOf(action, 1, 2);
  const name = activityId === undefined ? undefined : columns.text("name");
  if (activityId === undefined || name === undefined) return undefined;
  return { classUid: 1002, activityId, fields: { actor: unknownActor, driver: { file: { name, type_id: 0 } } } };
}

export function user(columns: Fields, action: string): Part | undefined {
  const activityId = activityOf(action, 1, 3);
  if (activityId === undefined) return undefined;
  const name = columns.text("username");
  const known = userOf({ name, uid: columns.text("uid") });
  if (known === undefined) return undefined;
  return {
    classUid: 3007,
    activityId,
    fields: { user: { ...known, full_name: columns.text("description"), uid_alt: columns.text("uuid") } },
  };
}

export function group(columns: Fields, action: string): Part | undefined {
  const activityId = activityOf(action, 6, 5);
  const name = activityId === undefined ? undefined : columns.text("groupname");
  if (activityId === undefined || name === undefined) return undefined;
  const uid = columns.text("gid");
  const found: Json = { name, uid, uid_alt: columns.text("group_sid"), desc: columns.text("comment") };
  return { classUid: 3006, activityId, fields: { group: found } };
}

/** Who is in which group, by ids alone. */
export function member(columns: Fields, action: string): Part | undefined {
  const activityId = activityOf(action, 3, 4);
  if (activityId === undefined || !columns.has("gid") || !columns.has("uid")) return undefined;
  return { classUid: 3006, activityId, fields: { group: { uid: columns.text("gid") }, users: [{ uid: columns.text("uid") }] } };
}
