/**
 * Why: a gap frame says in its payload why sequences will never come; producers write it, the engine stores it, operators count by it.
 * Enforces: one closed set of reasons for both ends, one encoding, counts and times only.
 * Forbids: deciding by the words: how many are lost is told by the signed header alone.
 */

/**
 * `server_lost`: receipted, then lost by the server. `spool_full`: the producer's spool had no room and its source could not wait.
 * `spool_age`: waited unsent in the spool for longer than the producer was told to keep it.
 */
export const gapReasons = ["server_lost", "spool_full", "spool_age"] as const;
export type GapReason = (typeof gapReasons)[number];

/** A gap frame's payload. */
export function encodeGap(reason: GapReason, detail: Readonly<Record<string, number>>): Buffer {
  return Buffer.from(JSON.stringify({ reason, detail }), "utf8");
}

/** Whether a text is one of the reasons. */
export function isGapReason(text: string): text is GapReason {
  return (gapReasons as readonly string[]).includes(text);
}
