// Why: what auditd says of one event stands in up to a hundred records, in any order.
// Enforces: one object an event: its head, and its records by type; of types that may come more than once, a list.
// Forbids: losing a record: also one that no mapping knows is there.

import type { Json } from "../json.ts";
import { auditHead } from "./audit_line.ts";
import { recordFields } from "./audit_fields.ts";

/** An event's lines as `{ node, type, time, timeUs, serial, records: { SYSCALL: [{…}], PATH: [{…}, {…}] } }`; undefined where a line has no head. */
export function parseAudit(text: string): Json | undefined {
  let event: Json | undefined;
  const records: Record<string, Json[]> = Object.create(null) as Record<string, Json[]>;
  for (const line of text.split("\n")) {
    const head = auditHead(line);
    if (head === undefined) return undefined;
    const { node, type, time, timeUs, serial, body } = head;
    event ??= { node, type, time, timeUs, serial };
    (records[type] ??= []).push(recordFields(body, type));
  }
  return event === undefined ? undefined : { ...event, records };
}
