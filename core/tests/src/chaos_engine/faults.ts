/**
 * Why: what the engine and its database are struck with, as a table.
 * Enforces: each labelled step of the row transaction with each way to die at it, each class of SQLSTATE where it can come, and PostgreSQL itself.
 * Forbids: doing any of it.
 */
import type { SinkStep } from "ransomeye-engine";
import { sinkSteps } from "ransomeye-engine/testing";

/** Where PostgreSQL refuses: while rows are copied, or when the transaction commits. */
export type RefusalPlace = "rows" | "commit";

export type EngineFault =
  /** SIGKILL at a step; another process takes its place under its name. */
  | { readonly kind: "engine_killed"; readonly at: SinkStep }
  /** SIGSTOP at a step, until somebody else has stored what it held; then it goes on. */
  | { readonly kind: "engine_stopped"; readonly at: SinkStep }
  /** The session that runs the transaction is ended (57P01). */
  | { readonly kind: "session_ended"; readonly at: SinkStep }
  /** COMMIT is lost on its way, or its answer is. */
  | { readonly kind: "commit_lost"; readonly how: "drop_commit" | "drop_answer" }
  /** An error of this SQLSTATE, once or a few times. */
  | { readonly kind: "refused"; readonly state: string; readonly place: RefusalPlace }
  /** SIGKILL of PostgreSQL at any moment; it recovers from its log. */
  | { readonly kind: "server_killed" };

const states = ["40001", "40P01", "53100", "57P01"] as const;
/** As many as there are of the others' kinds, so that it is struck as often. */
const serverKills = 6;

/** Each fault once; PostgreSQL, which has no steps, as often as other kinds. */
export const engineFaults: readonly EngineFault[] = [
  ...sinkSteps.flatMap((at): EngineFault[] => [
    { kind: "engine_killed", at },
    { kind: "engine_stopped", at },
    { kind: "session_ended", at },
  ]),
  { kind: "commit_lost", how: "drop_commit" },
  { kind: "commit_lost", how: "drop_answer" },
  ...states.flatMap((state): EngineFault[] => [
    { kind: "refused", state, place: "rows" },
    { kind: "refused", state, place: "commit" },
  ]),
  // An error about data has no business at COMMIT.
  { kind: "refused", state: "22P05", place: "rows" },
  ...Array.from({ length: serverKills }, (): EngineFault => ({ kind: "server_killed" })),
];

/** For people and pages. */
export function faultName(fault: EngineFault): string {
  switch (fault.kind) {
    case "engine_killed":
      return `engine killed at ${fault.at}`;
    case "engine_stopped":
      return `engine stopped past its lease at ${fault.at}`;
    case "session_ended":
      return `session ended (57P01) at ${fault.at}`;
    case "commit_lost":
      return fault.how === "drop_commit" ? "COMMIT lost" : "COMMIT's answer lost";
    case "refused":
      return `${fault.state} from ${fault.place === "rows" ? "COPY" : "COMMIT"}`;
    case "server_killed":
      return "PostgreSQL killed";
  }
}
