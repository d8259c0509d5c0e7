// Why: Windows events are most of what an endpoint says, and each kind of them has its own fields.
// Enforces: Sysmon and Security events go to the class that suits them, all others become base events with host, message and log.
// Forbids: knowledge of single events, which stands in the tables beside this file.

import type { Draft } from "../draft.ts";
import type { Json } from "../json.ts";
import { userNamed } from "../ocsf_parts.ts";
import { accountParts } from "./accounts.ts";
import { eventLogParts, eventLogServiceParts } from "./event_log.ts";
import { securityParts } from "./security.ts";
import { objectAccessParts } from "./objects.ts";
import { sysmonParts } from "./sysmon.ts";
import { taskParts } from "./tasks.ts";
import type { WindowsPart } from "./parts.ts";
import { type WindowsRecord, windowsRecord } from "./record.ts";

/** Readers by channel. */
const tables: Readonly<Record<string, ReadonlyMap<number, WindowsPart>>> = {
  "microsoft-windows-sysmon/operational": sysmonParts,
  "linux-sysmon/operational": sysmonParts,
  security: new Map([...securityParts, ...objectAccessParts, ...accountParts]),
  "microsoft-windows-taskscheduler/operational": taskParts,
};

/** Readers by provider, where events of several share a channel. */
const providers: Readonly<Record<string, ReadonlyMap<number, WindowsPart>>> = {
  "microsoft-windows-eventlog": eventLogParts,
  eventlog: eventLogServiceParts,
};

function readerOf({ provider, channel, eventId = -1 }: WindowsRecord): WindowsPart | undefined {
  return providers[provider?.toLowerCase() ?? ""]?.get(eventId) ?? tables[channel?.toLowerCase() ?? ""]?.get(eventId);
}

/** A record's draft, or undefined where it has no time. */
export function mapWindows(record: Json): Draft | undefined {
  const view = windowsRecord(record);
  if (view === undefined) return undefined;
  const mapped = readerOf(view)?.(view.data);
  const part = mapped ?? { classUid: 0, activityId: 99, fields: { actor: accountOf(view) } };
  return {
    ...part,
    activityName: part.activityName ?? `event ${view.eventId ?? "without id"}`,
    severityId: view.severityId,
    timeUs: view.timeUs,
    product: { name: productOf(view), vendor_name: "Microsoft" },
    metadata: {
      event_code: view.eventId === undefined ? undefined : String(view.eventId),
      log_name: view.channel,
      log_provider: view.provider,
      original_event_uid: view.recordId,
      original_time: view.originalTime,
    },
    fields: {
      device: view.host === undefined ? undefined : { hostname: view.host, type_id: 0 },
      message: view.takeMessage(),
      status_id: view.auditStatusId,
      ...part.fields,
    },
    unmapped: view.rest(),
  };
}

function productOf(view: WindowsRecord): string {
  return view.channel?.toLowerCase().includes("sysmon") === true ? "Sysmon" : "Windows";
}

/** Who acted, in events that have no class: the subject where there is one, else the account that the log names. */
function accountOf(view: WindowsRecord): Json | undefined {
  const user = userNamed(view.data.text("SubjectUserName") ?? view.data.text("AccountName"));
  return user === undefined ? undefined : { user: { ...user, uid: view.data.text("SubjectUserSid") ?? view.data.text("UserID") } };
}
