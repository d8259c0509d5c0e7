// Why: a gap frame says in its payload why sequence numbers will never come; operators read that beside the count.
// Enforces: a reason of the closed set is stored as it stands, so that gaps can be counted by reason; anything else is marked as foreign, in bounded printable
//   text; the count comes from the signed header alone. What an event may not hold is not parsed here either (IF-13).
// Forbids: refusing a gap for its words.

import { lineBoundsFault } from "./event_bounds.ts";
import { isGapReason } from "./gap.ts";

/** Characters of a gap's reason that are kept in its row; the payload has the rest. */
const reasonCharsMax = 200;

/** The `reason` of a gap frame's JSON payload, or what it is instead. */
export function reasonOfGap(payload: Buffer): string {
  if (lineBoundsFault(payload) !== null) return "the gap's reason is beyond the bounds of an event";
  try {
    const value = JSON.parse(payload.toString("utf8")) as unknown;
    const reason = typeof value === "object" && value !== null ? (value as { reason?: unknown }).reason : undefined;
    if (typeof reason === "string") return isGapReason(reason) ? reason : `foreign reason: ${storable(reason)}`;
    return "the gap names no reason";
  } catch {
    return "the gap's reason cannot be read";
  }
}

function storable(reason: string): string {
  // NUL cannot be stored in PostgreSQL's text, and half a surrogate pair cannot be sent as UTF-8.
  return Buffer.from(reason.slice(0, reasonCharsMax), "utf8").toString("utf8").replaceAll("\0", "\ufffd");
}
