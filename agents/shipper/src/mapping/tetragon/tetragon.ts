// Why: Tetragon exports what eBPF saw of processes on a node, one kind of event under one name.
// Enforces: starts and ends of processes, libraries and connections go to their classes; a hook goes to the class of what it was about (a
//   module, a BPF program, a file, a socket); all others are base events by that process. Times are RFC 3339 with nanoseconds, cut to microseconds.
// Forbids: a kind that is not known as a reason to lose a record.

import { basePart, type Draft } from "../draft.ts";
import { asObject, Fields, type Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { deviceNamed } from "../ocsf_parts.ts";
import { firstTimeUs, usOfText } from "../source_time.ts";
import { kindParts } from "./kinds.ts";
import { processesOf } from "./process.ts";

const product: Json = { name: "Tetragon", vendor_name: "Cilium" };
const informational = 1;

/** The name under which a record carries its event; undefined if there is none. */
function kindOf(record: Json): string | undefined {
  return Object.keys(record).find(
    (name) => asObject(record[name]) !== undefined && (name.startsWith("process_") || name === "rate_limit_info"),
  );
}

/** True if a record may be Tetragon's: one of its events, beside the node or the time. */
export function looksLikeTetragon(record: Json): boolean {
  const kind = kindOf(record);
  if (kind === undefined) return false;
  const isProcess = asObject(asObject(record[kind])?.["process"]) !== undefined;
  return record["node_name"] !== undefined && (isProcess || record["time"] !== undefined);
}

/** A record's draft, or undefined where it has no time. */
export function mapTetragon(record: Json, { host }: MapOptions): Draft | undefined {
  const fields = new Fields(record);
  const kind = kindOf(record);
  const body = fields.nested(kind ?? "");
  const time = fields.peek("time");
  // Early versions wrote no time; what an exec tells of happened when its process started.
  const started = kind === "process_exec" ? body.nested("process").peek("start_time") : undefined;
  const timeUs = firstTimeUs(usOfText(time), usOfText(started));
  if (timeUs === undefined) return undefined;
  const processes = processesOf(body);
  const part = kindParts[kind ?? ""]?.(body, processes) ?? basePart(kind ?? "tetragon", { actor: processes.actor });
  const count = fields.nested("aggregation_info").integer("count");
  return {
    ...part,
    activityName: part.activityName ?? kind,
    severityId: informational,
    timeUs,
    product,
    metadata: { event_code: kind, log_name: "tetragon", original_time: fields.text("time") },
    fields: { device: deviceNamed(fields.text("node_name") ?? host), message: body.text("message"), count, ...part.fields },
    unmapped: fields.rest(),
  };
}
