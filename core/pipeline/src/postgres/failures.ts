/**
 * Why it exists: what PostgreSQL and its connection can answer, told in the bus's own codes.
 * Enforces: an answer that was lost while a change was under way is BUS_OUTCOME_UNKNOWN and never looks like a plain failure.
 * Forbids: retrying here (the caller knows whether its work is still wanted), and matching messages.
 */
import { sqlState } from "ransomeye-db";
import { type BusCode, BusError } from "../errors.ts";

/** What was under way: `connect` nothing had been sent, `read` nothing can have changed, `change` a transaction that may commit. */
export type Stage = "connect" | "read" | "change";

const byState: Readonly<Record<string, BusCode>> = {
  "42501": "BUS_FORBIDDEN",
  "3F000": "BUS_NOT_PREPARED",
  "42P01": "BUS_NOT_PREPARED",
  "42883": "BUS_NOT_PREPARED",
  RB001: "BUS_BAD_ARGUMENT",
  RB002: "BUS_NOT_PREPARED",
  "23514": "BUS_UNAVAILABLE", // the day's partition was detached between the look and the insert: undone, and `paused` next time
  "23505": "BUS_UNAVAILABLE", // two first openings of one producer: undone, the loser sees the winner's head next time
  "53300": "BUS_UNAVAILABLE", // too many connections
  "57014": "BUS_UNAVAILABLE", // cancelled before its commit
  "58030": "BUS_NO_SPACE", // input or output failed
  XX001: "BUS_CORRUPT",
  XX002: "BUS_CORRUPT",
};

const byClass: Readonly<Record<string, BusCode>> = {
  "28": "BUS_FORBIDDEN", // wrong password, or a role that may not log in
  "40": "BUS_UNAVAILABLE", // serialization failure, deadlock: undone
  "53": "BUS_NO_SPACE", // disk, memory
  "55": "BUS_UNAVAILABLE", // lock not available
};

/** The error as a BusError. The cause keeps PostgreSQL's own. */
export function busFailure(error: unknown, stage: Stage): BusError {
  if (error instanceof BusError) return error;
  const state = serverState(error);
  const code = state === undefined ? lost(stage) : (byState[state] ?? byClass[state.slice(0, 2)] ?? unexpected(state, stage));
  return new BusError(code, `the bus on PostgreSQL failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
    fields: { sqlstate: state ?? null },
  });
}

/** Whether the connection is of no use any more and must be closed, not given back to its pool. */
export function isBroken(error: unknown): boolean {
  const state = serverState(error);
  return state === undefined || state.startsWith("57P") || state.startsWith("08") || state.startsWith("XX");
}

/** SQLSTATE of an error that the server has sent. Node's own codes can look like one (EPIPE): only the server gives a severity. */
function serverState(error: unknown): string | undefined {
  return typeof (error as { severity?: unknown } | null | undefined)?.severity === "string" ? sqlState(error) : undefined;
}

function lost(stage: Stage): BusCode {
  return stage === "change" ? "BUS_OUTCOME_UNKNOWN" : "BUS_UNAVAILABLE";
}

/** Shutdowns and connection errors may arrive after the commit record was written; everything else is a surprise. */
function unexpected(state: string, stage: Stage): BusCode {
  return state.startsWith("57P") || state.startsWith("08") ? lost(stage) : "BUS_INTERNAL";
}
