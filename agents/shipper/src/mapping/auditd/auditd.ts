// Why: auditd's events are what the kernel of a Linux host vouches for: who started, opened and connected what.
// Enforces: an event without a class of its own is a base event that has all its records.
// Forbids: inventing a host's name: the node that the record names, or the one that whoever ships has told.

import type { Draft } from "../draft.ts";
import { Fields, type Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";

const product: Json = { name: "auditd", vendor_name: "Linux Audit" };
const informational = 1;

/** An event's draft. */
export function mapAudit(event: Json, { host }: MapOptions): Draft {
  const fields = new Fields(event);
  const type = fields.text("type") ?? "audit";
  const node = fields.text("node");
  const records = fields.take("records") as Readonly<Record<string, Json[]>>;
  const timeUs = fields.take("timeUs") as number;
  const hostname = node ?? host;
  const unmapped: Json = {};
  for (const [name, all] of Object.entries(records)) unmapped[name] = all.length === 1 ? all[0] : all;
  return {
    classUid: 0,
    activityId: 99,
    activityName: type.toLowerCase(),
    severityId: informational,
    timeUs,
    product,
    metadata: { event_code: type, log_name: "audit", original_event_uid: fields.text("serial"), original_time: fields.text("time") },
    fields: { device: hostname === undefined ? undefined : { hostname, type_id: 0 } },
    unmapped,
  };
}
