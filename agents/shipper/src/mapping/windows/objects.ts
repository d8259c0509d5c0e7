// Why: Security's object access events tell of files, keys, processes, tasks and shares by one set of fields.
// Enforces: the object's type chooses the class, the access asked for chooses the activity; types without a class stay base events.
// Forbids: calling an access a deletion where the mask asks for more than that: the first of delete, write, permissions, read counts.

import type { Fields, Json } from "../json.ts";
import { actorOf, baseName, fileAt, processOf } from "../ocsf_parts.ts";
import { endpointBy, maskOf, type Part, processBy, sessionBy, table, userBy } from "./parts.ts";
import { securityValueChange } from "./registry.ts";

const accessDelete = 0x1_0000;
const accessReadControl = 0x2_0000;
const accessWriteDac = 0x4_0000;
const accessWriteOwner = 0x8_0000;
/** WriteData and AppendData of files; SetValue and CreateSubKey of keys. */
const accessWrite = 0x2 | 0x4;
const accessRead = 0x1;

const fileOpen = 14;

function fileActivity(mask: number | undefined): number {
  if (mask === undefined) return fileOpen;
  if ((mask & accessDelete) !== 0) return 4;
  if ((mask & accessWrite) !== 0) return 3;
  if ((mask & (accessWriteDac | accessWriteOwner)) !== 0) return 7;
  if ((mask & accessRead) !== 0) return 2;
  return (mask & accessReadControl) !== 0 ? 9 : fileOpen;
}

function keyActivity(mask: number | undefined): number {
  if (mask === undefined) return 0;
  if ((mask & accessDelete) !== 0) return 4;
  if ((mask & accessWrite) !== 0) return 3;
  return (mask & (accessWriteDac | accessWriteOwner)) !== 0 ? 6 : 2;
}

function actor(data: Fields): Json | undefined {
  return actorOf({
    process: processBy(data, "ProcessId", "ProcessGuid", "ProcessName"),
    user: userBy(data, "Subject"),
    session: sessionBy(data, "Subject"),
  });
}

/** A handle was asked for or used. `asked` says that nothing has happened yet but the asking. */
function objectAccess(asked: boolean): (data: Fields) => Part | undefined {
  return (data) => {
    const type = data.peek("ObjectType");
    const mask = maskOf(data, "AccessMask");
    switch (type) {
      case "File":
        return {
          classUid: 1001,
          activityId: asked ? fileOpen : fileActivity(mask),
          fields: { actor: actor(data), file: fileAt(data.text("ObjectName")), access_mask: mask },
        };
      case "Key": {
        const path = data.text("ObjectName");
        return {
          classUid: 201_001,
          activityId: asked ? 0 : keyActivity(mask),
          fields: { actor: actor(data), reg_key: path === undefined ? undefined : { path } },
        };
      }
      case "Process":
        return {
          classUid: 1007,
          activityId: 3,
          fields: { actor: actor(data), process: processOf({ path: data.text("ObjectName") }), requested_permissions: mask },
        };
      default:
        return undefined;
    }
  };
}

/** Deletion says what was deleted only by its handle; permissions say it by name. */
function permissions(data: Fields): Part | undefined {
  const type = data.peek("ObjectType");
  if (type !== "File" && type !== "Key") return undefined;
  const path = data.text("ObjectName");
  if (type === "File") return { classUid: 1001, activityId: 7, fields: { actor: actor(data), file: fileAt(path) } };
  return { classUid: 201_001, activityId: 6, fields: { actor: actor(data), reg_key: path === undefined ? undefined : { path } } };
}

function job(activityId: number): (data: Fields) => Part {
  return (data) => ({
    classUid: 1006,
    activityId,
    fields: { actor: actor(data), job: { name: data.text("TaskName"), type_id: 1 } },
  });
}

/** A share, or with `withFile` something in it, was used from another host. */
function share(withFile: boolean): (data: Fields) => Part {
  return (data) => {
    const name = data.text("ShareName");
    const target = withFile ? data.text("RelativeTargetName") : undefined;
    return {
      classUid: 4006,
      activityId: withFile ? 2 : 99,
      activityName: "share access",
      fields: {
        actor: actorOf({ user: userBy(data, "Subject"), session: sessionBy(data, "Subject") }),
        src_endpoint: endpointBy(data, { ip: "IpAddress", port: "IpPort" }),
        share: name,
        file: target === undefined ? undefined : { name: baseName(target), path: target, type_id: 0 },
      },
    };
  };
}

/** Readers by Security event id: access to objects, tasks and shares. */
export const objectAccessParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [[4656, 4661], objectAccess(true)],
  [4657, securityValueChange],
  [4663, objectAccess(false)],
  [4670, permissions],
  [4698, job(1)],
  [4699, job(3)],
  [4700, job(4)],
  [4701, job(5)],
  [4702, job(2)],
  [5140, share(false)],
  [5145, share(true)],
]);
