/**
 * Why it exists: what a Redis or Valkey server and its connection can answer, told in the bus's own codes.
 * Enforces: an error that the server has sent means that nothing of that call was done (scripts check before they write); an answer that was lost
 * while a change was under way is BUS_OUTCOME_UNKNOWN and never looks like a plain failure.
 * Forbids: retrying here, and matching more of a message than the word that the protocol puts first.
 */
import { type BusCode, BusError } from "../errors.ts";

/** What was under way: `connect` nothing had been sent, `read` nothing can have changed, `change` it may have happened. */
export type Stage = "connect" | "read" | "change";

const byWord: Readonly<Record<string, BusCode>> = {
  READONLY: "BUS_UNAVAILABLE", // a replica, or a master that was demoted
  LOADING: "BUS_UNAVAILABLE",
  BUSY: "BUS_UNAVAILABLE", // a long script of somebody else
  MASTERDOWN: "BUS_UNAVAILABLE",
  CLUSTERDOWN: "BUS_UNAVAILABLE",
  TRYAGAIN: "BUS_UNAVAILABLE",
  MOVED: "BUS_UNAVAILABLE", // the cluster is being changed faster than we can follow
  ASK: "BUS_UNAVAILABLE",
  NOREPLICAS: "BUS_UNAVAILABLE", // min-replicas-to-write
  MISCONF: "BUS_NO_SPACE", // the append-only file cannot be written
  OOM: "BUS_NO_SPACE",
  NOPERM: "BUS_FORBIDDEN",
  NOAUTH: "BUS_FORBIDDEN",
  WRONGPASS: "BUS_FORBIDDEN",
  WRONGTYPE: "BUS_CORRUPT", // somebody else writes under our prefix
};

/** The first word of an error that the server has sent; undefined for everything else, such as a lost connection. */
export function serverWord(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== "ReplyError") return undefined;
  return /^([A-Z]+)\b/.exec(error.message)?.[1] ?? "ERR";
}

/** The error as a BusError. The cause keeps the server's own. */
export function busFailure(error: unknown, stage: Stage): BusError {
  if (error instanceof BusError) return error;
  const word = serverWord(error);
  const code = word === undefined ? lost(stage) : (byWord[word] ?? "BUS_INTERNAL");
  return new BusError(code, `the bus on Redis failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
    fields: { word: word ?? null },
  });
}

/** The change itself was done; what was to come after it failed. */
export function outcomeUnknown(error: Error): BusError {
  return new BusError("BUS_OUTCOME_UNKNOWN", `the change was made, but not confirmed: ${error.message}`, {
    cause: error,
    fields: { word: serverWord(error) ?? null },
  });
}

/** Somebody else has written to one of our logs behind its last entry, which has this offset. */
export function occupiedBy(log: string, off: string): BusError {
  const next = `remove what follows entry ${off}-0 (XRANGE, XDEL), and set its end back: XSETID ${log} ${off}-0`;
  return new BusError("BUS_CORRUPT", `somebody has written to ${log} behind its last entry: ${next}`, {
    fields: { log, off: Number(off) },
  });
}

function lost(stage: Stage): BusCode {
  return stage === "change" ? "BUS_OUTCOME_UNKNOWN" : "BUS_UNAVAILABLE";
}
