// Why: whoever does not want to be seen stops the one who looks, and the last thing that auditd writes is who did it.
// Enforces: the daemon's start, end, rotation and resumption, and the kernel's switch of auditing, are activities of the audit log.
// Forbids: calling a change of rules or of the backlog a switch, or setting the switch to what it was.

import type { Fields, Json } from "../json.ts";
import type { AuditRecords } from "./audit_event.ts";
import type { AuditPart } from "./calls.ts";
import { outcome } from "./message_subjects.ts";
import { actorBy, processBy } from "./subjects.ts";

const log: Json = { log_name: "audit", log_provider: "auditd" };
const activity = { rotate: 5, start: 6, stop: 7, enable: 9, disable: 10 } as const;

function ofService(activityId: number): (record: Fields) => AuditPart {
  return (record) => ({ classUid: 1008, activityId, fields: { ...log, actor: actorBy(record, processBy(record)), ...outcome(record) } });
}

/** `audit_enabled`: 0 is off, 1 is on, 2 is on and locked. */
function isOn(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== "0";
}

/** The kernel's auditing was switched; undefined where it was not, or where something else was set. */
function auditSwitch(record: Fields, records: AuditRecords): AuditPart | undefined {
  const now = isOn(record.word("audit_enabled"));
  if (now === undefined || now === isOn(record.word("old"))) return undefined;
  // Newer kernels write the call beside it, which knows the process.
  const call = records.one("SYSCALL");
  const actor = actorBy(record, processBy(call)) ?? actorBy(call, undefined);
  return { classUid: 1008, activityId: now ? activity.enable : activity.disable, fields: { ...log, actor, ...outcome(record) } };
}

/** Readers by type. */
export const auditServiceParts: readonly (readonly [
  type: string,
  part: (record: Fields, records: AuditRecords) => AuditPart | undefined,
])[] = [
  ["DAEMON_START", ofService(activity.start)],
  ["DAEMON_END", ofService(activity.stop)],
  ["DAEMON_ABORT", ofService(activity.stop)],
  ["DAEMON_ROTATE", ofService(activity.rotate)],
  ["DAEMON_RESUME", ofService(activity.enable)],
  ["CONFIG_CHANGE", auditSwitch],
];
