// Why: auditd's events are what the kernel of a Linux host vouches for: who started, opened and connected what.
// Enforces: programs' messages and system calls go to the class that they mean, all others become base events; all records that are not used up
//   are kept by type.
// Forbids: inventing a host's name: it is the node that the records name, or the one that whoever ships has told.

import type { Draft } from "../draft.ts";
import type { Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { deviceNamed } from "../ocsf_parts.ts";
import { AuditRecords } from "./audit_event.ts";
import { callPart } from "./calls.ts";
import { messagePart } from "./messages.ts";

const product: Json = { name: "auditd", vendor_name: "Linux Audit" };

const informational = 1;
const low = 2;
const medium = 3;

/** An access that a policy denied, or behaviour that the kernel finds odd. */
function severityOf(records: AuditRecords): number {
  if (records.type.startsWith("ANOM_")) return medium;
  const denied = records.all("AVC").some((avc) => /\bdenied\b/i.test(avc.word("words") ?? "") || avc.word("apparmor") === "DENIED");
  return denied ? low : informational;
}

/** An event's draft. */
export function mapAudit(event: Json, { host }: MapOptions): Draft {
  const records = new AuditRecords(event["records"] as Readonly<Record<string, Json[]>>);
  const { type } = records;
  const severityId = severityOf(records);
  const part = messagePart(records) ?? callPart(records) ?? { classUid: 0, activityId: 99, fields: {} };
  return {
    ...part,
    activityName: part.activityName ?? type.toLowerCase(),
    severityId,
    timeUs: event["timeUs"] as number,
    product,
    metadata: {
      event_code: type,
      log_name: "audit",
      original_event_uid: event["serial"],
      original_time: event["time"],
    },
    fields: { device: deviceNamed((event["node"] as string | undefined) ?? host), ...part.fields },
    unmapped: records.rest(),
  };
}
