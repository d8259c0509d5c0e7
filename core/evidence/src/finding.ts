/**
 * Why it exists: whoever verifies wants to know what is wrong, and where, not that something is.
 * Enforces: three answers besides PASS, from bad to good: wrong, missing, removed by rule and in the open.
 * Forbids: more findings than anybody reads: the first ones, and how many there were.
 */

/** What a record of evidence is found to be. */
export type FindingState = "FAIL" | "MISSING" | "EXPIRED_BY_POLICY";

export interface Finding {
  readonly state: FindingState;
  /** Which record: an event's id, a batch's place, a statement. */
  readonly what: string;
  readonly why: string;
}
