// Why: every failure that PostgreSQL can report gets its answer here, before it happens.
// Enforces: one disposition per SQLSTATE, looked up by code, then by class; only data errors may cost a row.
// Forbids: matching messages; dead-lettering anything because of an infrastructure error.

import type { EngineCode } from "./codes.ts";

/**
 * - `retry`: the server rolled back for a reason that passes; the same group is stored again after a pause.
 * - `reconnect`: the connection is gone or of no use; as `retry`, on a new one. After COMMIT was sent: settle.
 * - `data`: a value was refused. Met while copying rows: find the row and dead-letter it. Elsewhere: `stop`.
 * - `partition`: the day partition of a row is missing; have it made once, then store again.
 * - `stop`: not the data's fault and not passing by itself; the partitions rest, loudly.
 */
export type SqlAction = "retry" | "reconnect" | "data" | "partition" | "stop";

export interface SqlDisposition {
  readonly action: SqlAction;
  readonly code: EngineCode;
}

const unreachable: SqlDisposition = { action: "reconnect", code: "ENGINE_SINK_UNREACHABLE" };
const busy: SqlDisposition = { action: "retry", code: "ENGINE_SINK_BUSY" };
const full: SqlDisposition = { action: "reconnect", code: "ENGINE_SINK_FULL" };
const refused: SqlDisposition = { action: "stop", code: "ENGINE_SINK_REFUSED" };
const damaged: SqlDisposition = { action: "stop", code: "ENGINE_SINK_DAMAGED" };
const poison: SqlDisposition = { action: "data", code: "ENGINE_ROW_REFUSED" };
const noPartition: SqlDisposition = { action: "partition", code: "ENGINE_PARTITION_MISSING" };

/** Exact states that differ from their class. */
const byState: Readonly<Record<string, SqlDisposition>> = {
  "23505": { action: "retry", code: "ENGINE_HEAD_MOVED" }, // two writers made the same producer's first head: the loser reads it
  "25006": unreachable, // read-only: we talk to a standby, or a failover is under way
  "25P03": unreachable, // idle_in_transaction_session_timeout has closed the session
  "57014": busy, // cancelled, or statement_timeout
  "58P01": damaged, // undefined_file: part of the data directory is missing
  XX001: damaged, // data_corrupted: writing on would bury it
  XX002: damaged, // index_corrupted
};

const byClass: Readonly<Record<string, SqlDisposition>> = {
  "08": unreachable, // connection exception
  "0A": refused, // feature not supported: a server of another version
  "21": poison, // cardinality violation
  "22": poison, // data exception: a value out of its type's range, a byte sequence that is no text
  "23": poison, // integrity constraint violation
  "25": refused, // invalid transaction state: a defect of ours
  "26": refused, // invalid statement name
  "28": unreachable, // invalid authorization: passwords may be on their way
  "40": busy, // transaction rollback: serialization failure, deadlock
  "42": refused, // privilege, missing table or column
  "53": full, // insufficient resources: disk, memory, connections
  "54": poison, // program limit exceeded: one row is too large for its page
  "55": busy, // object not in prerequisite state: lock not available
  "57": unreachable, // operator intervention: shutdown, crash, cannot connect now
  "58": full, // system error: input or output failed
  XX: busy, // internal error: passes when the server's moment does
};

interface ServerError {
  readonly code?: unknown;
  readonly constraint?: unknown;
}

/** What to do about an error thrown by `pg`. Whatever carries no SQLSTATE is a broken connection. */
export function disposition(error: unknown): SqlDisposition {
  const state = sqlState(error);
  if (state === null) return unreachable;
  // A check violation that names no constraint is PostgreSQL's way to say that no partition takes the row.
  if (state === "23514" && (error as ServerError).constraint === undefined) return noPartition;
  return byState[state] ?? byClass[state.slice(0, 2)] ?? refused;
}

/** The five characters of a PostgreSQL error, or null for what did not come from the server. */
export function sqlState(error: unknown): string | null {
  const code = (error as ServerError | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !nodeErrors.has(code) ? code : null;
}

/** System call errors of Node that happen to have the shape of a SQLSTATE. */
const nodeErrors: ReadonlySet<string> = new Set(["EPIPE", "EPERM", "EBUSY", "EBADF", "EPROTO", "ENXIO", "ESRCH"]);
