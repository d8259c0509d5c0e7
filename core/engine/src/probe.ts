// Why: crash safety is a claim about every point between two statements; a test must be able to strike at each of them.
// Enforces: one documented seam for fault injection, absent in the wiring of a running system.
// Forbids: behaviour that depends on a probe: it may wait, and it may break connections from outside, no more.

/** Labelled points of the row transaction, in order. After `committing` COMMIT is sent; `committed` follows its answer. */
export type SinkStep = "begun" | "offsets_moved" | "planned" | "rows_copied" | "written" | "committing" | "committed" | "settling";

export const sinkSteps: readonly SinkStep[] = ["begun", "offsets_moved", "planned", "rows_copied", "written", "committing", "committed"];

/** Called at each step with the process id of the backend that runs the transaction (0: none). */
export interface Probe {
  step(name: SinkStep, backendPid: number): Promise<void>;
}
